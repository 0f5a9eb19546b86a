"""One contender in a process of its own, so that its memory and its start are its own, too.

    python -m benchmarks.peers.worker KEY PARTS FOLDER

PARTS is JSON (`Parts.as_plain`), FOLDER has the sound as raw float32, `sound-RATE.f32`. It loads the contender, hears
a stream until there is an answer and says so; then it obeys lines of standard input, and answers each with a line of
JSON:

    turn N          hear N hops of that stream
    streams N       open N streams more and hear HOPS hops of each
    judge IN OUT    score the clips of an .npz (an array for each rate, named by it) into an .npy
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.contender import CONTENDERS, Floats, Network, parts_of
from benchmarks.startup import resident

HOPS = 12  # more than a window: by then a stream keeps all that it ever will


def endless(path: Path, hop: int) -> Iterator[Floats]:
    """Hops of a sound, over and over; read piece by piece, so that the sound is not in this process's memory."""
    whole = path.stat().st_size // 4 // hop
    while True:
        for number in range(whole):
            yield np.fromfile(path, np.float32, hop, offset=4 * hop * number)


def until_answer(hear: Callable[[Floats], Any], sound: Iterator[Floats]) -> int:
    """Hear hops until something is said; how many it took. glatd's first window ends at 1.92 s."""
    hops = 1
    while not len(hear(next(sound))):
        hops += 1
        if hops > HOPS:
            raise RuntimeError(f"no answer in {HOPS} hops")
    return hops


def turn(network: Network, hear: Any, sound: Iterator[Floats], hops: int) -> dict[str, Any]:
    """Hear some hops: CPU seconds a second of sound, of all threads, and wall seconds of each hop."""
    heard = [next(sound) for _ in range(hops)]
    wall = []
    cpu = time.process_time()
    for samples in heard:
        began = time.perf_counter()
        hear(samples)
        wall.append(time.perf_counter() - began)
    cpu = time.process_time() - cpu
    return {"cpu_s_per_stream_s": cpu * network.rate / (hops * network.hop), "wall_s": wall}


def judge(network: Network, given: Path, out: Path) -> None:
    """Scores [N, n, C] of N clips of n windows each."""
    with np.load(given) as file:
        clips = file[str(network.rate)]
    np.save(out, np.stack([network.clip(np.asarray(clip, np.float32) / 32_768) for clip in clips]))


def main() -> None:
    """Obey."""
    (contender,) = (one for one in CONTENDERS if one.key == sys.argv[1])
    network = contender.make(parts_of(json.loads(sys.argv[2])))
    sound = endless(Path(sys.argv[3], f"sound-{network.rate}.f32"), network.hop)
    hear = network.listen()
    hops = until_answer(hear, sound)
    more: list[Any] = []
    answer: dict[str, Any] = {"rate": network.rate, "hop_s": network.hop / network.rate, "trained": network.trained}
    answer |= {"mids": list(network.mids), "first_answer_hops": hops}
    print(json.dumps(answer), flush=True)
    for line in sys.stdin:
        asked, *given = line.split("\t")
        answer = {}
        if asked == "turn":
            answer = turn(network, hear, sound, int(given[0]))
        elif asked == "streams":
            before = resident()
            for _ in range(int(given[0])):
                more.append(network.listen())
                for _ in range(HOPS):
                    more[-1](next(sound))
            answer = {"added_mb": resident() - before, "before_mb": before}
        elif asked == "judge":
            judge(network, Path(given[0]), Path(given[1].strip()))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
