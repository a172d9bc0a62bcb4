"""What a response says about the credentials of its request."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse

INVALID_TOKEN, NO_TOKEN, FORBIDDEN, ALLOWED = '401 Bearer error="invalid_token"', "401 Bearer", "403", "allowed"


def outcome(response: "ApiResponse") -> str:
    """Return a response as the table spells it; errors have the shape of their API."""
    if response.status not in (401, 403):
        return ALLOWED
    code = response.json["error"]["code"] if "error" in response.json else response.json["code"]
    assert code == {401: "unauthorized", 403: "forbidden"}[response.status]
    return f"{response.status} {response.headers.get('www-authenticate', '')}".strip()
