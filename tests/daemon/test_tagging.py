"""What an engine is asked before it is run by some settings: whether it can do them, and every size once."""

from copy import copy

import numpy as np
import pytest

from glatd.daemon.assembly import check_engine
from glatd.daemon.settings import Settings
from glatd.daemon.tagging import first_runs, looking
from glatd.engines.engine import Engine, Floats
from glatd.errors import ConfigError


class Counting(Engine):
    """Notes of how many crops each run was."""

    def __init__(self, engine: Engine) -> None:
        self.__dict__.update(copy(engine).__dict__)
        self.runs: list[int] = []

    def look_locally(self, crops: Floats) -> Floats:
        """As the engine, of nothing."""
        self.runs.append(len(crops))
        return np.zeros((len(crops), len(self.manifest.labels)), np.float32)


def test_only_a_choice_is_held_against_what_the_engine_selects(engine: Engine) -> None:
    more = engine.sizes.crops + 1
    check_engine(Settings(local="all", crops=more), engine)
    looking(engine, "all", more, 96)
    for crops in (0, more):
        with pytest.raises(ConfigError, match=rf"crops = {crops} cannot be: this engine selects 1 to {more - 1}"):
            check_engine(Settings(local="top-k", crops=crops), engine)


@pytest.mark.parametrize(("local", "crops", "most"), [("top-k", 2, 2), ("all", 2, 5), ("all", 9, 5)])
def test_every_size_that_is_asked_for_is_run_once(engine: Engine, local: str, crops: int, most: int) -> None:
    """Where every place is looked at, a first window brings as many crops at once as the engine takes."""
    counting = Counting(engine)
    assert engine.sizes.crops == 5
    for _ in first_runs(counting, local, crops):
        pass
    assert counting.runs == list(range(most, 0, -1))
