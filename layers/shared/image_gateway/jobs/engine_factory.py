"""The callable that creates the engine of one request."""

from typing import Protocol

from image_gateway.engines.protocol import Engine
from image_gateway.routing.destination import Destination


class EngineFactory(Protocol):
    """Create the engine of one request."""

    def __call__(self, destination: Destination) -> Engine:
        """Return the engine of a destination."""
