"""Browsers that look at one stream each, without their drawing: python -m benchmarks.viewer URL COUNT

Each asks for what a page asks for that shows a stream: its spectrogram, and the scores of four classes. At the end of
standard input it prints one line of JSON, and ends.
"""

import asyncio
import json
import sys
import time
from typing import Any

from websockets.asyncio.client import connect

LABELS = ["Speech", "Music", "Vehicle", "Dog"]


async def look(url: str, stream: str, seen: dict[str, Any]) -> None:
    """One of them, until it is cancelled."""
    async with connect(url, compression=None, max_size=None) as socket:
        await socket.send(json.dumps({"watch": {"streams": [stream], "labels": LABELS}}))
        async for message in socket:
            seen["bytes"] += len(message)
            if isinstance(message, bytes):
                seen["pictures"] += 1
                continue
            fields = json.loads(message)
            seen["messages"] += 1
            if fields["type"] == "missed":
                seen["missed"] += fields["count"]


async def main() -> None:
    """Look until standard input ends."""
    seen = {"bytes": 0, "pictures": 0, "messages": 0, "missed": 0}
    began = time.monotonic()
    lookers = [asyncio.create_task(look(sys.argv[1], f"s{number}", seen)) for number in range(int(sys.argv[2]))]
    await asyncio.to_thread(sys.stdin.read)
    failed = [str(task.exception()) for task in lookers if task.done()]
    for task in lookers:
        task.cancel()
    await asyncio.gather(*lookers, return_exceptions=True)
    print(json.dumps(seen | {"seconds": time.monotonic() - began, "failed": failed}))


if __name__ == "__main__":
    asyncio.run(main())
