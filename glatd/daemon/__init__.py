"""The daemon: sources, rings, the loop, publishing."""
