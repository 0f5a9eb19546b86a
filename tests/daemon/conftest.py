"""The engine that the wheel carries, loaded once."""

import pytest

from glatd.daemon.tagging import silence
from glatd.engines.engine import Engine, Floats
from glatd.engines.load import load_engine


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The default engine. Tests hold its geometry and consistency, never what it scores."""
    return load_engine()


@pytest.fixture(scope="session")
def silent(engine: Engine) -> Floats:
    """[block, M]: a block of digital silence through the front end."""
    return silence(engine)
