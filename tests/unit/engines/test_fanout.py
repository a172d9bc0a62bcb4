"""Several engine calls combined into one result."""

import asyncio

import pytest

from image_gateway.engines.fanout import gather_results
from image_gateway.engines.protocol import EngineImage, EngineResult
from image_gateway.errors import EngineError, EngineRateLimited, EngineUnavailable
from tests.polling import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio


async def succeed(
    *images: bytes, warnings: tuple[str, ...] = (), usage: dict[str, object] | None = None
) -> EngineResult:
    return EngineResult([EngineImage(image) for image in images], list(warnings), usage)


async def fail(error: Exception) -> EngineResult:
    raise error


async def test_images_have_the_order_of_the_calls() -> None:
    """The calls end in reverse order."""
    last_first = [asyncio.Event() for _ in range(3)]
    last_first[2].set()

    async def call(number: int) -> EngineResult:
        await last_first[number].wait()
        if number:
            last_first[number - 1].set()
        return await succeed(bytes([number]))

    async with asyncio.timeout(DEADLINE_SECONDS):
        result = await gather_results(call(number) for number in range(3))

    assert [image.data for image in result.images] == [b"\0", b"\1", b"\2"]


async def test_failed_calls_are_a_warning_if_others_succeed() -> None:
    """The warning counts the failures and has each reason once."""
    result = await gather_results(
        [fail(EngineError("no paint")), succeed(b"a"), fail(EngineError("no paint")), fail(EngineError("no brush"))]
    )

    assert [image.data for image in result.images] == [b"a"]
    assert result.warnings == ["3 of 4 calls failed: no paint; no brush"]


async def test_the_first_error_is_raised_if_all_calls_fail() -> None:
    """There is no image to return."""
    with pytest.raises(EngineError, match="no paint"):
        await gather_results([fail(EngineError("no paint")), fail(EngineError("no brush"))])


@pytest.mark.parametrize(
    ("first", "second", "outstanding"),
    [
        (EngineUnavailable("a", may_have_cost=True, outstanding=True), EngineUnavailable("b"), True),
        (EngineUnavailable("a"), EngineUnavailable("b", may_have_cost=True, outstanding=True), True),
        (EngineUnavailable("a", may_have_cost=True, outstanding=True), EngineError("b", may_have_cost=True), False),
        (EngineUnavailable("a", may_have_cost=True), EngineUnavailable("b", may_have_cost=True), False),
    ],
)
async def test_the_error_is_outstanding_only_if_every_paid_call_is(
    first: EngineError, second: EngineError, *, outstanding: bool
) -> None:
    """One call that was paid and is lost for good means that no call is repeated."""
    with pytest.raises(EngineError, match="a") as caught:
        await gather_results([fail(first), fail(second)])

    assert caught.value.may_have_cost
    assert caught.value.outstanding is outstanding


async def test_calls_without_images_do_not_hide_a_failure() -> None:
    """A call without an image is not a success."""
    with pytest.raises(EngineError, match="no paint"):
        await gather_results([succeed(), fail(EngineError("no paint"))])


async def test_the_error_may_have_cost_if_any_call_may() -> None:
    """All calls failed."""
    with pytest.raises(EngineRateLimited) as error:
        await gather_results(
            [fail(EngineRateLimited("slow down")), fail(EngineUnavailable("lost", may_have_cost=True))]
        )

    assert error.value.may_have_cost


async def test_an_unexpected_exception_is_raised() -> None:
    """A defect is not reported as a warning."""
    with pytest.raises(ZeroDivisionError):
        await gather_results([succeed(b"a"), fail(ZeroDivisionError())])


async def test_equal_warnings_appear_once() -> None:
    """Several calls may give the same warning."""
    result = await gather_results([succeed(b"a", warnings=("small", "gray")), succeed(b"b", warnings=("small",))])

    assert result.warnings == ["small", "gray"]


@pytest.mark.parametrize(
    ("left", "right", "total"),
    [
        (None, None, None),
        ({"tokens": 1}, None, {"tokens": 1}),
        (None, {"tokens": 1}, {"tokens": 1}),
        ({"tokens": 1, "cost": 0.5}, {"tokens": 2, "cost": 0.25}, {"tokens": 3, "cost": 0.75}),
        ({"in": {"text": 1}}, {"in": {"text": 2, "image": 3}}, {"in": {"text": 3, "image": 3}}),
        ({"in": {"text": 1}, "total": 1}, {"total": 2}, {"in": {"text": 1}, "total": 3}),
    ],
)
async def test_usage_is_added(
    left: dict[str, object] | None, right: dict[str, object] | None, total: dict[str, object] | None
) -> None:
    """Token counts are added number by number. A count that only one call reports stays as it is."""
    result = await gather_results([succeed(b"a", usage=left), succeed(b"b", usage=right)])

    assert result.usage == total


@pytest.mark.parametrize("may_have_cost", [True, False])
async def test_a_failed_call_beside_others_may_have_cost_more(may_have_cost: bool) -> None:
    """What its answer took is counted with the rest."""
    error = EngineUnavailable("lost", may_have_cost=may_have_cost)
    error.usage = {"input_tokens": 5, "output_tokens": 1}

    result = await gather_results([fail(error), succeed(b"a", usage={"input_tokens": 2, "output_tokens": 7})])

    assert result.may_have_cost_more is may_have_cost
    assert result.usage == {"input_tokens": 7, "output_tokens": 8}


async def test_the_seconds_of_all_calls_are_added() -> None:
    """As far as servers report them."""
    timed = [EngineResult([EngineImage(b"a")], seconds=seconds) for seconds in (1.5, None, 2.0)]

    async def give(result: EngineResult) -> EngineResult:
        return result

    assert (await gather_results(map(give, timed))).seconds == 3.5
