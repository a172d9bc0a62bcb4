"""What a job may cost, before it runs, and what it has cost."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from image_gateway.access.principals import Principal
from image_gateway.config.metering import Metering
from image_gateway.engines import REGISTRY
from image_gateway.engines.protocol import EngineImage, EngineResult, ImageRequest, SentRequest
from image_gateway.errors import NotConfigured
from image_gateway.images.sniff import sniff
from image_gateway.jobs.expected_request import ExpectedRequest, deployment_name, expected_request, priced_quality
from image_gateway.jobs.prompt_pricing import prompt_reservation
from image_gateway.metering.cost import Consumption, cost_of, reservation_for
from image_gateway.metering.expected_tokens import ImageSpec, expected_tokens
from image_gateway.metering.prices import PriceQuery, find_price, possible_prices, size_names
from image_gateway.metering.providers import provider_of
from image_gateway.metering.scopes import DEPLOYMENT, end_user_scope
from image_gateway.models.fields import Size
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.jobs import Job, JobCost
from image_gateway.models.money import from_micros, to_micros
from image_gateway.models.prices import PriceRow
from image_gateway.routing.destination import Destination
from image_gateway.routing.failures import FREE, UNSUPPORTED
from image_gateway.routing.plan import Plan

_WITHOUT_IMAGES: Final = FREE | {"content_blocked", UNSUPPORTED}
"""Failures after which no image can have been paid. A refusal of the content may have taken some tokens."""
_REWRITTEN_BYTES: Final = 4_000
"""How long a rewritten prompt is expected to be."""


def limited_scopes(principal: Principal, plan: Plan, end_user: str = "") -> list[str]:
    """Return whose limits count for a request: those of its caller and of the deployment, as far as they have any.

    Args:
        principal: the caller. Its limits say whether its end users have budgets.
        plan: where the request may go.
        end_user: the label of its end user; empty if it has none.
    """
    scopes = [principal.owner] if principal.metered else []
    if scopes and end_user:
        scopes.append(end_user_scope(principal.owner, end_user))
    return [*scopes, *([DEPLOYMENT] if plan.metering.limited else [])]


def event_scopes(owner: str, metering: Metering) -> list[str]:
    """Return whose budgets count for a request by event: that of its source and that of the deployment."""
    scopes = [owner] if owner in metering.limited_events else []
    return [*scopes, *([DEPLOYMENT] if metering.limited else [])]


def reserve(
    job: Job, plan: Plan, form: CreateImageForm | EditImageForm, *, limited: bool, input_images: int | None = None
) -> None:
    """Set what is held for a job, in millionths of a dollar: the most that one of its destinations costs.

    If a route passes requests on after failures that may have cost, it is what all its targets cost together. The
    rewriting of the prompt is added, where that has a price.

    Args:
        job: the new job.
        plan: where it may go.
        form: its request.
        limited: whether any limits count for it.
        input_images: how many images it is made from, with the mask; None for as many as the form names.

    Raises:
        NotConfigured: it is limited, a destination has no price, and the operator refuses such requests.
    """
    inputs = _input_images(form) if input_images is None else input_images
    stakes: dict[int, int] = {0: 0}
    # A target that cannot be used now may be when the worker runs the job. One that only a newer version knows cannot.
    for each in (each for each in plan.destinations if each.engine in REGISTRY):
        held = _expected(each, form, inputs)
        if held is None and limited and plan.metering.refuses_unknown_prices and each in plan.usable:
            name = each.model or each.workflow or each.key
            message = f"There is no price for {name}, and requests without one are refused: ask the operator for it"
            raise NotConfigured(message, field="model")
        micros, estimated = held or (0, False)
        stakes[each.target or 0] = micros
        job.estimated = job.estimated or estimated
    job.stakes = [stakes.get(number, 0) for number in range(max(stakes) + 1)] if any(stakes.values()) else []
    costly = {*plan.fallback_on} - _WITHOUT_IMAGES
    job.reserved = sum(stakes.values()) if costly else max(stakes.values())
    if not plan.first.edit:
        job.prompt_reserved = prompt_reservation(plan.first, form.prompt)
        job.reserved += job.prompt_reserved


def _expected(
    destination: Destination, form: CreateImageForm | EditImageForm, input_images: int
) -> tuple[int, bool] | None:
    """Return what a destination may cost, in millionths of a dollar, and whether that is an estimate; None: no price.

    What the engine chooses, such as the size of a request that names none, counts as the dearest.
    """
    expected = expected_request(destination, form)
    query = _query(destination, expected.model, expected.sizes, expected.quality)
    rows = possible_prices(destination.price_rows, query)
    if not rows:
        return None
    prompt_bytes = len(form.prompt.encode(errors="replace"))
    if destination.for_all.ENABLE_IMAGE_PROMPT_GENERATION and not destination.edit:
        prompt_bytes = max(prompt_bytes, _REWRITTEN_BYTES)
    tokens = expected_tokens(
        ImageSpec(
            model=query.model,
            pixels=expected.pixels,
            sizes=expected.sizes,
            quality=expected.quality,
            input_images=input_images,
            prompt_bytes=prompt_bytes,
        )
    )
    seconds = _longest_seconds(destination, expected)
    held = [reservation_for(row, expected.images, tokens=tokens, seconds=seconds) for row in rows]
    return max(to_micros(usd) for usd in held if usd is not None), any(map(_is_estimated, rows))


def _longest_seconds(destination: Destination, expected: ExpectedRequest) -> float:
    """Return how long an engine may work: each of ComfyUI's runs as long as its timeout, other engines all together."""
    runs = expected.images if destination.engine == "comfyui" else 1
    return destination.config.IMAGE_ENGINE_TIMEOUT * runs


def _is_estimated(row: PriceRow) -> bool:
    return bool(row.usd_per_million or row.usd_per_second or row.reserve_usd)


def set_cost(job: Job, destination: Destination, request: ImageRequest, result: EngineResult, seconds: float) -> None:
    """Set what a job cost whose engine has answered, and what it may have cost in addition.

    Args:
        job: the job, with what the engine reported.
        destination: where it went.
        request: what the engine was to make.
        result: what it made, and what was sent to it in the end.
        seconds: how long that took, without the rewriting of the prompt.
    """
    worked = result.seconds
    # A resumed run may have taken longer than this attempt, and no clock of a server is trusted for more.
    if worked is None or not 0 <= worked <= destination.config.IMAGE_ENGINE_TIMEOUT * request.n:
        worked = seconds
    images = len(result.images) + result.lost
    row = find_price(destination.price_rows, _final_query(destination, request, result))
    cost = cost_of(row, Consumption(images=images, seconds=worked, usage=job.usage))
    at_risk = job.at_risk
    if cost.basis == "unknown":
        # Tokens that nobody has counted, or a size that has no price.
        at_risk += job.at_stake
    elif result.may_have_cost_more and images < request.n:
        at_risk += -(-job.at_stake * (request.n - images) // request.n)
    job.cost = JobCost(usd=cost.usd + from_micros(job.charged), basis=cost.basis)
    job.uncertain_usd = from_micros(at_risk) if at_risk else None


def charge_failed_answer(job: Job, destination: Destination, usage: Mapping[str, Any] | None) -> None:
    """Add to a job what an answer without images has cost, if the engine has counted its tokens."""
    if not usage:
        return
    query = _query(destination, destination.model or "", frozenset(), None)
    cost = cost_of(find_price(destination.price_rows, query), Consumption(images=0, usage=usage))
    if cost.basis == "usage":
        job.charged += to_micros(cost.usd)


def set_cost_of_restored(job: Job) -> None:
    """Set the cost of a job of which only the images are known: what was held for it, if that is a price.

    An estimate says what it may have cost.
    """
    known = 0 if job.estimated else job.at_stake
    at_risk = job.at_risk + job.prompt_reserved + (job.at_stake - known)
    job.cost = JobCost(usd=from_micros(known + job.charged), basis="price" if known else "unknown")
    job.uncertain_usd = from_micros(at_risk) if at_risk else None


def _final_query(destination: Destination, request: ImageRequest, result: EngineResult) -> PriceQuery:
    """Return the query for the price of images, by what was sent to the engine, or else by the first image."""
    sent = result.sent or SentRequest(size=str(request.size) if request.size else None, quality=request.quality)
    size = Size.find(sent.size) or (None if sent.size_class else _size_of(result.images))
    sizes = {sent.size_class} if sent.size_class else set(size_names(size.width, size.height)) if size else set()
    if sent.size_class and (made := _size_of(result.images)):
        sizes.add(str(made))
    quality = priced_quality(result.reported.get("quality")) or priced_quality(sent.quality)
    return _query(destination, sent.model or destination.model or "", frozenset(sizes), quality)


def _query(destination: Destination, model: str, sizes: frozenset[str], quality: str | None) -> PriceQuery:
    engine, url = destination.engine, destination.url
    if engine == "openai":
        model = model or deployment_name(url)
    elif engine == "gemini":
        model = model.removeprefix("models/")
    return PriceQuery(
        connection=destination.connection,
        provider=provider_of(engine, url),
        model=model,
        workflow=destination.workflow or "",
        sizes=sizes,
        quality=quality,
    )


def _size_of(images: Sequence[EngineImage]) -> Size | None:
    try:
        found = sniff(images[0].data) if images else None
    except ValueError:
        return None
    return Size(found.width, found.height) if found and found.width and found.height else None


def _input_images(form: CreateImageForm | EditImageForm) -> int:
    if not isinstance(form, EditImageForm):
        return 0
    return (1 if isinstance(form.image, str) else len(form.image)) + (form.mask is not None)
