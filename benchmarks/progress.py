"""What a measurement is at, for whoever waits for it: a line on standard error, with the time of day."""

import sys
import time


def say(*what: object) -> None:
    """One line."""
    print(time.strftime("%H:%M:%S"), *what, file=sys.stderr, flush=True)
