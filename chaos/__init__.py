"""Chaos: the whole service, killed and starved at random, and a judge who counts what that did to its operations."""
