"""Errors of the house: each names the value that is wrong and what to do about it.

The command line prints the message on one line and exits with `exit_code`; nothing else in
glatd ends a process.
"""


class GlatdError(Exception):
    """Base of every error that glatd raises on purpose."""

    exit_code = 1


class ConfigError(GlatdError):
    """A setting, argument or configuration file that cannot be used."""

    exit_code = 2


class SourceError(GlatdError):
    """A microphone, stream or file that cannot be opened or read."""

    exit_code = 3


class EngineError(GlatdError):
    """An engine or bundle that is damaged, of another version, or cannot run here."""

    exit_code = 4


class ProtocolError(GlatdError):
    """A message that is malformed or of a newer version."""

    exit_code = 5


class DataError(GlatdError):
    """Training or evaluation data that cannot be used."""

    exit_code = 6
