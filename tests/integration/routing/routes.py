"""Connections to sandbox engines, and routes over them."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from image_gateway.event_loop import run
from image_gateway.models.connection_forms import ConnectionForm
from image_gateway.models.route_forms import RouteForm
from sandbox.engines.state import Fault, SandboxState

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from image_gateway.config.catalogue_draft import CatalogueDraft
    from tests.integration.deployment import Deployment

PATHS = {"openai": "/v1", "gemini": "/v1beta"}


class Routes:
    """The connections and routes of a deployment, each connection with a sandbox engine of its own.

    Attributes:
        engines: connection → the knobs and the record of its engine.
    """

    def __init__(self, deployment: "Deployment", serve: Callable[..., str]) -> None:
        self.deployment = deployment
        self._serve = serve
        self.engines: dict[str, SandboxState] = {}

    def connect(
        self,
        name: str,
        engine: str = "openai",
        *,
        through: "Callable[[ASGIApp], ASGIApp]" = lambda app: app,
        **fields: Any,
    ) -> SandboxState:
        """Serve a sandbox engine, if given through another application, and store a connection to it."""
        state = SandboxState()
        app = import_module(f"sandbox.engines.{engine}").create_app(state)
        url = self._serve(through(app)) + PATHS.get(engine, "")
        form = ConnectionForm.model_validate({"engine": engine, "base_url": url, "key": f"key-of-{name}", **fields})
        self.engines[name] = state
        self._change(lambda draft: draft.put_connection(name, form))
        return state

    def put(self, name: str, *targets: str | dict[str, Any], **fields: Any) -> None:
        """Store a route. A target is a connection's name, with the model `gpt-image-2`, or all its fields."""
        given = [{"connection": t, "model": "gpt-image-2"} if isinstance(t, str) else t for t in targets]
        form = RouteForm.model_validate({"targets": given, **fields})
        self._change(lambda draft: draft.put_route(name, form))

    def _change(self, change: "Callable[[CatalogueDraft], Any]") -> None:
        run(self.deployment.gateway.config_parts.updates.update_catalogue(change))

    def requests(self, name: str, ending: str = "/images/generations") -> int:
        """Return the number of paid requests that a connection's engine has received."""
        record = self.engines[name].record
        return sum(request.method == "POST" and request.path.endswith(ending) for request in record)


def fail(state: SandboxState, status: int, message: str = "on fire", *, times: int = -1, **error: Any) -> None:
    """Let an engine fail."""
    state.knobs.faults = [Fault(status, {"error": {"message": message, **error}}, times=times)]
