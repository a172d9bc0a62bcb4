"""The callable that creates the engine of one request."""

from typing import Protocol

from image_gateway.engines.protocol import Engine
from image_gateway.models.config import ImagesConfig


class EngineFactory(Protocol):
    """Create the engine of one request."""

    def __call__(self, name: str, config: ImagesConfig, *, edit: bool = False) -> Engine:
        """Return the engine `name` under `config`; `edit` selects the settings for edits."""
