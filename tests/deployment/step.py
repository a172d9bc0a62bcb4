"""What a step of the end-to-end test is, and the list of all steps.

A step is a small function whose name says what works. To add one, write it in a module of `steps`, in the place where
it should run:

    @step
    async def a_job_can_be_canceled(deployment: Deployment) -> None:
        ...

It fails by raising anything, usually by an `assert`. It also fails if a function was denied something meanwhile. A step
that changes nothing and costs nothing is a `@harmless_step`: it needs no more than a URL and an administrator's token,
and `make smoke` runs it against any deployment.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from sandbox.client import GatewayClient

if TYPE_CHECKING:
    from tests.deployment.deployment import Deployment

Action = Callable[["Deployment"], Awaitable[None]]
HarmlessAction = Callable[[GatewayClient], Awaitable[None]]


@dataclass(frozen=True)
class Step:
    """A step, by its name in words."""

    name: str
    run: Action


@dataclass(frozen=True)
class HarmlessStep(Step):
    """A step that may run against any deployment."""

    run: HarmlessAction


STEPS: list[Step] = []
"""All steps in their order, once `steps` is imported."""


def step(action: Action) -> Action:
    """Make a function a step."""
    STEPS.append(Step(_name(action), action))
    return action


def harmless_step(action: HarmlessAction) -> HarmlessAction:
    """Make a function a step that changes nothing, costs nothing, and needs no engine."""
    STEPS.append(HarmlessStep(_name(action), action))
    return action


def body(response: httpx.Response, status: int = 200) -> Any:
    """Return the JSON of a response that must have this status."""
    assert response.status_code == status, f"{response.status_code} instead of {status}: {response.text[:500]}"
    return response.json() if response.content else None


def _name(action: Callable[..., Any]) -> str:
    return action.__name__.replace("_", " ")
