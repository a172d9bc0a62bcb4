"""A deployment with routes."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.integration.routing.routes import Routes

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


@pytest.fixture
def routes(openai_deployment: "Deployment", serve: Callable[..., str]) -> Routes:
    """A deployment with the route `poster`: the connection `one`, then the connection `two`."""
    openai_deployment.configure(ENABLE_IMAGE_EDIT=True)
    routes = Routes(openai_deployment, serve)
    routes.connect("one")
    routes.connect("two")
    routes.put("poster", "one", "two")
    return routes
