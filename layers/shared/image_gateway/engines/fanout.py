"""Several pictures from engines that give fewer per call: concurrent calls, order kept, some may fail."""

import asyncio
from collections.abc import Awaitable, Iterable

from image_gateway.engines.base import EngineResult
from image_gateway.errors import EngineError


async def gather(calls: Iterable[Awaitable[EngineResult]]) -> EngineResult:
    """Run engine calls at once and put their pictures together in the order of the calls.

    Returns:
        What was made; a warning in the engine's own words for what was not.

    Raises:
        EngineError: every call failed; the first one's error.
    """
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    failed = [outcome for outcome in outcomes if isinstance(outcome, EngineError)]
    unexpected = [outcome for outcome in outcomes if isinstance(outcome, BaseException) and outcome not in failed]
    made = [outcome for outcome in outcomes if isinstance(outcome, EngineResult)]
    if unexpected:
        raise unexpected[0]
    if failed and not any(result.images for result in made):
        raise failed[0]
    result = EngineResult()
    for part in made:
        result.images += part.images
        result.warnings += [warning for warning in part.warnings if warning not in result.warnings]
        result.usage = _added(result.usage, part.usage)
    if failed:
        result.warnings.append(f"{len(failed)} of {len(outcomes)} calls failed: {failed[0].detail}")
    return result


def _added(left: dict[str, object] | None, right: dict[str, object] | None) -> dict[str, object] | None:
    """The sum of two token counts, number by number."""
    if left is None or right is None:
        return left or right
    total = dict(left)
    for name, value in right.items():
        have = total.get(name)
        if isinstance(have, int) and isinstance(value, int):
            total[name] = have + value
        elif isinstance(have, dict) and isinstance(value, dict):
            total[name] = _added(have, value)
    return total
