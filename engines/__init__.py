"""Engines: compile graphs, check them, run them. Never sees a network class."""
