"""End users whom a client names in a header of its own, as Open WebUI does."""

from collections.abc import Mapping

from image_gateway.models.forms import MAX_END_USER, CreateImageForm, EditImageForm
from image_gateway.routing.plan import Plan


def with_end_user(
    form: CreateImageForm | EditImageForm, plan: Plan, headers: Mapping[str, str]
) -> CreateImageForm | EditImageForm:
    """Return a form whose `user` is the value of the configured header.

    It is unchanged if it names a user, if no engine of the request supports users, or if the value cannot be one.

    Args:
        form: the request.
        plan: where the request may go; the configuration names the header, if any.
        headers: the request's headers; their names are compared without regard to case.
    """
    config = plan.first.for_all
    supported = any(destination.engine == "openai" for destination in plan.destinations)
    if not config.IMAGE_USER_HEADER or form.user is not None or not supported:
        return form
    name = config.IMAGE_USER_HEADER.lower()
    value = next((value.strip() for key, value in headers.items() if key.lower() == name), "")
    if not value or len(value) > MAX_END_USER or not (value.isascii() and value.isprintable()):
        return form
    return form.model_copy(update={"user": value})
