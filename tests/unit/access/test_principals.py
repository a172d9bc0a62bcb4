"""What tokens may do: with and without limits."""

from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.access.principals import Principal, Role
from image_gateway.access.token_registry import TokenRegistry
from image_gateway.access.tokens import TokenAuthenticator, lookup_key
from image_gateway.errors import Forbidden
from image_gateway.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.anyio


async def test_a_token_without_limits_may_use_everything(
    authenticator: TokenAuthenticator, registry: TokenRegistry
) -> None:
    """A token without limits may use all engines and all models, and does not expire."""
    principal = await authenticator.authenticate((await registry.create("ci", Role.USER)).token)

    assert principal is not None
    assert (principal.engines, principal.models, principal.expires_at) == (None, None, None)
    assert not principal.is_limited
    principal.require("comfyui", "anything", connection="gpu-1", route="poster")
    assert principal.may_use_model("anything")


async def test_a_limited_token_may_use_only_its_engines_and_models() -> None:
    """Another engine is refused by name, and another model is not permitted."""
    limited = Principal("1", "ci", Role.ADMIN, engines=frozenset({"openai"}), models=frozenset({"small"}))

    limited.require_server("openai", "azure-eu")
    with pytest.raises(Forbidden, match="comfyui"):
        limited.require_server("comfyui", "gpu-1")
    assert (limited.may_use_model("small"), limited.may_use_model("large")) == (True, False)


@pytest.mark.parametrize(
    ("limits", "may_use"),
    [
        ({}, {"poster", "direct", "edit", "field"}),
        ({"connections": {"azure-eu"}}, {"poster", "direct"}),
        ({"connections": {"openai"}}, {"edit", "field"}),
        ({"connections": {"openai-edit"}}, {"edit"}),
        ({"connections": {"azure-eu"}, "engines": {"comfyui"}}, set()),
        ({"routes": {"poster"}}, {"poster"}),
        ({"routes": {"draft"}}, set()),
        ({"routes": {"poster"}, "engines": {"comfyui"}}, {"poster"}),
        ({"routes": {"poster"}, "connections": {"openai"}}, {"poster", "edit", "field"}),
        ({"routes": {"draft"}, "models": {"gpt-image-2"}}, {"poster", "direct", "edit", "field"}),
        ({"models": {"other"}}, set()),
    ],
)
async def test_a_route_is_granted_itself_or_by_what_its_targets_are(
    authenticator: TokenAuthenticator, registry: TokenRegistry, limits: dict[str, Any], may_use: set[str]
) -> None:
    """A granted route may be used whatever its targets are; anything else only as the other limits allow."""
    principal = await authenticator.authenticate((await registry.create("ci", Role.USER, **limits)).token)
    requests = {
        "poster": {"connection": "azure-eu", "route": "poster"},
        "direct": {"connection": "azure-eu"},
        "field": {"connection": "openai"},
        "edit": {"connection": "openai-edit"},
    }

    assert principal
    assert {name for name, options in requests.items() if principal.may_use("openai", "gpt-image-2", **options)} == (
        may_use
    )
    assert principal.is_limited == bool(limits)


@pytest.mark.parametrize("limit", ["connections", "routes"])
async def test_an_older_version_gives_a_limited_token_nothing(
    registry: TokenRegistry, settings: Settings, dynamodb: "DynamoDBClient", limit: str
) -> None:
    """After a rollback to a version that knows limits of engines only, the token may use no engine, instead of all."""
    limits: dict[str, Any] = {limit: {"poster"}}
    created = await registry.create("ci", Role.USER, **limits)

    item = dynamodb.get_item(TableName=settings.table, Key=lookup_key(created.token))["Item"]
    older = Principal("1", "ci", Role.USER, engines=frozenset(item["engines"]["SS"]))

    assert not any(older.may_use(engine, "any") for engine in ("openai", "gemini", "comfyui", "automatic1111"))
    assert created.engines is None
