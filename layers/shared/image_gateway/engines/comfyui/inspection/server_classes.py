"""What ComfyUI servers declare about their node classes, kept for some minutes.

A declaration can be large, because it lists all files of a kind. So only the classes of a workflow are read, each by a
request of its own, and only so many of them.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, Protocol

from image_gateway.engines.comfyui.node_classes import NodeInfo

MAX_CLASSES: Final = 64
"""How many classes of a workflow are read from a server, the first ones."""

_LIFETIME_SECONDS: Final = 300.0
_MAX_KEPT: Final = 1_000


class NodeClasses(Protocol):
    """A server that declares its node classes."""

    @property
    def server_url(self) -> str:
        """The server's address, by which its declarations are kept."""

    async def node_classes(self, names: Collection[str]) -> Mapping[str, NodeInfo | None]:
        """Return what the server declares about classes; None for one it does not have. May raise `EngineError`."""


class ServerClasses:
    """The declarations that a process has read lately.

    `clock` is a monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, str], tuple[float, NodeInfo | None]] = {}

    async def declared(self, server: NodeClasses, names: Iterable[str]) -> Mapping[str, NodeInfo | None]:
        """Return what a server declares about classes, at most `MAX_CLASSES` of them.

        Raises:
            EngineError: the server does not answer.
        """
        wanted = list(dict.fromkeys(names))[:MAX_CLASSES]
        missing = [name for name in wanted if not self._is_fresh(server.server_url, name)]
        for name, info in (await server.node_classes(missing)).items():
            self._keep(server.server_url, name, info)
        return {name: self._kept[server.server_url, name][1] for name in wanted}

    def _is_fresh(self, url: str, name: str) -> bool:
        kept = self._kept.get((url, name))
        return kept is not None and self._clock() < kept[0]

    def _keep(self, url: str, name: str, info: NodeInfo | None) -> None:
        self._kept.pop((url, name), None)
        while len(self._kept) >= _MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[url, name] = (self._clock() + _LIFETIME_SECONDS, info)
