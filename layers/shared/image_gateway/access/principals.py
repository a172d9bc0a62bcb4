"""Authenticated callers and their permissions."""

from dataclasses import dataclass
from enum import IntEnum

from image_gateway.errors import Forbidden
from image_gateway.metering.scopes import token_owner
from image_gateway.models.names import RESERVED_CONNECTIONS


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
        connections: connections that the caller may use; None: all.
        routes: routes that the caller may use with all their targets, whatever the other limits are. If there are no
            other limits, the caller may use nothing else. None: those whose targets the other limits allow.
        metered: whether the ledger has limits of the caller's requests.
        forwards_users: whether the caller is trusted to say who its end users are.
    """

    id: str
    name: str
    role: Role
    expires_at: float | None = None
    engines: frozenset[str] | None = None
    models: frozenset[str] | None = None
    connections: frozenset[str] | None = None
    routes: frozenset[str] | None = None
    metered: bool = False
    forwards_users: bool = False

    @property
    def is_limited(self) -> bool:
        """Whether there is anything that the caller may not use."""
        return any(limit is not None for limit in (self.engines, self.models, self.connections, self.routes))

    @property
    def owner(self) -> str:
        """Owner of the caller's jobs and images."""
        return token_owner(self.id)

    def require(self, engine: str, model: str | None, *, connection: str = "", route: str = "") -> None:
        """Check that this caller may use a connection's engine with a model.

        Args:
            engine: the engine.
            model: the model; None is the engine's default model.
            connection: the connection.
            route: the route whose target it is; empty without one.

        Raises:
            Forbidden: the caller may not.
        """
        if route and self.routes is not None and route in self.routes:
            return
        self.require_server(engine, connection)
        if self.models is not None and (model or "") not in self.models:
            raise Forbidden(f"This token may only use these models: {', '.join(sorted(self.models))}", field="model")

    def require_server(self, engine: str, connection: str) -> None:
        """Check that this caller may use a connection of an engine, with any model and without a route.

        Raises:
            Forbidden: the caller may not.
        """
        if self.routes is not None and self.engines is self.models is self.connections is None:
            raise Forbidden(f"This token may only use these routes: {', '.join(sorted(self.routes))}", field="model")
        if self.engines is not None and engine not in self.engines:
            raise Forbidden(f"This token may not use the engine {engine}", field="model")
        if self.connections is not None and not self.connections & _names(connection):
            raise Forbidden(f"This token may not use the connection {connection}", field="model")

    def may_use(self, engine: str, model: str | None, *, connection: str = "", route: str = "") -> bool:
        """Return whether this caller may use a connection's engine with a model; see `require`."""
        try:
            self.require(engine, model, connection=connection, route=route)
        except Forbidden:
            return False
        return True

    def may_use_server(self, engine: str, connection: str) -> bool:
        """Return whether this caller may use a connection of an engine; see `require_server`."""
        try:
            self.require_server(engine, connection)
        except Forbidden:
            return False
        return True

    def may_use_model(self, model: str) -> bool:
        """Return whether this caller may use the model of a connection that it may use."""
        return self.models is None or model in self.models


class EventPrincipal(Principal):
    """The sender of a request by message or file. Its id is the owner itself, such as `event:s3`."""

    __slots__ = ()

    @property
    def owner(self) -> str:
        """Owner of the sender's jobs."""
        return self.id


def _names(connection: str) -> set[str]:
    """Return the names that grant a connection. One of the configuration's grants that for edits too."""
    is_for_edits = connection in RESERVED_CONNECTIONS and connection.endswith("-edit")
    return {connection, connection.removesuffix("-edit")} if is_for_edits else {connection}
