"""Typed trees from TOML: what is taken, and errors that name the key, the value and the nearest."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glatd.config import build
from glatd.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Inner:
    """A table."""

    name: str
    size: int = 3


@dataclass(frozen=True, slots=True)
class Outer:
    """One field of each kind."""

    rate: float = 1.0
    on: bool = False
    mode: Literal["fast", "exact"] = "fast"
    limit: int | None = None
    inner: Inner = Inner("default")
    many: tuple[Inner, ...] = ()
    pair: tuple[int, str] = (0, "")
    named: dict[str, int] = field(default_factory=dict)


def test_an_empty_table_gives_the_defaults() -> None:
    assert build(Outer, {}, "x.toml") == Outer()


def test_tables_arrays_and_whole_numbers_are_converted() -> None:
    tree = {
        "rate": 2, "on": True, "mode": "exact", "limit": 7, "inner": {"name": "a"},
        "many": [{"name": "b", "size": 1}], "pair": [4, "x"], "named": {"c": 5},
    }
    made = build(Outer, tree, "x.toml")
    assert made == Outer(2.0, True, "exact", 7, Inner("a"), (Inner("b", 1),), (4, "x"), {"c": 5})
    assert isinstance(made.rate, float)


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"raet": 1.0}, "x.toml: unknown key 'raet'; did you mean 'rate'?"),
        ({"zzzzzz": 1}, "x.toml: unknown key 'zzzzzz'; known keys: rate, on, mode"),
        ({"inner": {"name": "a", "siez": 1}}, "x.toml: inner: unknown key 'siez'; did you mean 'size'?"),
        ({"inner": {}}, "x.toml: inner: the key 'name' is missing"),
        ({"inner": 3}, "x.toml: inner = 3 must be a table"),
        ({"rate": "fast"}, "x.toml: rate = 'fast' must be of type float"),
        ({"rate": 10**400}, "x.toml: rate = 1000"),
        ({"rate": True}, "x.toml: rate = True must be of type float"),
        ({"limit": True}, "x.toml: limit = True must be of type int"),
        ({"limit": 1.5}, "x.toml: limit = 1.5 must be of type int"),
        ({"on": 1}, "x.toml: on = 1 must be of type bool"),
        ({"mode": "slow"}, "x.toml: mode = 'slow' must be one of 'fast', 'exact'"),
        ({"mode": ["fast"]}, "x.toml: mode = ['fast'] must be one of"),
        ({"many": {"name": "b"}}, "x.toml: many = {'name': 'b'} must be an array"),
        ({"many": [{"nmae": "b"}]}, "x.toml: many: unknown key 'nmae'; did you mean 'name'?"),
        ({"pair": [1]}, "x.toml: pair = [1] must have 2 values"),
        ({"named": {"c": "5"}}, "x.toml: named.c = '5' must be of type int"),
    ],
)
def test_an_error_names_the_place_the_value_and_the_remedy(tree: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(Outer, tree, "x.toml")
    assert said in str(caught.value)


TOML_VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "size", "x"]), inner),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # the machine may be as busy as it likes
@given(st.dictionaries(st.sampled_from([*Outer.__dataclass_fields__, "x"]), TOML_VALUES, max_size=4))
def test_any_tree_gives_settings_or_a_config_error(tree: dict[str, Any]) -> None:
    with suppress(ConfigError):
        build(Outer, tree, "x.toml")
