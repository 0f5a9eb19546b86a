"""`glatd doctor`: what is wrong on this machine, and how to mend it. Each check has its limit of time."""
