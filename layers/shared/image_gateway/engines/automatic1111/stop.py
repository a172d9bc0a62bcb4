"""How an AUTOMATIC1111 server is brought to rest when nobody waits for its answer any more.

Facts: A1111's `modules/api/api.py` and `modules/shared_state.py`. The server goes on for a caller that went away, and
lets others wait meanwhile. `/interrupt` takes effect at the next sampling step. `job_count` of `/progress` is 0 where
nothing is made, and -1 where it is not known yet how much will be.
"""

import asyncio
from contextlib import suppress

from image_gateway.engines.server import EngineServer
from image_gateway.errors import EngineError

_INTERRUPT_SECONDS = 5.0
_REST_SECONDS = 10.0
_WAITS = (0.1, 0.2, 0.4, 0.8, 1.5, 2.0, 2.5, 2.5)


async def bring_to_rest(server: EngineServer) -> None:
    """Interrupt what the server makes, and wait until it makes nothing: for 15 s at most.

    Servers that lack one of the routes, or fail at it, are left alone: nothing is raised for them.
    """
    with suppress(EngineError, TimeoutError):
        interrupting = asyncio.wait_for(server.send("POST", "/sdapi/v1/interrupt"), _INTERRUPT_SECONDS)
        # Whoever has no time to wait for it wants it to arrive all the same.
        await asyncio.shield(interrupting)
        async with asyncio.timeout(_REST_SECONDS):
            for wait in _WAITS:
                if not await _is_at_work(server):
                    return
                await server.connection.sleep(wait)


async def _is_at_work(server: EngineServer) -> bool:
    progress = await server.json("GET", "/sdapi/v1/progress", params={"skip_current_image": "true"})
    state = progress.get("state") if isinstance(progress, dict) else None
    return isinstance(state, dict) and bool(state.get("job_count"))
