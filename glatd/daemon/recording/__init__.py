"""Recordings made by glatd: the very samples that entered each stream, what was said of them, and how to compare."""
