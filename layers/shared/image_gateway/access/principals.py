"""Who calls, and what they may do."""

from dataclasses import dataclass
from enum import IntEnum

from image_gateway.errors import Forbidden


class Role(IntEnum):
    """What a token may do; a higher role may do all that a lower one may."""

    USER = 1
    ADMIN = 2


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling. `expires_at` is in seconds since 1970, None for never.

    `engines` and `models` are those it may use; None for all.
    """

    id: str
    name: str
    role: Role
    expires_at: float | None = None
    engines: frozenset[str] | None = None
    models: frozenset[str] | None = None

    @property
    def owner(self) -> str:
        """What jobs and images of this caller are owned by."""
        return f"token:{self.id}"

    def require(self, engine: str, model: str | None) -> None:
        """Return if this caller may use the engine with the model, which is None where the engine chooses it.

        Raises:
            Forbidden: it may not.
        """
        self.require_engine(engine)
        if self.models is not None and (model or "") not in self.models:
            raise Forbidden(f"This token may only use these models: {', '.join(sorted(self.models))}", field="model")

    def require_engine(self, engine: str) -> None:
        """Return if this caller may use the engine with one model or another.

        Raises:
            Forbidden: it may not.
        """
        if self.engines is not None and engine not in self.engines:
            raise Forbidden(f"This token may not use the engine {engine}", field="model")

    def may_use_model(self, model: str) -> bool:
        """Whether this caller may use the model, of an engine that it may use."""
        return self.models is None or model in self.models


class EventPrincipal(Principal):
    """Who asks by event. Its id is the owner itself, which no token's id is."""

    __slots__ = ()

    @property
    def owner(self) -> str:
        """What its jobs are owned by."""
        return self.id
