"""Routes that cannot be made without saying who may use them."""

import os
from collections.abc import Callable, Coroutine
from enum import Enum
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar, cast

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute

from image_gateway.access.principals import Principal, Role
from image_gateway.access.tokens import TokenAuthenticator
from image_gateway.api.documented_errors import refusals
from image_gateway.container import Gateway
from image_gateway.errors import Forbidden, InvalidToken, NotFound, StorageUnavailable, Unauthorized
from image_gateway.models.images import Problem
from image_gateway.models.openai import OpenAIError

_DOCUMENTED = "AWS_LAMBDA_FUNCTION_NAME" not in os.environ
# On Lambda the document is a file that was made before, and FastAPI would prepare each model of it at every cold start.

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Parameters = ParamSpec("Parameters")
Made = TypeVar("Made")


class Access(Enum):
    """Who may use a route."""

    PUBLIC = None
    USER = Role.USER
    ADMIN = Role.ADMIN


def access(rule: Access) -> Callable[[Endpoint], Endpoint]:
    """Declare who may use an endpoint; stands below the route's own decorator."""

    def declare(endpoint: Endpoint) -> Endpoint:
        endpoint.__access__ = rule  # type: ignore[attr-defined]  # a mark on a function
        return endpoint

    return declare


class GuardedRoute(APIRoute):
    """A route that checks its declared rule before anything of the request is read."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        rule = getattr(endpoint, "__access__", None)
        if not isinstance(rule, Access):
            raise TypeError(f"{path} ({endpoint.__qualname__}) does not say who may use it: add @access(Access.…)")
        self.rule = rule
        answers = dict(options.pop("responses", None) or {})
        if rule is not Access.PUBLIC:
            options["openapi_extra"] = {"security": [{"bearer": []}], **(options.get("openapi_extra") or {})}
            missing = (NotFound,) if "{" in path else ()
            common = refusals(Unauthorized, Forbidden, *missing, StorageUnavailable)
            # Named once is enough for the document to have it.
            common[401]["model"] = OpenAIError if path.startswith("/v1/") else Problem
            answers = {**common, **answers}
        super().__init__(path, endpoint, responses=answers if _DOCUMENTED else None, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, behind the check."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            needed = self.rule.value
            if needed is None:
                return await handle(request)
            tokens = _gateway_of(request).tokens
            principal = await _authenticated(request, tokens)
            async with tokens.recording_use(principal):
                if principal.role < needed:
                    raise Forbidden(f"This needs a token of role {needed.name.lower()}")
                request.state.principal = principal
                answer = await handle(request)
                # It may hold presigned URLs, images or settings: nothing that a browser or a proxy should keep.
                answer.headers.setdefault("Cache-Control", "no-store")
                return answer

        return guarded


def on_the_loop(make: Callable[Parameters, Made]) -> Callable[Parameters, Coroutine[Any, Any, Made]]:
    """The same dependency on the event loop: FastAPI gives a thread to each that is not asynchronous, a class too.

    On Lambda such a thread is started anew for every event.
    """

    @wraps(make)
    async def made(*args: Parameters.args, **options: Parameters.kwargs) -> Made:
        return make(*args, **options)

    return made


async def _gateway(request: Request) -> Gateway:
    return _gateway_of(request)


def _gateway_of(request: Request) -> Gateway:
    return cast("Gateway", request.app.state.gateway())


async def _principal(request: Request) -> Principal:
    return cast("Principal", request.state.principal)


GatewayDep = Annotated[Gateway, Depends(_gateway)]
"""The deployment's stores, engines and services."""

PrincipalDep = Annotated[Principal, Depends(_principal)]
"""Who is calling; only on routes that are not public."""


async def _authenticated(request: Request, tokens: TokenAuthenticator) -> Principal:
    """Whose token the request's one `Authorization` header holds; nothing else of the request is looked at."""
    headers = request.headers.getlist("authorization")
    if len(headers) > 1:
        raise InvalidToken("Send one Authorization header")
    scheme, _, token = "".join(headers).partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized("Send a token: Authorization: Bearer igw_…")
    principal = await tokens.authenticate(token)
    if principal is None:
        raise InvalidToken("The token is not valid, or no longer")
    return principal
