"""Admission of requests: where a request may go, provided that its caller may send it there."""

from dataclasses import dataclass

from image_gateway.access.principals import Principal
from image_gateway.aws import Remaining
from image_gateway.errors import InvalidRequest
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.jobs import Channel
from image_gateway.routing.plan import Plan
from image_gateway.routing.router import Router

_MARGIN_SECONDS = 6.0
"""Seconds of a request's time that the first read of the configuration must leave: the job is queued after it."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A workflow to try, and the connection of the server that runs it."""

    workflow: str
    connection: str


async def admit(
    router: Router,
    form: CreateImageForm | EditImageForm,
    principal: Principal,
    channel: Channel,
    *,
    trial: Trial | None,
    remaining: Remaining,
) -> Plan:
    """Return where a request may go, provided that its caller may send it there.

    Args:
        router: decides where requests go.
        form: the request.
        principal: the caller.
        channel: the API of the request.
        trial: the workflow to try; None for a request that goes where its model leads.
        remaining: returns the seconds that are left for the request.

    Raises:
        NotFound: there is no such workflow to try.
        Disabled: generation or editing is switched off.
        Forbidden: the caller may not use that engine or that model.
        NotConfigured: no target of the route can be used.
        InvalidRequest: the engine does not support the output format, and no image can be converted to it.
        StorageUnavailable: the configuration cannot be read.
    """

    def reading() -> float:
        return remaining() - _MARGIN_SECONDS

    if trial:
        plan = await router.try_workflow(trial.workflow, trial.connection, remaining=reading)
    else:
        edit = isinstance(form, EditImageForm)
        # On other channels, a slash can be part of the model's name, which comes from the engine's own list.
        allow_prefix = channel == "openai"
        plan = await router.find(form.model, edit=edit, allow_prefix=allow_prefix, remaining=reading)
    # First, because a problem names connections.
    for destination in plan.destinations:
        principal.require(destination.engine, destination.model, connection=destination.connection, route=plan.route)
    if problem := plan.usable[0].problem:
        raise problem
    engines = {destination.engine: None for destination in plan.destinations}
    if channel == "openai" and form.output_format == "gif" and "openai" not in engines:
        message = f"output_format: {' and '.join(engines)} does not support gif: choose png, jpeg or webp"
        raise InvalidRequest(message, field="output_format")
    return plan
