"""Telling people: what a notification is, and the ways by which one is delivered."""
