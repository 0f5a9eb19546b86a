"""Clips of events that somebody has judged, laid out as `glatd train finetune` wants recordings.

What was confirmed goes into a folder of the sound's name, what was rejected into `background`: what sounds like it to
the network and is not it teaches most.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from glatd.daemon.web.verdicts import NAME, Verdicts
from glatd.errors import ConfigError, DataError
from glatd.labels import BACKGROUND


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was laid out."""

    confirmed: dict[str, int]  # clips by folder
    rejected: int  # clips
    without_clip: int  # verdicts whose clip is not there: none was kept, or it was removed in time


def gather(journal: Path, clips: Path, out: Path, label: str = "", name: str = "") -> Gathered:
    """Copy the clips of judged events.

    Args:
        journal: folder with verdicts.jsonl.
        clips: folder of the clips.
        out: folder for `glatd train finetune`, which may hold recordings already.
        label: only events of this class; all when empty.
        name: folder of what was confirmed; the event's class when empty.

    Raises:
        ConfigError: there are no verdicts.
        DataError: clips cannot be read or written.
    """
    if not (journal / NAME).is_file():
        raise ConfigError(f"{journal} has no {NAME}: judge events on the dashboard, or name the folder of the journal")
    confirmed: dict[str, int] = {}
    rejected = without = 0
    for identity, line in Verdicts(journal).of.items():
        if label and line["label"] != label:
            continue
        clip = clips / f"{identity}.flac"
        if not clip.is_file():
            without += 1
            continue
        good = line["verdict"] == "confirmed"
        folder = (name or line["label"]) if good else BACKGROUND
        try:
            (out / folder).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(clip, out / folder / clip.name)
        except OSError as error:
            raise DataError(f"cannot copy {clip} into {out / folder}: {error.strerror}") from error
        if good:
            confirmed[folder] = confirmed.get(folder, 0) + 1
        else:
            rejected += 1
    return Gathered(confirmed, rejected, without)
