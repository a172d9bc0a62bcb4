"""The configuration as one process of the config function has it: the same cache for reads and updates."""

from collections.abc import Mapping
from typing import Any

from image_gateway.aws import Aws
from image_gateway.aws.locks import Locks
from image_gateway.config.reader import ConfigReader
from image_gateway.config.stored import StoredConfig
from image_gateway.config.updates import ConfigUpdates
from image_gateway.settings import Settings


class ConfigStore(ConfigUpdates):
    """Reads and updates the configuration.

    Args:
        aws: Parameter Store, S3, and DynamoDB for the locks.
        settings: as of `StoredConfig`.
        environ: as of `StoredConfig`.
        options: other arguments of `ConfigReader`.
    """

    def __init__(self, aws: Aws, settings: Settings, environ: Mapping[str, str], **options: Any) -> None:
        self.stored = StoredConfig(aws, settings, environ=environ)
        reader = ConfigReader(self.stored, settings, **options)
        super().__init__(self.stored, reader, settings, Locks(aws, settings))
        self.read, self.catalogue = reader.read, reader.catalogue
