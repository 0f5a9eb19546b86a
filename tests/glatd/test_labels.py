"""The label file against AudioSet's own lists, which lie in ../shared."""

import csv
import json
from pathlib import Path

import pytest

from glatd.errors import ConfigError
from glatd.labels import ancestors, audioset, class_index, mids_below, node_mid, own_mid

MID_OF_DOG, MID_OF_ANIMAL, MID_OF_BARK = "/m/0bt9lr", "/m/0jbk", "/m/05tny_"


def test_there_are_527_labels_each_once() -> None:
    labels = audioset()
    assert len(labels) == 527
    assert len({label.name for label in labels}) == len({label.mid for label in labels}) == 527


def test_names_and_order_are_those_of_audioset(shared: Path) -> None:
    with (shared / "models" / "audioset_class_labels_indices.csv").open(newline="", encoding="utf-8") as file:
        expected = [(row["display_name"], row["mid"]) for row in csv.DictReader(file)]
    assert [(label.name, label.mid) for label in audioset()] == expected


def test_an_index_is_found_by_name() -> None:
    assert class_index("Speech") == 0
    assert audioset()[class_index("Vehicle horn, car horn, honking")].name == "Vehicle horn, car horn, honking"


@pytest.mark.parametrize(
    ("wrong", "right"), [("dog", "Dog"), ("Aplause", "Applause"), ("Computer keybord", "Computer keyboard")]
)
def test_a_misspelt_name_is_told_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown label '{wrong}'; did you mean '{right}'"):
        class_index(wrong)


def test_a_name_that_is_near_nothing_is_refused_without_a_guess() -> None:
    with pytest.raises(ConfigError, match=r"unknown label 'q{9}'$"):
        class_index("q" * 9)


def test_a_class_of_one_s_own_is_asked_for_by_its_prefix() -> None:
    assert node_mid("own:Village bell") == own_mid("Village bell") == "/own/Village bell"
    assert mids_below("own:Village bell") == {"/own/Village bell"}
    assert ancestors(own_mid("Dog")) == frozenset()
    with pytest.raises(ConfigError, match="unknown label or group 'Zzyzx'; a class of your own is asked for"):
        node_mid("Zzyzx")


def test_ancestors_reach_to_the_top_and_leave_oneself_out() -> None:
    above = ancestors(MID_OF_BARK)
    assert {MID_OF_DOG, MID_OF_ANIMAL} <= above
    assert MID_OF_BARK not in above
    assert ancestors("no such mid") == frozenset()


def test_ancestors_are_those_of_the_ontology(shared: Path) -> None:
    nodes = json.loads((shared / "models" / "audioset_ontology.json").read_text(encoding="utf-8"))
    parents: dict[str, set[str]] = {node["id"]: set() for node in nodes}
    for node in nodes:
        for child in node["child_ids"]:
            parents[child].add(node["id"])

    def above(mid: str) -> set[str]:
        return parents[mid].union(*(above(parent) for parent in parents[mid]))

    for label in audioset():
        assert ancestors(label.mid) == above(label.mid), label.name
