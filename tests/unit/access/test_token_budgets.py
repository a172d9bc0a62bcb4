"""Budgets and other limits of tokens, as administrators set and see them."""

from decimal import Decimal
from typing import Any

import pytest

from image_gateway.access.principals import Role
from image_gateway.access.token_registry import TokenRegistry
from image_gateway.access.tokens import TokenAuthenticator
from image_gateway.aws import Aws
from image_gateway.errors import NotFound
from image_gateway.metering.ledger import Ledger
from image_gateway.metering.limit_store import LimitStore
from image_gateway.metering.scopes import token_owner
from image_gateway.models.limits import Budget, Limits
from image_gateway.models.tokens import NewToken, TokenChanges, TokenInfo
from image_gateway.settings import Settings

pytestmark = pytest.mark.anyio

BUDGET = {"usd": "25.00", "period": "month"}


async def create(registry: TokenRegistry, **limits: Any) -> NewToken:
    return await registry.create("the newsroom", Role.USER, limits=Limits.model_validate(limits))


async def listed(registry: TokenRegistry) -> TokenInfo:
    [token] = (await registry.page()).tokens
    return token


async def change(registry: TokenRegistry, token: TokenInfo, **changes: Any) -> TokenInfo:
    return await registry.change(token.id, TokenChanges.model_validate(changes))


async def test_a_token_is_created_with_limits(registry: TokenRegistry, aws: Aws, settings: Settings) -> None:
    """They are returned and listed with what they leave, and its caller is known to be limited."""
    created = await create(registry, budget=BUDGET, max_jobs=3)

    for token in (created, await listed(registry)):
        assert token.budget == Budget(usd=Decimal(25), period="month")
        assert (token.max_jobs, token.requests_per_minute) == (3, None)
        assert (token.remaining_usd, token.open_jobs) == (Decimal(25), 0)
    principal = await TokenAuthenticator(aws, settings).authenticate(created.token)
    assert principal
    assert principal.metered


async def test_a_token_without_limits_needs_no_ledger(registry: TokenRegistry, aws: Aws, settings: Settings) -> None:
    """Its requests write nothing more."""
    created = await create(registry)

    assert await LimitStore(aws, settings).state(token_owner(created.id)) is None
    principal = await TokenAuthenticator(aws, settings).authenticate(created.token)
    assert principal
    assert not principal.metered
    assert (await listed(registry)).open_jobs is None


async def test_a_change_keeps_what_it_does_not_name(registry: TokenRegistry) -> None:
    """Null removes a limit; what was spent stays spent."""
    token = await create(registry, budget=BUDGET, max_jobs=3)

    changed = await change(registry, token, max_jobs=None, requests_per_minute=10)

    assert (changed.budget, changed.max_jobs, changed.requests_per_minute) == (token.budget, None, 10)
    assert await listed(registry) == changed


async def test_a_token_gets_its_first_limits(registry: TokenRegistry, aws: Aws, settings: Settings) -> None:
    """From then on, its requests count."""
    token = await create(registry)

    await change(registry, token, budget=BUDGET)

    principal = await TokenAuthenticator(aws, settings).authenticate(token.token)
    assert principal
    assert principal.metered


async def test_what_was_held_is_shown(registry: TokenRegistry, aws: Aws, settings: Settings) -> None:
    """With the number of open jobs."""
    token = await create(registry, budget=BUDGET)
    await Ledger(aws, settings).reserve([token_owner(token.id)], 1_500_000, lambda _: [])

    shown = await listed(registry)

    assert (shown.remaining_usd, shown.open_jobs) == (Decimal("23.5"), 1)


async def test_a_revoked_token_has_no_limits(registry: TokenRegistry, aws: Aws, settings: Settings) -> None:
    """Nothing is left in the table, and its limits cannot be changed any more."""
    token = await create(registry, budget=BUDGET)

    await registry.delete(token.id)

    assert await LimitStore(aws, settings).state(token_owner(token.id)) is None
    with pytest.raises(NotFound):
        await change(registry, token, max_jobs=1)
    assert await LimitStore(aws, settings).state(token_owner(token.id)) is None
