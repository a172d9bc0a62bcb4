"""A sandbox engine that is served over HTTP."""

from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette

from sandbox.engines.state import SandboxState


@dataclass
class SandboxEngine:
    """A sandbox engine while it is served; `state` has its knobs and its record."""

    name: str
    app: Starlette
    state: SandboxState
    url: str

    def posted(self, ending: str) -> list[Any]:
        """Return the JSON bodies, or form fields, of the POST requests on paths with this ending, in order."""
        return [
            request.json for request in self.state.record if request.method == "POST" and request.path.endswith(ending)
        ]
