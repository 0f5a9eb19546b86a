"""People who speak, through the real networks: nothing that they say is on the disk."""

import io
import signal
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from glatd.audio import Block, Missing, read_mono
from glatd.cli import replay as replay_command
from glatd.daemon.events.settings import EventSettings
from glatd.daemon.privacy.settings import BlankSettings, ClipSettings
from glatd.daemon.recording.layout import BLANKED
from glatd.daemon.recording.reader import open_recording
from glatd.daemon.settings import Settings, read_settings
from glatd.engines.engine import Engine
from glatd.errors import ConfigError
from glatd.labels import mids_below
from tests.daemon.privacy.listened import Listened, listened
from tests.daemon.processes import glatd, running
from tests.daemon.sounds import RATE, Floats, write_wav

SPOKE = (9.0, 14.0)  # s
BARKED = (4.0, 20.0)  # s, each for 5 s at most
LEAST = 10 ** (-45 / 10)  # power of what could be understood, of full scale


@dataclass
class Heard:
    """A run over a dog, a person and the dog again."""

    sound: Floats
    said: Listened
    folder: Path


@pytest.fixture(scope="module")
def heard(engine: Engine, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Heard:
    """Clips that would hold what was said: 5 s before each event, and 10 s after it."""
    folder = tmp_path_factory.mktemp("spoken")
    clips = shared / "audio" / "clips"
    sound = (1e-4 * np.random.default_rng(1).standard_normal(27 * RATE)).astype(np.float32)
    bark = read_mono(clips / "esc" / "dog" / "1-100032-A.ogg", RATE)
    speech = read_mono(clips / "librosa" / "00_01.ogg", RATE)
    for second, clip in ((BARKED[0], bark), (SPOKE[0], speech), (BARKED[1], bark)):
        at = round(second * RATE)
        sound[at : at + len(clip)] += clip[: 5 * RATE] * np.float32(0.3 / np.abs(clip).max())
    settings = Settings(
        node="edge-1",
        publish="",
        record=str(folder / "rec"),
        events=replace(EventSettings(), on=0.2, off=0.1),
        clips=ClipSettings(folder=str(folder / "clips"), pre_roll=5.0, post_roll=10.0),
        blank=BlankSettings(speech=True),
    )
    return Heard(sound, listened(engine, folder, sound, settings), folder)


def understood(sound: Floats) -> np.ndarray:
    """[n] whether somebody speaks loud enough to be understood: the level of each 20 ms."""
    first, last = (round(second * RATE) for second in SPOKE)
    part = RATE // 50
    power = np.square(sound[first:last], dtype=np.float64).reshape(-1, part).mean(1)
    found = np.zeros(len(sound), bool)
    found[first:last] = np.repeat(power >= LEAST, part)
    return found


def test_no_clip_holds_what_was_said_and_each_tells_so(heard: Heard) -> None:
    spoken = understood(heard.sound)
    assert spoken.mean() > 0.1  # of the whole
    assert len(heard.said.clips) >= 2 and any(event.mid in mids_below("Speech") for event in heard.said.events)
    covered = barked = 0
    for clip in heard.said.clips.values():
        first, last = clip.about["start"], clip.about["end"]
        assert len(clip.samples) == last - first
        assert not clip.samples[spoken[first:last]].any()
        covered += int(spoken[first:last].sum())
        told = np.zeros(last - first, bool)
        for start, end, cause in clip.about["silent"]:
            assert cause == BLANKED
            told[start - first : end - first] = True
        assert not clip.samples[told].any()
        assert np.array_equal(clip.samples[~told], heard.said.samples[first:last][~told])
        assert clip.about["silent_seconds"] == pytest.approx(told.sum() / RATE, abs=0.01)
        barked += int((~told).sum())
    assert covered > spoken.sum() and barked > RATE


def test_no_recording_holds_it_either_and_its_gaps_say_why(heard: Heard) -> None:
    spoken = understood(heard.sound)
    (source,) = open_recording(heard.folder / "rec").streams
    written = np.zeros(len(heard.sound), bool)
    causes = set()
    for piece in source.blocks():
        if isinstance(piece, Missing):
            causes.add(piece.cause)
            continue
        assert isinstance(piece, Block) and piece.rate == RATE
        at = slice(piece.start, piece.start + len(piece.samples))
        written[at] = True
        whole = np.round(piece.samples[:, 0] * 32_768)
        assert np.array_equal(np.clip(whole, -32_767, None), heard.said.samples[at])
    assert causes == {BLANKED} and source.complete
    assert not (written & spoken).any()
    assert written[:RATE].all() and written[-RATE:].all() and written.mean() > 0.3


def test_a_replay_of_it_is_honest(heard: Heard) -> None:
    """What the live run heard and the recording has not is no difference, but is told."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    out = io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(io.StringIO()):
            rec = str(heard.folder / "rec")
            code = replay_command.main([rec, "--expect", rec], standalone_mode=False)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert code == 0, out.getvalue()
    assert "not compared" in out.getvalue()


def test_clips_of_a_daemon_and_what_check_says_of_them(tmp_path: Path, shared: Path) -> None:
    bark = read_mono(shared / "audio" / "clips" / "esc" / "dog" / "1-100032-A.ogg", RATE)
    source = write_wav(tmp_path / "dog.wav", bark[: 5 * RATE])
    config = tmp_path / "glatd.toml"
    config.write_text(
        f'publish = ""\njournal = "{tmp_path}/journal"\n[events]\non = 0.3\noff = 0.2\n'
        f'[clips]\nfolder = "{tmp_path}/clips"\nlabels = ["Animal"]\ndays = 2\n'
        f'[[source]]\nname = "yard"\nuri = "file:{source}"\n'
    )
    checked = glatd("check", config)
    assert checked.returncode == 0, checked.stderr
    (line,) = [line for line in checked.stdout.splitlines() if line.startswith("clips")]
    assert "GB free, at most 1000 MB; of Animal, kept for 2 days" in line and not (tmp_path / "clips").exists()
    with running("run", "--config", config, "--format", "jsonl") as daemon:
        assert daemon.end() == 0
    events = [message for message in daemon.messages if message["type"] == "event"]
    named = {event["evidence"]["clip"] for event in events if event["phase"] == "end" and "clip" in event["evidence"]}
    assert named and named == {path.name for path in (tmp_path / "clips").iterdir()}
    assert not [line for line in daemon.errors if "ERROR" in line or "Traceback" in line]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("[clips]\npre_roll = 6.0", "clips.pre_roll = 6.0 must be a number from 0 to 5"),
        ("[clips]\nlongest = 0.5", "clips.longest = 0.5 must be a number from 1 to 3600"),
        ("[clips]\ndays = -1", "clips.days = -1.0 must be a number from 0"),
        ("[clips]\nmegabytes = inf", "clips.megabytes = inf must be a number from 0"),
        ("[clips]\nstreams = []", "clips.streams = [] is no stream"),
        ("[blank]\nthreshold = 0.0", "blank.threshold = 0.0 must be a score above 0"),
        ("[blank]\nmargin = nan", "blank.margin = nan must be a number from 0 to 10"),
        ("[blank]\nspeech = true\nlabels = []", "blank.labels = [] is no speech"),
        ("[blank]\nspeach = true", "unknown key 'speach'; did you mean 'speech'?"),
        ("hop = 4.8\n[blank]\nspeech = true", "hop = 4.8 is too long to find all speech; give up to 3.84"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, lines: str, said: str) -> None:
    config = tmp_path / "glatd.toml"
    config.write_text(lines)
    with pytest.raises(ConfigError) as raised:
        read_settings(config)
    assert said in str(raised.value)
