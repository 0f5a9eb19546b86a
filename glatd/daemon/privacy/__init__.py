"""What may leave memory: clips of events, only when asked for, and no speech in anything that is written."""
