"""End users of requests: whom a request is for, and what engines get as its `user`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from image_gateway.models.forms import MAX_END_USER, CreateImageForm, EditImageForm
from image_gateway.routing.plan import Plan


def _unchanged(name: str) -> str:
    return name


@dataclass(frozen=True, slots=True)
class RequestUser:
    """Whom a request is for.

    Attributes:
        label: the label of the end user; empty if none was named, or if the caller is not trusted to name one.
        headers: the request's headers, of which the configuration may name one that has the `user` for engines. Their
            names are compared without regard to case.
        hidden: returns what is stored and sent to engines in place of a name in a header.
    """

    label: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    hidden: Callable[[str], str] = _unchanged


NOBODY = RequestUser()
"""The request names nobody."""


def with_end_user(
    form: CreateImageForm | EditImageForm, plan: Plan, user: RequestUser
) -> CreateImageForm | EditImageForm:
    """Return a form whose `user` is the value of the configured header.

    It is unchanged if it names a user, if no engine of the request supports users, or if the value cannot be one.

    Args:
        form: the request.
        plan: where the request may go; the configuration names the header, if any.
        user: has the request's headers.
    """
    config = plan.first.for_all
    supported = any(destination.engine == "openai" for destination in plan.destinations)
    if not config.IMAGE_USER_HEADER or form.user is not None or not supported:
        return form
    name = config.IMAGE_USER_HEADER.lower()
    value = next((value.strip() for key, value in user.headers.items() if key.lower() == name), "")
    if not value or len(value) > MAX_END_USER or not (value.isascii() and value.isprintable()):
        return form
    return form.model_copy(update={"user": user.hidden(value)})
