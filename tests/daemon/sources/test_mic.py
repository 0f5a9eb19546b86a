"""The real path of a microphone: PortAudio, ALSA, PulseAudio; and which device is meant."""

import json
import os
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from glatd.daemon.sources.capture import AUDIO_HEAD, Recorder
from glatd.daemon.sources.devices import Device, choose, with_lasting_names
from glatd.errors import SourceError
from tests.virtual_mic import RATE, VirtualMic

RECORD = Path(__file__).with_name("record.py")
# As on a machine that lacks the library.
MISSING = "import ctypes.util; ctypes.util.find_library = lambda name: None\n"


class Listener:
    """A process that listens to a source; see record.py."""

    def __init__(self, mic: VirtualMic, uri: str, seconds: float, *out: Path) -> None:
        command = [sys.executable, str(RECORD), uri, str(seconds), *map(str, out)]
        self._process = subprocess.Popen(
            command, env=mic.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def tells(self) -> dict[str, Any]:
        """The next thing it tells."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            pytest.fail(f"the recorder ended: {self._process.communicate(timeout=10)[1]}")
        told: dict[str, Any] = json.loads(line)
        return told

    def ends(self) -> None:
        """Wait for its end."""
        self._process.communicate(timeout=10)
        assert self._process.returncode == 0


@pytest.fixture(scope="module")
def mic() -> Iterator[VirtualMic]:
    with VirtualMic("vmic_a", "vmic_b") as virtual:
        yield virtual


def noise(path: Path, seconds: float) -> np.ndarray[Any, np.dtype[np.int16]]:
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, round(seconds * RATE), np.int16)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())
    return samples


@pytest.mark.device
def test_what_was_played_arrives_to_the_sample(mic: VirtualMic, tmp_path: Path) -> None:
    played = noise(tmp_path / "noise.wav", 2.0).astype(np.float32) / 2**15
    recorder = Listener(mic, "mic:vmic_a", 3.5, tmp_path / "heard.npy")
    first = recorder.tells()
    assert (first["rate"], first["channels"]) == (RATE, 1)
    assert abs(first["now"] - first["arrival"]) < 1.0
    mic.play(tmp_path / "noise.wav", "vmic_a")
    last = recorder.tells()
    recorder.ends()
    assert last["error"] == "" and last["jumps"] == []
    heard = np.load(tmp_path / "heard.npy")[:, 0]
    sounding = np.flatnonzero(heard)
    begin, end = sounding[0], sounding[-1] + 1
    kept = end - begin
    assert kept > len(played) - RATE // 5  # the sound server may swallow the start
    np.testing.assert_array_equal(heard[begin:end], played[len(played) - kept :])


@pytest.mark.device
def test_a_part_of_a_name_is_enough_and_the_default_has_none(mic: VirtualMic) -> None:
    for uri in "mic:MIC_B", "mic:":
        recorder = Listener(mic, uri, 0.8)
        assert recorder.tells()["rate"] == RATE
        assert recorder.tells()["error"] == ""
        recorder.ends()


@pytest.mark.device
def test_the_rate_of_a_sound_server_can_be_told(mic: VirtualMic) -> None:
    recorder = Listener(mic, "mic:vmic_a?rate=44100&channels=2", 0.8)
    first = recorder.tells()
    assert (first["rate"], first["channels"]) == (44_100, 2)
    recorder.tells()
    recorder.ends()


@pytest.mark.device
def test_an_unknown_device_lists_the_devices(mic: VirtualMic) -> None:
    recorder = Listener(mic, "mic:nowhere", 5)
    error = recorder.tells()["error"]
    assert "'nowhere'" in error and "vmic_a, vmic_b" in error and "\n" not in error
    recorder.ends()


@pytest.mark.device
def test_devices_are_listed(mic: VirtualMic) -> None:
    code = "from glatd.daemon.sources.mic import list_input_devices as l; print([(d.name, d.rate) for d in l()])"
    listed = subprocess.run(
        [sys.executable, "-c", code],
        env=mic.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "('vmic_a', 48000), ('vmic_b', 48000)" in listed.stdout
    assert listed.stderr == ""


@pytest.mark.device
def test_stop_is_heard_at_once_even_when_nothing_comes(mic: VirtualMic) -> None:
    recorder = Listener(mic, "mic:vmic_b", 2.0)
    recorder.tells()
    time.sleep(0.3)
    mic.suspend("vmic_b", True)
    try:
        last = recorder.tells()
        recorder.ends()
    finally:
        mic.suspend("vmic_b", False)
    assert last["error"] == "" and last["late"] < 0.5


@pytest.mark.device
def test_a_microphone_that_gives_nothing_has_stalled(mic: VirtualMic) -> None:
    recorder = Listener(mic, "mic:vmic_b", 30)
    recorder.tells()
    mic.suspend("vmic_b", True)
    try:
        error = recorder.tells()["error"]
        recorder.ends()
    finally:
        mic.suspend("vmic_b", False)
    assert "'vmic_b' stalled" in error and "\n" not in error


@pytest.mark.device
def test_what_the_driver_loses_without_telling_moves_the_index_on(mic: VirtualMic) -> None:
    recorder = Listener(mic, "mic:vmic_b", 4.5)
    recorder.tells()
    time.sleep(1.2)
    begin = time.monotonic()
    mic.suspend("vmic_b", True)
    time.sleep(1.0)
    mic.suspend("vmic_b", False)
    silent = time.monotonic() - begin
    last = recorder.tells()
    recorder.ends()
    assert last["error"] == ""
    assert 0.5 * RATE < sum(samples for _, samples in last["jumps"]) < (silent + 0.5) * RATE


@pytest.mark.device
@pytest.mark.parametrize(("fault", "told"), [("kill", "went away"), ("freeze", "stalled")])
def test_a_sound_server_that_dies_or_hangs_is_told(fault: str, told: str) -> None:
    with VirtualMic("vmic_c") as mic:
        recorder = Listener(mic, "mic:vmic_c", 30)
        recorder.tells()
        getattr(mic, fault)()
        begin = time.monotonic()
        error = recorder.tells()["error"]
        assert f"'vmic_c' {told}" in error and "\n" not in error
        recorder.ends()  # neither closing the stream nor leaving the interpreter hangs
        assert time.monotonic() - begin < 8.0


@pytest.mark.device
def test_a_sound_server_that_does_not_answer_is_told_on_stderr() -> None:
    with VirtualMic("vmic_d") as mic:
        mic.freeze()
        code = "from glatd.daemon.sources.mic import list_input_devices as l; l()"
        told = subprocess.run(
            [sys.executable, "-c", code],
            env=mic.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert told.returncode == 1
        assert told.stderr.splitlines()[-1].endswith("the sound system does not answer within 10 s; restart its server")


def test_without_portaudio_only_microphones_fail(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(MISSING)
    listed = "mic.list_input_devices()"
    opened = "next(uri.parse_source('mic:').blocks())"
    for asked in listed, opened:
        told = subprocess.run(
            [sys.executable, "-c", f"from glatd.daemon.sources import mic, uri; {asked}"],
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert told.returncode == 1
        assert "SourceError: microphones need the PortAudio library" in told.stderr
        assert told.stderr.splitlines()[-1].endswith("apt-get install libportaudio2")


HALL = Device("Hall", 0, 1, 44_100, False)
YARD = Device("Yard: USB (hw:1,0)", 3, 2, 48_000, True)
YARDS = Device("Yards: USB (hw:2,0)", 4, 2, 48_000, False)


@pytest.mark.parametrize(
    ("name", "device"), [("", YARD), ("Hall", HALL), ("hall", HALL), ("(hw:2", YARDS), (YARD.name, YARD)]
)
def test_a_device_is_chosen_by_name_or_a_part_of_it(name: str, device: Device) -> None:
    assert choose([HALL, YARD, YARDS], name) is device


@pytest.mark.parametrize(
    ("devices", "name", "told"),
    [
        ([HALL, YARD, YARDS], "yard", "microphone 'yard' could be several.*Yard: USB.*Yards: USB"),
        ([HALL, YARD], "Cellar", "no microphone 'Cellar'; there are: Hall, Yard.*(default)"),
        ([HALL], "", "no default microphone; write mic:NAME .*Hall"),
        ([], "Hall", "no microphone 'Hall'; this machine has no microphone"),
    ],
)
def test_no_device_or_several_are_errors_that_list_them(devices: list[Device], name: str, told: str) -> None:
    with pytest.raises(SourceError, match=told):
        choose(devices, name)


def test_the_number_of_a_card_is_no_part_of_the_name_that_lasts() -> None:
    again = replace(YARD, name="Yard: USB (hw:3,0)")
    assert choose([HALL, again], "Yard: USB") is again
    assert [device.name for device in with_lasting_names([HALL, YARD, YARDS])] == ["Hall", "Yard: USB", "Yards: USB"]
    twins = [YARD, again]  # only their numbers tell them apart
    assert with_lasting_names(twins) == twins
    with pytest.raises(SourceError, match="could be several"):
        choose(twins, "Yard: USB")


def test_what_only_the_sound_server_lists_comes_last() -> None:
    served = Device("alsa_input.usb-Yard.mono", 5, 1, 48_000, False, "alsa_input.usb-Yard.mono")
    assert choose([HALL, YARD, served], "yard") is YARD
    assert choose([HALL, served], "yard") is served
    assert choose([HALL, YARD, served], "alsa_input.usb") is served


def test_a_daemon_that_is_too_far_behind_loses_audio_not_memory() -> None:
    recorder = Recorder()
    fine = SimpleNamespace(input_overflow=False)
    for _ in range(1100):
        recorder.callback(bytes(480 * 4), 480, None, fine)
    kept = [recorder.said.get_nowait() for _ in range(recorder.said.qsize())]
    assert len(kept) == 1000
    recorder.callback(bytes(480 * 4), 480, None, fine)
    _, rest = recorder.said.get_nowait()
    assert AUDIO_HEAD.unpack_from(rest)[0] == 1100 * 480
