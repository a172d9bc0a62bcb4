"""The catalogue: connections without their secrets, routes, the hashes of workflows, and prices.

A catalogue is one object in the bucket whose key is the SHA-256 of its content. It never changes, so a job that
remembers the hash is done by the routes as they were when it was accepted. The parameter of the configuration names the
current one.

An entry is validated when it is used. What this version cannot use, because a newer version has stored it before a
rollback, stays as it is, and a request that needs it fails: no other engine is used, and paid, in its place.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ValidationError

from image_gateway.config.metering import Metering, read_metering
from image_gateway.errors import NotConfigured, StorageUnavailable

if TYPE_CHECKING:
    from image_gateway.models.connections import StoredConnection
    from image_gateway.models.routes import Route

_MODELS: Final = {"connections": "StoredConnection", "routes": "Route"}
"""Section → the model of its entries, in the module of `models` with the section's name."""


class Catalogue:
    """The connections, routes and workflows of one moment. It never changes.

    Args:
        document: the content of the object; `connections`, `routes`, `workflows`, `prices`, `limits`, and sections of a
            newer version.
        digest: the SHA-256 of the object in hexadecimal; empty for an empty catalogue that is not stored.
        lost: whether the object cannot be read, so that nobody knows what is in it.
    """

    __slots__ = ("_entries", "_metering", "digest", "document", "lost")

    def __init__(self, document: Mapping[str, Any] | None = None, digest: str = "", *, lost: bool = False) -> None:
        self.document: Mapping[str, Any] = document or {}
        self.digest = digest
        self.lost = lost
        self._entries: dict[tuple[str, str], BaseModel] = {}
        self._metering: Metering | None = None

    def __repr__(self) -> str:
        return f"Catalogue({self.digest or 'empty'}{', lost' if self.lost else ''})"

    def names(self, section: str) -> list[str]:
        """Return the names in a section, sorted.

        Raises:
            StorageUnavailable: the catalogue is lost.
        """
        return sorted(self._section(section))

    def has_route(self, name: str) -> bool:
        """Return whether there is a route with this name, also one that this version cannot use.

        Raises:
            StorageUnavailable: the catalogue is lost.
        """
        return name in self._section("routes")

    def connection(self, name: str) -> "StoredConnection | None":
        """Return the connection with this name, or None. Those of the configuration's fields are not in the catalogue.

        Raises:
            NotConfigured: this version cannot use the connection.
            StorageUnavailable: the catalogue is lost.
        """
        connection: StoredConnection | None = self._entry("connections", name)
        return connection

    def route(self, name: str) -> "Route | None":
        """Return the route with this name, or None.

        Raises:
            NotConfigured: this version cannot use the route.
            StorageUnavailable: the catalogue is lost.
        """
        route: Route | None = self._entry("routes", name)
        return route

    def workflow(self, name: str) -> str | None:
        """Return the hash of the workflow with this name, or None. The configuration's are not in the catalogue.

        Raises:
            NotConfigured: this version cannot use the entry.
            StorageUnavailable: the catalogue is lost.
        """
        digest = self._section("workflows").get(name)
        if digest is not None and not isinstance(digest, str):
            raise _unusable("workflows", name)
        return digest

    def _entry(self, section: str, name: str) -> Any:
        """Return an entry, validated at its first use; None if there is none."""
        if (section, name) not in self._entries:
            value = self._section(section).get(name)
            if value is None:
                return None
            try:
                self._entries[section, name] = _model(section).model_validate(value)
            except ValidationError:
                raise _unusable(section, name) from None
        return self._entries[section, name]

    def metering(self) -> Metering:
        """Return the operator's prices and how requests are limited; nothing of a catalogue that is lost."""
        if self._metering is None:
            self._metering = read_metering(self.document)
        return self._metering

    def require(self) -> None:
        """Check that the catalogue is not lost.

        Raises:
            StorageUnavailable: it is.
        """
        if self.lost:
            raise StorageUnavailable(
                "The stored connections, routes and workflows cannot be read: restore the object "
                f"config/catalogue/{self.digest}.json in the bucket, or an earlier version of the parameter"
            )

    def _section(self, section: str) -> Mapping[str, Any]:
        self.require()
        entries = self.document.get(section)
        return entries if isinstance(entries, dict) else {}


def _model(section: str) -> type[BaseModel]:
    """Return the model of a section's entries. It is imported late: a deployment without entries never needs it."""
    model: type[BaseModel] = getattr(import_module(f"image_gateway.models.{section}"), _MODELS[section])
    return model


def _unusable(section: str, name: str) -> NotConfigured:
    kind = section.removesuffix("s")
    return NotConfigured(f"The {kind} {name} was stored by a newer version: store it again, or deploy that version")


EMPTY: Final = Catalogue()
"""The catalogue of a deployment in which none has been stored yet."""
