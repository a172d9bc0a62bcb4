"""Stops an AUTOMATIC1111 server when its response is no longer needed.

Facts: A1111's `modules/api/api.py` and `modules/shared_state.py`. The server continues after its client has
disconnected, and other requests wait meanwhile. `/interrupt` takes effect at the next sampling step. `job_count` of
`/progress` is 0 if nothing is being made, and -1 while the amount of work is not known.
"""

import asyncio
from contextlib import suppress

from image_gateway.engines.server import EngineServer
from image_gateway.errors import EngineError

_INTERRUPT_SECONDS = 5.0
_IDLE_SECONDS = 10.0
_POLL_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.5, 2.0, 2.5, 2.5)


async def interrupt_and_wait(server: EngineServer) -> None:
    """Interrupt the server's work and wait until it is idle, for 15 s at most.

    Errors are ignored: some servers lack one of the routes or fail at it.
    """
    with suppress(EngineError, TimeoutError):
        interrupting = asyncio.wait_for(server.send("POST", "/sdapi/v1/interrupt"), _INTERRUPT_SECONDS)
        # Shielded: the request must reach the server even if this task is canceled.
        await asyncio.shield(interrupting)
        async with asyncio.timeout(_IDLE_SECONDS):
            for wait in _POLL_SECONDS:
                if not await is_busy(server):
                    return
                await server.connection.sleep(wait)


async def is_busy(server: EngineServer) -> bool:
    """Return whether the server is working.

    Raises:
        EngineError: the server does not respond, or lacks the route.
    """
    progress = await server.json("GET", "/sdapi/v1/progress", params={"skip_current_image": "true"})
    state = progress.get("state") if isinstance(progress, dict) else None
    return isinstance(state, dict) and bool(state.get("job_count"))
