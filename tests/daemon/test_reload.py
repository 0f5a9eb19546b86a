"""What a changed configuration does to what runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glatd.daemon.reload import Plan, named, plan
from glatd.daemon.settings import Settings, SourceSettings
from glatd.errors import ConfigError

YARD = SourceSettings("mic:USB", "yard")
GATE = SourceSettings("tcp://127.0.0.1:9000", "gate")
MIC = SourceSettings("mic:")


def settings(*sources: SourceSettings, hop: float = 0.96, top: int = 10) -> Settings:
    return Settings(source=sources, hop=hop, top=top)


def test_the_same_configuration_disturbs_nothing() -> None:
    assert plan(settings(YARD, GATE), settings(GATE, YARD)) == Plan((), (), ("yard", "gate"), ())
    assert plan(settings(YARD), settings(YARD)).text == "no source has changed"


def test_sources_come_go_and_change() -> None:
    moved = SourceSettings("tcp://127.0.0.1:9001", "gate")
    new = SourceSettings("file:night.flac")
    result = plan(settings(YARD, GATE, MIC), settings(moved, MIC, new))
    assert result.removed == ("yard", "gate")
    assert result.added == (moved, SourceSettings("file:night.flac", "night"))
    assert result.kept == ("mic",)
    assert result.text == "added night; changed gate; removed yard"


def test_an_option_of_a_source_is_a_change_of_it() -> None:
    result = plan(settings(YARD, GATE), settings(YARD, SourceSettings(GATE.uri, "gate", reconnect=False)))
    assert result.removed == ("gate",) and [source.name for source in result.added] == ["gate"]
    assert result.kept == ("yard",)


def test_a_name_that_is_given_to_what_had_the_same_by_default_is_no_change() -> None:
    assert plan(settings(MIC), settings(SourceSettings("mic:", "mic"))).kept == ("mic",)


def test_a_name_may_stand_in_the_uri() -> None:
    assert named([SourceSettings(" yard=mic:USB")]) == {"yard": YARD}
    assert plan(settings(SourceSettings("yard=mic:USB")), settings(YARD)).kept == ("yard",)


def test_settings_that_need_a_restart_are_named() -> None:
    assert plan(settings(YARD), settings(YARD, hop=1.92, top=0)).needs_restart == ("hop", "top")
    assert plan(settings(YARD), settings(GATE)).needs_restart == ()


def test_a_source_that_cannot_be_is_refused_before_anything_is_done() -> None:
    with pytest.raises(ConfigError, match="unknown scheme"):
        plan(settings(YARD), settings(YARD, SourceSettings("gopher://x")))
    with pytest.raises(ConfigError, match="two sources are named 'yard'"):
        plan(settings(YARD), settings(YARD, YARD))


URIS = st.sampled_from(["mic:", "mic:USB", "file:a.wav", "file:b/a.wav", "tcp://127.0.0.1:9000"])
SOURCES = st.lists(st.builds(SourceSettings, URIS, muted=st.booleans()), max_size=6)


@given(SOURCES, SOURCES)
def test_after_the_plan_there_is_what_the_new_file_says(old: list[SourceSettings], new: list[SourceSettings]) -> None:
    running = named(old)
    result = plan(settings(*old), settings(*new))
    for name in result.removed:
        del running[name]
    for source in result.added:
        assert source.name not in running
        running[source.name] = source
    assert running == named(new)
    assert set(result.kept) <= set(named(old)) & set(named(new))
