"""The configuration of one version: the fields, the catalogue, and the keys of its connections."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from image_gateway.config import catalogue
from image_gateway.config.catalogue import Catalogue
from image_gateway.config.stored_values import UnusedFields
from image_gateway.errors import NotConfigured
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import origin

if TYPE_CHECKING:
    from image_gateway.models.connections import StoredConnection


@dataclass(frozen=True, slots=True)
class VersionedConfig:
    """A configuration.

    Attributes:
        config: the configuration.
        version: the version of its parameter; 0 if none has been stored yet.
        unused: the stored fields that this version cannot use.
        catalogue: connections, routes and workflows.
        keys: connection → its key, of the catalogue's connections that have one.
        end_user_key: the key of the labels of end users; empty if no token forwards users.
    """

    config: ImagesConfig
    version: int
    unused: UnusedFields = field(default_factory=UnusedFields)
    catalogue: Catalogue = catalogue.EMPTY
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    end_user_key: str = field(default="", repr=False)

    @property
    def etag(self) -> str:
        """The version as a strong HTTP entity tag."""
        return f'"{self.version}"'

    def key_of(self, name: str, connection: "StoredConnection") -> str:
        """Return the key of a connection, which may be from an older catalogue; empty if it has none.

        Raises:
            NotConfigured: there is a key for another server under this name.
        """
        key = self.keys.get(name, "")
        current = self.catalogue.connection(name) if key else None
        if key and (current is None or origin(current.base_url) != origin(connection.base_url)):
            raise NotConfigured(f"The connection {name} is for another server now: send the request again")
        return key
