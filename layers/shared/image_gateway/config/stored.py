"""The stored configuration: the document in Parameter Store, with what it refers to in the bucket."""

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from image_gateway.aws import Aws, Bucket, storage_errors
from image_gateway.config import catalogue_store
from image_gateway.config.catalogue import Catalogue
from image_gateway.config.catalogue_store import CatalogueStore
from image_gateway.config.document import ConfigDocument, DamagedDocumentError
from image_gateway.config.fallbacks import environment_values
from image_gateway.config.parameter import NOT_READ, ConfigParameter
from image_gateway.config.stored_values import usable_config
from image_gateway.config.versioned import VersionedConfig
from image_gateway.errors import StorageUnavailable
from image_gateway.models.config import ImagesConfig
from image_gateway.settings import Settings

logger = logging.getLogger(__name__)

_NOT_STORED = "The configuration was not stored"


class _DamagedConfiguration(StorageUnavailable):
    """The stored configuration is not a JSON object.

    Attributes:
        version: the version of its parameter.
    """

    def __init__(self, version: int) -> None:
        super().__init__(f"The stored configuration (version {version}) is not a JSON object")
        self.version = version


class StoredConfig:
    """Loads and saves the configuration of one deployment. Nothing is cached but catalogues, which never change.

    Args:
        aws: Parameter Store for the document, S3 for long values.
        settings: names the parameter and the bucket.
        environ: environment variables, for fields that are not stored.
    """

    def __init__(self, aws: Aws, settings: Settings, *, environ: Mapping[str, str] = os.environ) -> None:
        bucket = Bucket(aws, settings.bucket)
        self._parameter = ConfigParameter(aws, settings)
        self._document = ConfigDocument(bucket, settings.bucket)
        self._catalogues = CatalogueStore(bucket)
        self._environ = environ
        self._logged_version = 0

    async def load(self, *, retry_throttling: bool = True) -> VersionedConfig:
        """Return the configuration, with the defaults for all that is not stored.

        Args:
            retry_throttling: whether a throttled read is sent again.

        Raises:
            StorageUnavailable: it cannot be read, or its document is damaged.
            NotConfigured: an environment variable for a field does not validate.
        """
        stored = await self._parameter.get(retry_throttling=retry_throttling)
        return await self._decode(*stored) if stored else self._defaults(0)

    async def load_or_defaults(self, *, retry_throttling: bool = True) -> VersionedConfig:
        """Return the configuration as `load` does, but a damaged document counts as missing."""
        try:
            return await self.load(retry_throttling=retry_throttling)
        except _DamagedConfiguration as error:
            return self._defaults(error.version)

    async def save(self, changed: VersionedConfig) -> VersionedConfig:
        """Store what has changed of the configuration with this version, and return it with its new version.

        Raises:
            TooLarge: the keys do not fit into the parameter.
            StorageUnavailable: it was not stored.
        """
        config, unused = changed.config, changed.unused
        defaults = self._defaults(0).config.model_dump()
        values = {
            name: value
            for name, value in config.model_dump().items()
            if value != defaults[name] and name not in unused.names
        }
        own = catalogue_store.fields(changed.catalogue, changed.keys, changed.end_user_key)
        kept = {**unused.document, **own}
        with storage_errors(_NOT_STORED):
            text = await self._document.encode(values, kept)
            version = await self._parameter.put(text, changed.version + 1)
        if not unused.names:
            return replace(changed, version=version)
        # A field that was not used may be usable now, because the one it depends on has changed.
        return await self._decode(text, version)

    async def save_catalogue(self, document: Mapping[str, Any]) -> Catalogue:
        """Store a catalogue, to which the document does not refer yet, and return it.

        Raises:
            TooLarge: the catalogue is too large.
            StorageUnavailable: it was not stored.
        """
        with storage_errors(_NOT_STORED):
            return await self._catalogues.write(document)

    async def catalogue(self, digest: str) -> Catalogue:
        """Return an earlier catalogue by its hash, such as the one that a job was accepted with.

        Raises:
            StorageUnavailable: the bucket does not respond.
        """
        with storage_errors(NOT_READ):
            return await self._catalogues.read(digest)

    def _defaults(self, version: int) -> VersionedConfig:
        return VersionedConfig(ImagesConfig.model_validate(environment_values(self._environ)), version)

    async def _decode(self, text: str, version: int) -> VersionedConfig:
        try:
            with storage_errors(NOT_READ):
                document, values = await self._document.decode(text)
                digest, keys, end_user_key = catalogue_store.take_fields(document)
                catalogue = await self._catalogues.read(digest)
        except DamagedDocumentError:
            logger.error("the stored configuration is not a JSON object", extra={"config_version": version})  # noqa: TRY400 - a trace says no more
            raise _DamagedConfiguration(version) from None
        config, unused = usable_config(environment_values(self._environ), values, document)
        if unused.document and version != self._logged_version:
            extra = {"config_version": version, "fields": sorted(unused.document)}
            logger.warning("stored configuration fields cannot be used, and are kept", extra=extra)
            self._logged_version = version
        return VersionedConfig(config, version, unused, catalogue, keys, end_user_key)
