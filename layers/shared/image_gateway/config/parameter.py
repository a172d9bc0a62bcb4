"""The SecureString of Parameter Store that holds the configuration's document."""

import logging
from typing import Any

from image_gateway.aws import Aws, AwsError, unavailable
from image_gateway.settings import Settings

logger = logging.getLogger(__name__)

NOT_READ = "The configuration cannot be read"


class ConfigParameter:
    """The parameter of one deployment.

    Args:
        aws: Parameter Store.
        settings: names the parameter and its KMS key.
    """

    def __init__(self, aws: Aws, settings: Settings) -> None:
        self._aws = aws
        self._name = settings.config_parameter
        self._kms_key_id = settings.kms_key_id

    async def get(self, *, retry_throttling: bool) -> tuple[str, int] | None:
        """Return the document and its version; None if none has been stored yet.

        Raises:
            StorageUnavailable: it could not be read.
        """
        try:
            response = await self._aws.call(
                "ssm", "GetParameter", retry_throttling=retry_throttling, Name=self._name, WithDecryption=True
            )
        except AwsError as error:
            if error.code == "ParameterNotFound":
                return None
            raise unavailable(NOT_READ, error) from error
        return response["Parameter"]["Value"], response["Parameter"]["Version"]

    async def put(self, text: str, expected_version: int) -> int:
        """Store the document and return its version. Another version than the expected one is logged.

        Raises:
            AwsError: it was not stored.
        """
        options: dict[str, Any] = {"KeyId": self._kms_key_id} if self._kms_key_id else {}
        response = await self._aws.call(
            "ssm",
            "PutParameter",
            Name=self._name,
            Value=text,
            Type="SecureString",
            Tier="Intelligent-Tiering",
            Overwrite=True,
            **options,
        )
        version: int = response["Version"]
        if version != expected_version:
            # Only a write without the lock, for example from the console, can come between.
            logger.warning(
                "the configuration was also written from outside the gateway",
                extra={"config_version": version, "expected_version": expected_version},
            )
        return version
