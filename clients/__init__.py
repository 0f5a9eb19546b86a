"""What other services use to hear what glatd says. Needs pyzmq and msgpack, nothing else."""
