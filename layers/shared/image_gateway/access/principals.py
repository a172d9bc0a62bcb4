"""Authenticated callers and their permissions."""

from dataclasses import dataclass
from enum import IntEnum

from image_gateway.errors import Forbidden


class Role(IntEnum):
    """The role of a token. A higher role includes the permissions of a lower one."""

    USER = 1
    ADMIN = 2


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller.

    Attributes:
        id: id of the token.
        name: name of the token, for people.
        role: what the caller may do.
        expires_at: in seconds since 1970; None: never.
        engines: engines that the caller may use; None: all.
        models: models that the caller may use; None: all.
    """

    id: str
    name: str
    role: Role
    expires_at: float | None = None
    engines: frozenset[str] | None = None
    models: frozenset[str] | None = None

    @property
    def owner(self) -> str:
        """Owner of the caller's jobs and images."""
        return f"token:{self.id}"

    def require(self, engine: str, model: str | None) -> None:
        """Check that this caller may use the engine with the model. None is the engine's default model.

        Raises:
            Forbidden: the caller may not.
        """
        self.require_engine(engine)
        if self.models is not None and (model or "") not in self.models:
            raise Forbidden(f"This token may only use these models: {', '.join(sorted(self.models))}", field="model")

    def require_engine(self, engine: str) -> None:
        """Check that this caller may use the engine, with any model.

        Raises:
            Forbidden: the caller may not.
        """
        if self.engines is not None and engine not in self.engines:
            raise Forbidden(f"This token may not use the engine {engine}", field="model")

    def may_use_model(self, model: str) -> bool:
        """Return whether this caller may use the model of an engine that it may use."""
        return self.models is None or model in self.models


class EventPrincipal(Principal):
    """The sender of a request by message or file. Its id is the owner itself, such as `event:s3`."""

    __slots__ = ()

    @property
    def owner(self) -> str:
        """Owner of the sender's jobs."""
        return self.id
