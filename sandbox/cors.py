"""API Gateway's CORS, as the template configures it: responses to preflight requests, and headers for browsers.

Source: "Configure CORS for HTTP APIs" in API Gateway's developer guide. API Gateway responds to a preflight request
itself. It sends the configured lists as a whole, and nothing to origins that are not among the configured ones.
"""

from dataclasses import dataclass
from typing import Self

from starlette.requests import Request
from starlette.responses import Response

from sandbox.template import Template


@dataclass(frozen=True, slots=True)
class Cors:
    """What pages of other origins may do.

    Attributes:
        origins: the origins, or `*` for all.
        methods: the methods that they may use.
        headers: the headers that they may send.
        exposed: the headers of responses that they may read.
        max_age: seconds for which a browser may keep the response to a preflight request.
    """

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    exposed: tuple[str, ...]
    max_age: int

    @classmethod
    def of(cls, template: Template) -> Self | None:
        """Return the configuration of the template's API; None if it has none with the template's parameters."""
        condition, configured, _none = template.properties("Api")["CorsConfiguration"]["Fn::If"]
        if not template.holds(condition):
            return None
        separator, origins = configured["AllowOrigins"]["Fn::Split"]
        return cls(
            tuple(template.resolve(origins).split(separator)),
            tuple(configured["AllowMethods"]),
            tuple(configured["AllowHeaders"]),
            tuple(configured["ExposeHeaders"]),
            configured["MaxAge"],
        )

    def preflight(self, request: Request) -> Response | None:
        """Return the response to a preflight request; None for any other request."""
        if request.method != "OPTIONS" or "access-control-request-method" not in request.headers:
            return None
        headers = self.response_headers(request)
        if headers:
            headers["access-control-allow-methods"] = ",".join(self.methods)
            headers["access-control-allow-headers"] = ",".join(self.headers)
            headers["access-control-max-age"] = str(self.max_age)
        return Response(status_code=204, headers=headers)

    def response_headers(self, request: Request) -> dict[str, str]:
        """Return the headers that every response to this request gets."""
        origin = request.headers.get("origin")
        if origin is None or not {"*", origin} & set(self.origins):
            return {}
        return {
            "access-control-allow-origin": "*" if "*" in self.origins else origin,
            "access-control-expose-headers": ",".join(self.exposed),
        }
