"""Results of a proof as tables: mean and spread over seeds, differences seed by seed, seconds of sound heard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from glatd.trainer.proof.plan import ALONE, GLAT, JUDGED, LONG, RANDOM, SHARED, SOUNDS, SWEEP, Plan
from glatd.trainer.proof.results import Result

MISSING = "–"
TITLES = {"talnet": "TALNet", "cnn10": "CNN10", "resnet38": "ResNet38", "at-sca": "AT-SCA", "mn": "MN"}
WINDOW_S = 10.0


@dataclass(frozen=True, slots=True)
class Entry:
    """What is trained, and by which way of looking it is judged (a key of a result's `ways`)."""

    row: str
    way: str
    trained: str
    judged: str


# The paper's Table 1, on equal terms: equal steps, and equal seconds heard in training and in use.
TABLE_1 = (
    Entry(ALONE, "global", "alone", "the whole clip"),
    Entry(ALONE, "all/fused", "alone", "and all windows"),
    Entry(ALONE, "more/fused", "alone", "and {more} random crops"),
    Entry(LONG, "global", "alone, as long as GL-AT", "the whole clip"),
    Entry(LONG, "all/fused", "alone, as long as GL-AT", "and all windows"),
    Entry(LONG, "more/fused", "alone, as long as GL-AT", "and {more} random crops"),
    Entry(RANDOM, "random/fused", "two streams, random crops", "and {crops} random crops"),
    Entry(RANDOM, "clip/fused", "two streams, random crops", "and {crops} crops, chosen"),
    Entry(GLAT, "clip/fused", "GL-AT", "and {crops} crops, chosen"),
)
GL_AT = TABLE_1[-1]
# Which crops, of the same trained networks.
CHOICES = (
    ("random/fused", "{crops} random"),
    ("clip/fused", "{crops}, one a class"),
    ("sounds/fused", "{crops}, one a sound"),
    ("even/fused", "{crops}, evenly spread"),
    ("all/fused", "all windows"),
    ("more/fused", "{more} random"),
)


class Results:
    """All there are of a plan."""

    def __init__(self, plan: Plan, found: Mapping[str, Result]) -> None:
        self.plan, self.found = plan, found
        self.networks = [recipe.name for recipe in plan.recipes]
        some = next((result for result in found.values() if result["row"] == GLAT), None)
        self.sizes = {"crops": some["crops"] if some else "K", "more": plan.file.random}

    def by_seed(self, network: str, row: str, way: str, figure: str = "map") -> dict[int, float]:
        """A figure of each seed that there is."""
        return {
            run.seed: result["ways"][way][figure]
            for run in self.plan.runs
            if run.network == network
            and run.row == row
            and (result := self.found.get(run.name)) is not None
            and way in result["ways"]
        }

    def cell(self, network: str, row: str, way: str, figure: str = "map", digits: int = 3) -> str:
        """Mean and spread over the seeds."""
        return spread(list(self.by_seed(network, row, way, figure).values()), digits)

    def heard(self, row: str, way: str) -> str:
        """Seconds of sound that a network hears of a clip to judge it so; the same for every network."""
        for result in self.found.values():
            if result["row"] == row:
                return f"{heard(result, way):.0f}"
        return MISSING


def heard(result: Result, way: str) -> float:
    """Seconds of sound heard of a clip by a way of looking."""
    where = way.rpartition("/")[0]
    length = result["crop_s"]
    looks = {"": 0, "more": result["more"], "all": int(WINDOW_S - length + 1e-6) + 1}
    return float(WINDOW_S + looks.get(where, result["crops"]) * length)


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Mean ± standard deviation; the one value where there is one."""
    if not values:
        return MISSING
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f}"


def difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> str:
    """Mean ± standard deviation of the differences, seed by seed, and in how many seeds ours is higher."""
    apart = [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]
    if not apart:
        return MISSING
    higher = sum(value > 0 for value in apart)
    around = f" ± {stdev(apart):.3f}" if len(apart) > 1 else ""
    return f"{mean(apart):+.3f}{around} ({higher} of {len(apart)})"


def lines(header: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> list[str]:
    """A table of Markdown, of which the first `words` columns are text and the others figures."""
    rule = ["---"] * words + ["--:"] * (len(header) - words)
    return ["| " + " | ".join(row) + " |" for row in (header, rule, *rows)]


def table_1(found: Results) -> list[str]:
    """mAP of every row, by network."""
    rows = []
    for entry in TABLE_1:
        cells = [found.cell(network, entry.row, entry.way) for network in found.networks]
        bold = entry == GL_AT
        judged = entry.judged.format(**found.sizes)
        words = [entry.trained, judged, found.heard(entry.row, entry.way)]
        rows.append([f"**{text}**" if bold else text for text in [*words, *cells]])
    return lines(["trained", "judged by", "heard, s", *map(title, found.networks)], rows, 2)


def differences(found: Results) -> list[str]:
    """GL-AT less each other row of `table_1`, seed by seed."""
    rows = []
    for entry in TABLE_1[:-1]:
        cells = [
            difference(found.by_seed(network, GLAT, GL_AT.way), found.by_seed(network, entry.row, entry.way))
            for network in found.networks
        ]
        rows.append([f"{entry.trained}; {entry.judged.format(**found.sizes)}", *cells])
    return lines(["GL-AT less", *map(title, found.networks)], rows, 1)


def figures(found: Results) -> list[str]:
    """The paper's three figures of the network alone and with GL-AT."""
    rows = []
    for network in found.networks:
        for row, way, name in ((ALONE, "global", "alone"), (GLAT, GL_AT.way, "GL-AT")):
            cells = [found.cell(network, row, way, figure) for figure in ("map", "mauc", "d_prime")]
            rows.append([title(network), name, *cells])
    return lines(["network", "", "mAP", "mAUC", "d-prime"], rows, 2)


def table_2(found: Results) -> list[str]:
    """Global, local and fused, with separate classifiers and a shared one."""
    rows = []
    for network in found.networks:
        for row, name in ((GLAT, "separate"), (SHARED, "shared")):
            cells = [found.cell(network, row, way) for way in ("global", "clip/local", "clip/fused")]
            rows.append([title(network), name, *cells])
    return lines(["network", "classifier", "global", "local", "fused"], rows, 2)


def choices(found: Results) -> list[str]:
    """Fused mAP of networks trained with GL-AT, by which crops are looked at."""
    header = ["network", *(name.format(**found.sizes) for _, name in CHOICES), "trained one a sound"]
    rows = []
    for network in found.networks:
        cells = [found.cell(network, GLAT, way) for way, _ in CHOICES]
        rows.append([title(network), *cells, found.cell(network, SOUNDS, "clip/fused")])
    for run in found.plan.runs:
        if run.row == JUDGED and run.name in found.found:
            cells = [found.cell(run.network, JUDGED, way) for way, _ in CHOICES]
            rows.append([f"`{run.network}`, as it is", *cells, MISSING])
    return lines(header, rows, 1)


def sweep(found: Results) -> tuple[list[tuple[int, float]], list[tuple[float, float]]]:
    """Fused mAP over N at the recipe's tau, and over tau (s) at the recipe's N: the paper's Fig. 2."""
    spec = found.plan.file.sweep
    over: dict[tuple[int, float], float] = {}
    own = (0, 0.0)
    for run in found.plan.runs:
        result = found.found.get(run.name)
        if result is None or run.network != spec.recipe or run.seed != spec.seed or run.row not in (SWEEP, GLAT):
            continue
        place = result["crops"], round(result["crop_s"], 3)
        over[place] = result["ways"]["clip/fused"]["map"]
        own = place if run.row == GLAT else own
    over_n = [(n, value) for (n, tau), value in sorted(over.items()) if tau == own[1]]
    over_tau = [(tau, value) for (n, tau), value in sorted(over.items()) if n == own[0]]
    return over_n, over_tau


def title(network: str) -> str:
    """As papers call it."""
    return TITLES.get(network, network)
