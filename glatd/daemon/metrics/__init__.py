"""What Prometheus scrapes of a daemon, and whether it is well: `metrics` in glatd.toml."""
