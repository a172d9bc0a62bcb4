"""Sample workflows for ComfyUI with their node maps: `workflows/{name}.json` and `workflows/{name}.nodes.json`."""

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Sample:
    """A workflow in the API format, for `COMFYUI_WORKFLOW`, and its node map, for `COMFYUI_WORKFLOW_NODES`."""

    workflow: dict[str, dict[str, Any]]
    nodes: list[dict[str, Any]]

    def fields(self, prefix: str = "COMFYUI") -> dict[str, Any]:
        """Return the two configuration fields. `prefix` is `IMAGES_EDIT_COMFYUI` for edits."""
        return {f"{prefix}_WORKFLOW": json.dumps(self.workflow), f"{prefix}_WORKFLOW_NODES": self.nodes}


def _sample(name: str) -> Sample:
    folder = files("sandbox.engines") / "workflows"
    texts = [(folder / f"{name}{ending}").read_text("utf-8") for ending in (".json", ".nodes.json")]
    return Sample(json.loads(texts[0]), json.loads(texts[1]))


CHECKPOINT = _sample("checkpoint")
"""Text to image with a Stable Diffusion checkpoint."""

FLUX = _sample("flux")
"""Text to image with Flux, whose model, text encoders and VAE are separate files."""

EDIT = _sample("edit")
"""An edit of an image where the mask allows it. Up to two more inputs are reference images."""
