"""What `[clips]` and `[blank]` of a configuration say: which audio is kept, and which never is."""

import math
from dataclasses import dataclass

from glatd.errors import ConfigError

LONGEST_PRE_ROLL = 5.0  # s; an event is found up to some seconds after its onset, and 10 s are held
LONGEST_CLIP = 3600.0  # s
LONGEST_MARGIN = 10.0  # s
# Of the hop, with a blank rule: a sample waits for its verdict for 6 s of the 10 that are held.
LONGEST_HOP_TO_BLANK = 3.84  # s
SPEECH = ("Speech", "Shout", "Whispering", "Chatter", "Hubbub, speech noise, speech babble")


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """[clips]: the audio of events, kept as evidence. Nothing is kept without a folder."""

    folder: str = ""  # for the clips; "" keeps none
    labels: tuple[str, ...] = ()  # labels, or groups of AudioSet's ontology; none: of every class that is told
    streams: tuple[str, ...] = ("*",)  # globs
    pre_roll: float = 2.0  # s before the onset
    post_roll: float = 1.0  # s after the end
    longest: float = 60.0  # s of a clip, all in all; a longer event is cut off there
    days: float = 7.0  # that a clip is kept; 0 for ever
    megabytes: float = 1000.0  # of all clips, above which the oldest go; 0 for any


@dataclass(frozen=True, slots=True)
class BlankSettings:
    """[blank]: where somebody speaks, no audio is written, neither to clips nor to recordings."""

    speech: bool = False  # true: no audio of people who speak is written
    labels: tuple[str, ...] = SPEECH  # what counts as speech, with all that stands below it in the ontology
    threshold: float = 0.2  # score or activation of any of these, from which it is speech
    margin: float = 0.5  # s that are not written on either side of it
    streams: tuple[str, ...] = ("*",)  # globs


def check_privacy(clips: ClipSettings, blank: BlankSettings, hop: float, where: str) -> None:
    """Refuse values that cannot be. Labels are checked where the engine's are known.

    Raises:
        ConfigError: naming the key, the value and what can be.
    """
    for key, value, least, most in (
        ("clips.pre_roll", clips.pre_roll, 0.0, LONGEST_PRE_ROLL),
        ("clips.post_roll", clips.post_roll, 0.0, LONGEST_CLIP),
        ("clips.longest", clips.longest, 1.0, LONGEST_CLIP),
        ("clips.days", clips.days, 0.0, math.inf),
        ("clips.megabytes", clips.megabytes, 0.0, math.inf),
        ("blank.margin", blank.margin, 0.0, LONGEST_MARGIN),
    ):
        if not least <= value <= most or value == math.inf:  # also refuses NaN
            limit = f" to {most:g}" if most < math.inf else ""
            raise ConfigError(f"{where}: {key} = {value!r} must be a number from {least:g}{limit}")
    if not 0 < blank.threshold <= 1:
        raise ConfigError(f"{where}: blank.threshold = {blank.threshold!r} must be a score above 0 and up to 1")
    for key, streams in (("clips", clips.streams), ("blank", blank.streams)):
        if not streams:
            raise ConfigError(f'{where}: {key}.streams = [] is no stream; leave it out for all, or give ["yard*"]')
    if blank.speech and not blank.labels:
        raise ConfigError(f"{where}: blank.labels = [] is no speech; leave it out, or set blank.speech = false")
    if blank.speech and hop > LONGEST_HOP_TO_BLANK:
        raise ConfigError(
            f"{where}: hop = {hop:g} is too long to find all speech; give up to {LONGEST_HOP_TO_BLANK:g}, "
            "or set blank.speech = false"
        )
