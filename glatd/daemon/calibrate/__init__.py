"""Thresholds from a recording of the site, or from labelled data: `glatd calibrate`."""
