"""What `template.yaml` tells a function through its environment."""

import os
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _hosts(value: object) -> object:
    return [host.strip().lower() for host in value.split(",") if host.strip()] if isinstance(value, str) else value


class Settings(BaseModel):
    """The deployment's own settings; each is read from the environment variable of its name in capitals."""

    model_config = ConfigDict(frozen=True)

    config_parameter: str = Field(description="Name of the SecureString that holds the configuration.")
    bucket: str = Field(description="The bucket for images, inputs and long configuration values.")
    table: str = Field(description="The gateway's DynamoDB table.")
    kms_key_id: str = Field("", description="Key of the SecureString; empty: the account's own.")
    config_ttl_seconds: float = Field(30, ge=0, description="How long a read configuration is used.")
    url_expiry_seconds: int = Field(3600, ge=1, le=604_800, description="Life of a presigned URL.")
    job_retention_days: int = Field(30, ge=1, description="How long a job is remembered.")
    function_timeout_seconds: float = Field(300, gt=0, description="The function's own limit.")
    aws_lambda_function_memory_size: int = Field(2048, gt=0, description="The function's memory in MB; Lambda sets it.")
    worker_timeout_seconds: float = Field(0, ge=0, description="The worker's limit; 0: an update does not look at it.")
    queue_url: str = Field("", description="The queue of jobs; empty: requests are done where they come in.")
    dead_letter_queue_url: str = Field("", description="Where messages go that cannot be read.")
    event_bus: str = Field("", description="Where the end of a job is told; empty: nowhere.")
    inline_seconds: float = Field(24, ge=0, description="Longest engine timeout with which a request is done at once.")
    wait_seconds: float = Field(25, ge=0, le=840, description="How long a request waits for its job.")
    wait_seconds_url: float = Field(55, ge=0, le=840, description="The same, where it came by a function URL.")
    token_ttl_seconds: float = Field(60, ge=0, description="How long a token that was looked up is trusted.")
    fetch_allowed_hosts: Annotated[frozenset[str], BeforeValidator(_hosts)] = Field(
        frozenset(), description="Hosts that may be fetched from although they are not public."
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the settings.

        Raises:
            pydantic.ValidationError: one is missing or out of bounds. The function then fails to start, which is right:
                the template is wrong.
        """
        present = {name: environ[name.upper()] for name in cls.model_fields if environ.get(name.upper())}
        return cls.model_validate(present)
