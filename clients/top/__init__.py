"""The state of a node at a glance: `glatd top`."""
