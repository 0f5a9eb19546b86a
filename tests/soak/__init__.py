"""Soaks: the daemon for hours, in real time on real servers (`live`) and faster than time (`fast`).

`python -m tests.soak.live --seconds 7200 --out FILE` and `python -m tests.soak.fast --hours 24 --out FILE` run them
whole; `test_soak.py` runs a slice of each.
"""
