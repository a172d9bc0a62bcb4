"""The settings of a deployment, which `template.yaml` passes to functions as environment variables."""

import os
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _split_hosts(value: object) -> object:
    return [host.strip().lower() for host in value.split(",") if host.strip()] if isinstance(value, str) else value


class Settings(BaseModel):
    """The settings of a deployment. Each is read from the environment variable with its name in capitals."""

    model_config = ConfigDict(frozen=True)

    config_parameter: str = Field(description="Name of the SecureString with the configuration.")
    bucket: str = Field(description="The bucket for images, input images and long configuration values.")
    table: str = Field(description="The gateway's DynamoDB table.")
    kms_key_id: str = Field("", description="KMS key of the SecureString; empty: the account's default key.")
    config_ttl_seconds: float = Field(30, ge=0, description="How long a configuration is cached after it was read.")
    url_expiry_seconds: int = Field(3600, ge=1, le=604_800, description="Lifetime of a presigned URL.")
    job_retention_days: int = Field(30, ge=1, description="How long the records of jobs are kept.")
    function_timeout_seconds: float = Field(300, gt=0, description="Timeout of this function.")
    aws_lambda_function_memory_size: int = Field(2048, gt=0, description="Memory of the function in MB; set by Lambda.")
    worker_timeout_seconds: float = Field(0, ge=0, description="Timeout of the worker; 0: updates do not check it.")
    queue_url: str = Field("", description="The job queue; empty: requests are never queued.")
    dead_letter_queue_url: str = Field("", description="The queue for messages that cannot be read.")
    event_bus: str = Field("", description="The bus for events about finished jobs; empty: none are sent.")
    inline_seconds: float = Field(24, ge=0, description="Longest engine timeout of requests that are not queued.")
    wait_seconds: float = Field(25, ge=0, le=840, description="How long a request waits for its job.")
    wait_seconds_url: float = Field(55, ge=0, le=840, description="`wait_seconds` of function URLs.")
    token_ttl_seconds: float = Field(60, ge=0, description="How long a token is cached after a lookup.")
    fetch_allowed_hosts: Annotated[frozenset[str], BeforeValidator(_split_hosts)] = Field(
        frozenset(), description="Hosts without a public address that images may be fetched from."
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the settings; an empty variable counts as absent.

        Raises:
            pydantic.ValidationError: a setting is missing or out of bounds. The function then fails to start, as it
                should, because the template is wrong.
        """
        present = {name: environ[name.upper()] for name in cls.model_fields if environ.get(name.upper())}
        return cls.model_validate(present)
