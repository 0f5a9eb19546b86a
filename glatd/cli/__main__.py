"""`python -m glatd.cli`."""

from glatd.cli import main

main()
