"""A server that accepts connections and stays silent, and time that passes without waiting."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

from tests.loop_time import controlled_time

_STEP_SECONDS = 0.25
FACTOR = "AWS_TIME_LIMIT_FACTOR"
"""The variable that tests of time limits remove: the sandbox multiplies the limits."""


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """Run the server for the life of the block; the value is its URL."""
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.read()

    server = await asyncio.start_server(accept, "127.0.0.1")
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        for writer in writers:
            writer.close()
        server.close()


async def seconds_until_done(work: Awaitable[object]) -> float:
    """Return how many seconds of the event loop's time some work takes, while the time passes at once.

    An exception of the work is not raised.
    """
    with controlled_time(asyncio.get_running_loop(), stopped=True) as loop_time:
        started = loop_time.now()
        task = asyncio.ensure_future(work)
        while not task.done():
            # Without new events in some iterations, the work waits for time to pass.
            for _ in range(50):
                await asyncio.sleep(0)
            # Threads that look up an address need some real time.
            time.sleep(0.001)  # noqa: ASYNC251 - the loop's time has stopped
            loop_time.advance(_STEP_SECONDS)
        await asyncio.wait([task])
        return loop_time.now() - started
