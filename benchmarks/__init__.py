"""Benchmarks: `python -m benchmarks` (or `make bench`) measures, writes docs/benchmarks/*.json and
renders docs/benchmarks.md from them. Nothing here is in the wheel, and no test asserts a time."""
