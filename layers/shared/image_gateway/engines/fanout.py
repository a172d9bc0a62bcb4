"""Combines several engine calls into one result, for engines that return fewer images per call than requested."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence

from image_gateway.engines.protocol import EngineResult
from image_gateway.engines.usage import TokenCounts, add_counts
from image_gateway.errors import EngineError


async def gather_results(calls: Iterable[Awaitable[EngineResult]], *, done: EngineResult | None = None) -> EngineResult:
    """Run engine calls concurrently and combine their images in the order of the calls.

    Args:
        calls: the calls.
        done: what an earlier call returned; it comes first.

    Returns:
        The combined result of the calls that succeeded. If some failed, a warning holds their number and error texts.

    Raises:
        EngineError: every call failed. This is the first call's error. `may_have_cost` is set if it is for any of them;
            `outstanding` if it is for every call that may have cost.
    """
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    return combine_results([done, *outcomes] if done else outcomes)


def combine_results(outcomes: Sequence[EngineResult | BaseException]) -> EngineResult:
    """Combine what calls returned and raised: see `gather_results`."""
    failed = [outcome for outcome in outcomes if isinstance(outcome, EngineError)]
    unexpected = [outcome for outcome in outcomes if isinstance(outcome, BaseException) and outcome not in failed]
    results = [outcome for outcome in outcomes if isinstance(outcome, EngineResult)]
    if unexpected:
        raise unexpected[0]
    if failed and not any(result.images for result in results):
        costly = [error for error in failed if error.may_have_cost]
        failed[0].may_have_cost = bool(costly)
        failed[0].outstanding = all(error.outstanding for error in costly or failed)
        failed[0].usage = _usage_of(failed)
        raise failed[0]
    result = EngineResult()
    for part in results:
        result.images += part.images
        result.warnings += [warning for warning in part.warnings if warning not in result.warnings]
        result.usage = add_counts(result.usage, part.usage)
        result.reported = {**part.reported, **result.reported}
        result.handled |= part.handled
        result.sent = result.sent or part.sent
        result.lost += part.lost
        result.may_have_cost_more = result.may_have_cost_more or part.may_have_cost_more
        if part.seconds is not None:
            result.seconds = (result.seconds or 0.0) + part.seconds
    if failed:
        reasons = "; ".join(dict.fromkeys(error.detail for error in failed))
        result.warnings.append(f"{len(failed)} of {len(outcomes)} calls failed: {reasons}")
        result.usage = add_counts(result.usage, _usage_of(failed))
        result.may_have_cost_more = result.may_have_cost_more or any(error.may_have_cost for error in failed)
    return result


def _usage_of(failed: Sequence[EngineError]) -> TokenCounts | None:
    """Return the tokens of answers without images."""
    total: TokenCounts | None = None
    for error in failed:
        total = add_counts(total, error.usage)
    return total
