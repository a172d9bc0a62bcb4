"""What a job may cost, before it runs, and what it has cost."""

from image_gateway.access.principals import Principal
from image_gateway.engines.protocol import ImageRequest
from image_gateway.errors import NotConfigured
from image_gateway.metering.cost import Consumption, cost_of, reservation_for
from image_gateway.metering.prices import find_price, size_names
from image_gateway.metering.providers import provider_of
from image_gateway.metering.scopes import DEPLOYMENT, end_user_scope
from image_gateway.models.fields import Size
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.jobs import Job, JobCost
from image_gateway.models.money import from_micros, to_micros
from image_gateway.models.prices import PriceRow
from image_gateway.models.sizes import wanted_size
from image_gateway.routing.destination import Destination
from image_gateway.routing.plan import Plan


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


def event_scopes(owner: str, plan: Plan) -> list[str]:
    """Return whose budgets count for a request by event: that of its source and that of the deployment."""
    scopes = [owner] if owner in plan.metering.limited_events else []
    return [*scopes, *([DEPLOYMENT] if plan.metering.limited else [])]


def reserved_micros(plan: Plan, form: CreateImageForm | EditImageForm, *, limited: bool) -> int:
    """Return what is held for a request, in millionths of a dollar: the most that one of its destinations costs.

    Args:
        plan: where the request may go.
        form: the request.
        limited: whether any limits count for it.

    Raises:
        NotConfigured: it is limited, a destination has no price, and the operator refuses such requests.
    """
    expected = {each.model or each.key: _expected_micros(each, form) for each in plan.usable}
    unknown = [model for model, micros in expected.items() if micros is None]
    if unknown and limited and plan.metering.refuses_unknown_prices:
        message = f"There is no price for {unknown[0]}, and requests without one are refused: ask the operator for it"
        raise NotConfigured(message, field="model")
    return max(micros or 0 for micros in expected.values())


def _expected_micros(destination: Destination, form: CreateImageForm | EditImageForm) -> int | None:
    default = destination.config.IMAGE_EDIT_SIZE if destination.edit else destination.config.IMAGE_SIZE
    # A ratio or a size class has the price of the pixels that the engine is asked for.
    pixels = wanted_size(form.size, form.aspect_ratio, default or "", None).size
    row = _price(destination, str(pixels) if pixels else form.size or default or "", form.quality)
    held = reservation_for(row, form.n or 1)
    return None if held is None else to_micros(held)


def actual_cost(job: Job, destination: Destination, request: ImageRequest, images: int, seconds: float) -> JobCost:
    """Return what a job cost whose engine has answered.

    Args:
        job: the job, with what the engine reported.
        destination: where it went.
        request: what the engine was asked for.
        images: how many images it made.
        seconds: how long it took.
    """
    size = str(request.size) if request.size else ""
    row = _price(destination, size, job.reported.get("quality") or request.quality)
    cost = cost_of(row, Consumption(images=images, seconds=seconds, usage=job.usage))
    return JobCost(usd=cost.usd, basis=cost.basis)


def cost_from_reservation(job: Job) -> JobCost:
    """Return the cost of a job of which only the images are known: what was held for it."""
    held = from_micros(job.reserved)
    return JobCost(usd=held, basis="price" if job.reserved else "unknown")


def _price(destination: Destination, size: str, quality: str | None) -> PriceRow | None:
    parsed = Size.parse(size)
    return find_price(
        destination.price_rows,
        connection=destination.connection,
        provider=provider_of(destination.engine, destination.url),
        model=destination.model or "",
        sizes=size_names(parsed.width, parsed.height) if parsed else {size},
        quality=quality,
    )
