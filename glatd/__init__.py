"""glatd: streaming audio tagging with Global-Local Attention."""

__version__ = "0.1.0"
