"""A sandbox engine that is served over HTTP."""

from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette

from sandbox.engines.state import SandboxState


@dataclass
class SandboxEngine:
    """One of the sandbox's engines while it is served: `state` has its knobs and its record."""

    name: str
    app: Starlette
    state: SandboxState
    url: str

    def requested(self, ending: str) -> list[Any]:
        """The JSON bodies, or form fields, of what was posted to paths with that ending, in order."""
        return [one.json for one in self.state.record if one.method == "POST" and one.path.endswith(ending)]
