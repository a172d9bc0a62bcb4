"""Several engine calls put together."""

import asyncio

import pytest

from image_gateway.engines.fanout import gather_results
from image_gateway.engines.protocol import EngineImage, EngineResult
from image_gateway.errors import EngineError, EngineRateLimited, EngineUnavailable

pytestmark = pytest.mark.anyio


async def made(*images: bytes, warnings: tuple[str, ...] = (), usage: dict[str, object] | None = None) -> EngineResult:
    return EngineResult([EngineImage(image) for image in images], list(warnings), usage)


async def failed(error: Exception) -> EngineResult:
    raise error


async def test_order_is_that_of_the_calls() -> None:
    """Calls that end in reverse give their images in the order in which they were made."""
    last_first = [asyncio.Event() for _ in range(3)]
    last_first[2].set()

    async def call(number: int) -> EngineResult:
        await last_first[number].wait()
        if number:
            last_first[number - 1].set()
        return await made(bytes([number]))

    async with asyncio.timeout(5):
        result = await gather_results(call(number) for number in range(3))

    assert [image.data for image in result.images] == [b"\0", b"\1", b"\2"]


async def test_some_fail() -> None:
    """What was made is kept; the warning counts the failures and gives each reason once."""
    result = await gather_results(
        [failed(EngineError("no paint")), made(b"a"), failed(EngineError("no paint")), failed(EngineError("no brush"))]
    )

    assert [image.data for image in result.images] == [b"a"]
    assert result.warnings == ["3 of 4 calls failed: no paint; no brush"]


async def test_all_fail() -> None:
    """The first failure is raised."""
    with pytest.raises(EngineError, match="no paint"):
        await gather_results([failed(EngineError("no paint")), failed(EngineError("no brush"))])


@pytest.mark.parametrize(
    ("first", "second", "outstanding"),
    [
        (EngineUnavailable("a", may_have_cost=True, outstanding=True), EngineUnavailable("b"), True),
        (EngineUnavailable("a"), EngineUnavailable("b", may_have_cost=True, outstanding=True), True),
        (EngineUnavailable("a", may_have_cost=True, outstanding=True), EngineError("b", may_have_cost=True), False),
        (EngineUnavailable("a", may_have_cost=True), EngineUnavailable("b", may_have_cost=True), False),
    ],
)
async def test_what_all_calls_may_have_cost_is_outstanding_together(
    first: EngineError, second: EngineError, *, outstanding: bool
) -> None:
    """One call that is paid and lost for good is enough not to ask for all of them again."""
    with pytest.raises(EngineError, match="a") as caught:
        await gather_results([failed(first), failed(second)])

    assert caught.value.may_have_cost
    assert caught.value.outstanding is outstanding


async def test_calls_without_images_do_not_hide_a_failure() -> None:
    """A call that gave no image is no success."""
    with pytest.raises(EngineError, match="no paint"):
        await gather_results([made(), failed(EngineError("no paint"))])


async def test_any_cost_counts() -> None:
    """When all fail, the error that is raised may have cost if any of them may."""
    with pytest.raises(EngineRateLimited) as error:
        await gather_results(
            [failed(EngineRateLimited("slow down")), failed(EngineUnavailable("lost", may_have_cost=True))]
        )

    assert error.value.may_have_cost


async def test_what_nobody_expected_is_raised() -> None:
    """A bug is not reported as a warning."""
    with pytest.raises(ZeroDivisionError):
        await gather_results([made(b"a"), failed(ZeroDivisionError())])


async def test_warnings_are_told_once() -> None:
    """The same warning from several calls stands once."""
    result = await gather_results([made(b"a", warnings=("small", "grey")), made(b"b", warnings=("small",))])

    assert result.warnings == ["small", "grey"]


@pytest.mark.parametrize(
    ("left", "right", "total"),
    [
        (None, None, None),
        ({"tokens": 1}, None, {"tokens": 1}),
        (None, {"tokens": 1}, {"tokens": 1}),
        ({"tokens": 1, "cost": 0.5}, {"tokens": 2, "cost": 0.25}, {"tokens": 3, "cost": 0.75}),
        ({"in": {"text": 1}}, {"in": {"text": 2, "image": 3}}, {"in": {"text": 3, "image": 3}}),
        ({"model": "a", "tokens": 1}, {"model": "b", "tokens": None}, {"model": "a", "tokens": 1}),
    ],
)
async def test_usage_is_added(
    left: dict[str, object] | None, right: dict[str, object] | None, total: dict[str, object] | None
) -> None:
    """Token counts are added number by number; anything else stays the first call's."""
    result = await gather_results([made(b"a", usage=left), made(b"b", usage=right)])

    assert result.usage == total
