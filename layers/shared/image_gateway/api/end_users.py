"""End users of HTTP requests: who a trusted front end says that a request is for."""

from collections.abc import Mapping
from contextlib import suppress

from pydantic import BaseModel, Field

from image_gateway.access.principals import Principal
from image_gateway.aws import Remaining
from image_gateway.container import Gateway
from image_gateway.errors import InvalidRequest
from image_gateway.jobs.end_users import RequestUser
from image_gateway.models.forms import END_USER_FIELDS, MAX_END_USER, CreateImageForm, EditImageForm


class EndUserHeaders(BaseModel):
    """The headers with which Open WebUI names its users, if its `ENABLE_FORWARD_USER_INFO_HEADERS` is set.

    Source: `utils/headers.py` of Open WebUI 0.6 and later, read in November 2026.
    """

    x_openwebui_user_id: list[str] = Field(
        [], description="The end user, where the token has `forwards_users`: the id that Open WebUI sends."
    )
    x_openwebui_user_email: list[str] = Field([], description="The end user without an id: the address.")

    def end_users(self) -> dict[str, list[str]]:
        """Return the values by the name of their header, the one that comes first first."""
        return {
            "X-OpenWebUI-User-Id": self.x_openwebui_user_id,
            "X-OpenWebUI-User-Email": self.x_openwebui_user_email,
        }


async def identify(
    form: CreateImageForm | EditImageForm,
    headers: EndUserHeaders,
    *,
    request_headers: Mapping[str, str],
    principal: Principal,
    gateway: Gateway,
    remaining: Remaining,
) -> tuple[CreateImageForm | EditImageForm, RequestUser]:
    """Return whom a request is for, and its form without the names of users that are not to be stored.

    Names of callers that are not trusted stay what they are, and nothing is read for them.

    Args:
        form: the request.
        headers: the headers that name end users.
        request_headers: all of its headers.
        principal: the caller.
        gateway: the deployment's gateway.
        remaining: returns the seconds that are left for the request.

    Raises:
        InvalidRequest: the end user cannot be determined. It is not ignored, because its budget would be, too.
        NotConfigured: the deployment has lost its key.
        StorageUnavailable: the configuration cannot be read.
    """
    if not principal.forwards_users:
        return form, RequestUser(headers=request_headers)
    end_user = named_end_user(form, headers)
    labels = await gateway.end_users.labels(remaining)
    user = RequestUser(labels.label(end_user) if end_user else "", request_headers, labels.hidden)
    names = {name: getattr(form, name) for name in END_USER_FIELDS}
    hidden = {name: labels.hidden(value) for name, value in names.items() if value and value.strip()}
    return form.model_copy(update=hidden), user


def named_end_user(form: CreateImageForm | EditImageForm, headers: EndUserHeaders) -> str:
    """Return the id of the end user that a request names; empty if it names none.

    Raises:
        InvalidRequest: it names several in one place, or the id is too long or not printable.
    """
    for header, values in headers.end_users().items():
        ids = [text for value in values if (text := _decoded(value).strip())]
        # API Gateway joins the values of a header that was sent twice with a comma.
        if len(ids) > 1 or any("," in text for text in ids):
            raise InvalidRequest(f"{header}: must be sent once, and without a comma", field=header)
        if ids:
            return _checked(ids[0], header)
    for name in END_USER_FIELDS:
        if text := (getattr(form, name) or "").strip():
            return _checked(text, name)
    return ""


def _checked(end_user: str, field: str) -> str:
    if len(end_user) > MAX_END_USER or not end_user.isprintable():
        raise InvalidRequest(f"{field}: must be 1 to {MAX_END_USER} printable characters", field=field)
    return end_user


def _decoded(value: str) -> str:
    """Return the text of a header that was sent in UTF-8. Each step on its way may have read it as Latin-1."""
    with suppress(UnicodeError):
        while value != (decoded := value.encode("latin-1").decode()):
            value = decoded
    return value
