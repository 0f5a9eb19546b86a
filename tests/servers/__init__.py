"""Real servers of audio for tests, on loopback: each plays a recording or a tone in real time.

Every one is a context manager that starts and stops it, has a `uri` for `--source`, and can be killed,
frozen, thawed and started again on the same port: see `process.Server`. What they need is in .ci/run.
"""
