"""Which classes of an engine some labels and groups mean."""

from collections.abc import Sequence

from glatd.daemon.events.rules import classes_meant
from glatd.engines.manifest import LabelEntry
from glatd.labels import ancestors


def classes(names: Sequence[str], labels: Sequence[LabelEntry], where: str) -> tuple[int, ...]:
    """Indices of the classes that some names mean, with all that stands below them in AudioSet's ontology.

    Args:
        names: display names of labels or groups.
        labels: of the engine, in the order of its scores.
        where: of the configuration the names stand in, for errors.

    Raises:
        ConfigError: a name that is unknown, or that none of the engine's classes belongs to.
    """
    above = [ancestors(label.mid) for label in labels]
    return tuple(sorted({index for name in names for index in classes_meant(name, True, labels, above, where)}))
