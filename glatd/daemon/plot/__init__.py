"""Pictures of the method from a recording: `glatd plot`."""
