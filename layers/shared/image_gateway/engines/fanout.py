"""Several images from engines that give fewer per call: concurrent calls, order kept, some may fail."""

import asyncio
from collections.abc import Awaitable, Iterable

from image_gateway.engines.protocol import EngineResult
from image_gateway.errors import EngineError


async def gather(calls: Iterable[Awaitable[EngineResult]]) -> EngineResult:
    """Run engine calls at once and put their images together in the order of the calls.

    Returns:
        What was made; a warning in the engine's own words for what was not.

    Raises:
        EngineError: every call failed; the first one's error, which may have cost what any of them may have cost; it is
            outstanding where all of that is.
    """
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    failed = [outcome for outcome in outcomes if isinstance(outcome, EngineError)]
    unexpected = [outcome for outcome in outcomes if isinstance(outcome, BaseException) and outcome not in failed]
    made = [outcome for outcome in outcomes if isinstance(outcome, EngineResult)]
    if unexpected:
        raise unexpected[0]
    if failed and not any(result.images for result in made):
        costly = [error for error in failed if error.may_have_cost]
        failed[0].may_have_cost = bool(costly)
        failed[0].outstanding = all(error.outstanding for error in costly or failed)
        raise failed[0]
    result = EngineResult()
    for part in made:
        result.images += part.images
        result.warnings += [warning for warning in part.warnings if warning not in result.warnings]
        result.usage = _added(result.usage, part.usage)
        result.reported = {**part.reported, **result.reported}
        result.handled |= part.handled
    if failed:
        reasons = "; ".join(dict.fromkeys(error.detail for error in failed))
        result.warnings.append(f"{len(failed)} of {len(outcomes)} calls failed: {reasons}")
    return result


def _added(left: dict[str, object] | None, right: dict[str, object] | None) -> dict[str, object] | None:
    """The sum of two token counts, number by number."""
    if left is None or right is None:
        return left or right
    total = {**right, **left}
    for name in left.keys() & right.keys():
        one, other = left[name], right[name]
        if isinstance(one, int | float) and isinstance(other, int | float):
            total[name] = one + other
        elif isinstance(one, dict) and isinstance(other, dict):
            total[name] = _added(one, other)
    return total
