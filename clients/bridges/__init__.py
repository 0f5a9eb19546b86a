"""Bridges: events of glatd for those who speak something else. Each is a client like any other."""
