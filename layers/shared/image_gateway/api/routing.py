"""Routes that must declare who may use them, and the dependencies that all routes share."""

from collections.abc import Callable, Coroutine
from enum import Enum
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar, cast

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute

from image_gateway.access.principals import Principal, Role
from image_gateway.access.tokens import TokenAuthenticator
from image_gateway.api.documented_errors import error_responses
from image_gateway.container import Gateway
from image_gateway.errors import Forbidden, InvalidToken, NotFound, StorageUnavailable, Unauthorized
from image_gateway.models.images import Problem
from image_gateway.models.openai import OpenAIError

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Parameters = ParamSpec("Parameters")
Dependency = TypeVar("Dependency")


class Access(Enum):
    """Who may use a route."""

    PUBLIC = None
    USER = Role.USER
    ADMIN = Role.ADMIN


def access(rule: Access) -> Callable[[Endpoint], Endpoint]:
    """Declare who may use an endpoint. This decorator goes below the route's own decorator."""

    def declare(endpoint: Endpoint) -> Endpoint:
        endpoint.__access__ = rule  # type: ignore[attr-defined]  # read by `GuardedRoute`
        return endpoint

    return declare


class GuardedRoute(APIRoute):
    """A route that checks its declared access before it reads the request.

    Raises:
        TypeError: the endpoint does not declare its access.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        rule = getattr(endpoint, "__access__", None)
        if not isinstance(rule, Access):
            raise TypeError(f"{path} ({endpoint.__qualname__}) does not declare who may use it: add @access(Access.…)")
        self.rule = rule
        responses = dict(options.pop("responses", None) or {})
        if rule is not Access.PUBLIC:
            options["openapi_extra"] = {"security": [{"bearer": []}], **(options.get("openapi_extra") or {})}
            missing = (NotFound,) if "{" in path else ()
            common = error_responses(Unauthorized, Forbidden, *missing, StorageUnavailable)
            # One reference is enough to have the model in the OpenAPI document.
            common[401]["model"] = OpenAIError if path.startswith("/v1/") else Problem
            responses = {**common, **responses}
        super().__init__(path, endpoint, responses=responses, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's own handler, wrapped in the check."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            required_role = self.rule.value
            if required_role is None:
                return await handle(request)
            tokens = _gateway_of(request).tokens
            principal = await _authenticated(request, tokens)
            async with tokens.recording_use(principal):
                if principal.role < required_role:
                    raise Forbidden(f"This requires a token with role {required_role.name.lower()}")
                request.state.principal = principal
                response = await handle(request)
                # Browsers and proxies must not store presigned URLs, images and settings.
                response.headers.setdefault("Cache-Control", "no-store")
                return response

        return guarded


def async_dependency(
    dependency: Callable[Parameters, Dependency],
) -> Callable[Parameters, Coroutine[Any, Any, Dependency]]:
    """Return a dependency that runs on the event loop.

    FastAPI runs every other dependency, also a class, in a thread. On Lambda that thread is started for each event.
    """

    @wraps(dependency)
    async def run(*args: Parameters.args, **options: Parameters.kwargs) -> Dependency:
        return dependency(*args, **options)

    return run


async def _gateway(request: Request) -> Gateway:
    return _gateway_of(request)


def _gateway_of(request: Request) -> Gateway:
    return cast("Gateway", request.app.state.gateway())


async def _principal(request: Request) -> Principal:
    return cast("Principal", request.state.principal)


GatewayDep = Annotated[Gateway, Depends(_gateway)]
"""The deployment's stores, engines and services."""

PrincipalDep = Annotated[Principal, Depends(_principal)]
"""The authenticated caller; only on routes that are not public."""


async def _authenticated(request: Request, tokens: TokenAuthenticator) -> Principal:
    """Authenticate a request by its `Authorization` header, the only part of the request that is read.

    Raises:
        Unauthorized: the request has no bearer token.
        InvalidToken: the token is not valid, or there are several `Authorization` headers.
    """
    headers = request.headers.getlist("authorization")
    if len(headers) > 1:
        raise InvalidToken("Send exactly one Authorization header")
    scheme, _, token = "".join(headers).partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized("Send a token: Authorization: Bearer igw_…")
    principal = await tokens.authenticate(token)
    if principal is None:
        raise InvalidToken("The token is unknown, expired or revoked")
    return principal


def create_router(**options: Any) -> APIRouter:
    """Create a router for an application of `create_app`: each of its routes declares its access.

    As in the application itself, JSON is also read without a `Content-Type`.

    Args:
        options: those of FastAPI's router.
    """
    return APIRouter(route_class=GuardedRoute, strict_content_type=False, **options)
