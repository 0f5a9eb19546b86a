"""Recordings as files of this machine: those behind URLs are fetched ahead, while others are tagged."""

import shutil
import tempfile
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

from glatd.daemon.archive.find import Input, is_url
from glatd.daemon.archive.store import filesystem
from glatd.errors import GlatdError, SourceError
from glatd.redact import redact

AHEAD = 4  # recordings
AHEAD_BYTES = 256 << 20  # of them; the next one is fetched whatever its size


def local_files(inputs: Sequence[Input]) -> Generator[tuple[int, Path | GlatdError], None, None]:
    """Each recording as a path, or why it is none; a fetched one is there until the next is asked for."""
    with ExitStack() as stack:
        folder: Path | None = None
        fetching: deque[tuple[int, Future[Path]]] = deque()
        threads: ThreadPoolExecutor | None = None
        following = 0
        for index, item in enumerate(inputs):
            if not is_url(item.file):
                yield index, Path(item.file)
                continue
            if threads is None or folder is None:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="glatd-fetched-")))
                threads = stack.enter_context(closing_pool(AHEAD))
            following = max(following, index)
            while following < len(inputs) and _room(inputs, fetching, following):
                if is_url(inputs[following].file):
                    place = folder / str(following)
                    fetching.append((following, threads.submit(_fetch, inputs[following], place)))
                following += 1
            _, future = fetching.popleft()
            try:
                yield index, future.result()
            except GlatdError as error:
                yield index, error
            shutil.rmtree(folder / str(index), ignore_errors=True)


def closing_pool(count: int) -> "closing[_Pool]":
    """Threads that do not begin what nobody waits for any more."""
    return closing(_Pool(count, thread_name_prefix="fetch"))


class _Pool(ThreadPoolExecutor):
    def close(self) -> None:
        self.shutdown(wait=True, cancel_futures=True)


def _room(inputs: Sequence[Input], fetching: Sequence[tuple[int, object]], following: int) -> bool:
    waiting = sum(inputs[index].size for index, _ in fetching)
    return not fetching or (len(fetching) < AHEAD and waiting + inputs[following].size <= AHEAD_BYTES)


def _fetch(item: Input, folder: Path) -> Path:
    folder.mkdir()
    # The suffix tells FFmpeg about formats that have no mark of their own.
    path = folder / f"recording{item.suffix}"
    try:
        store, name = filesystem(item.file)
        store.get_file(name, str(path))
    except Exception as error:  # each store has errors of its own
        why = redact(str(error) or type(error).__name__)
        raise SourceError(f"{item.name} cannot be fetched: {why}; check it and the network") from error
    return path
