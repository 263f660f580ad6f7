"""Celery canvas: pause points, and compiling a canvas into the graph of an operation."""

from celery import chain as chain
from celery import chord as chord
from celery import group as group
