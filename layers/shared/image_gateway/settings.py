"""The settings of a deployment, which `template.yaml` passes to functions as environment variables."""

import os
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from image_gateway.errors import NotConfigured
from image_gateway.hosts import host_and_port

TEMPLATE_PARAMETERS = {
    "CONFIG_TTL_SECONDS": "ConfigTtlSeconds",
    "FETCH_ALLOWED_HOSTS": "FetchAllowedHosts",
    "WAIT_SECONDS_URL": "FunctionUrlWaitSeconds",
    "JOB_RETENTION_DAYS": "ImageRetentionDays",
    "KMS_KEY_ID": "KmsKeyArn",
    "EVENT_BUS": "EventBusName",
    "URL_EXPIRY_SECONDS": "UrlExpirySeconds",
    "WORKER_TIMEOUT_SECONDS": "WorkerTimeoutSeconds",
}
"""The environment variables that have the value of a template parameter, and its name."""


def _hosts(value: object) -> object:
    if not isinstance(value, str):
        return value
    hosts = [host.strip().lower() for host in value.split(",") if host.strip()]
    for number, host in enumerate(hosts, start=1):
        try:
            host_and_port(host)
        except ValueError:
            raise PydanticCustomError(
                "host",
                "entry {number} must be host or host:port, an IPv6 address in brackets",
                {"number": number},
            ) from None
    return hosts


def _whole(value: object) -> object:
    """Round down a number of a template's parameter, for which CloudFormation also accepts `60.5` and `6e1`."""
    try:
        return int(float(value)) if isinstance(value, str) else value
    except (ValueError, OverflowError):
        return value


Whole = Annotated[int, BeforeValidator(_whole)]


class Settings(BaseModel):
    """The settings of a deployment. Each is read from the environment variable with its name in capitals."""

    model_config = ConfigDict(frozen=True)

    config_parameter: str = Field(description="Name of the SecureString with the configuration.")
    bucket: str = Field(description="The bucket for images, input images and long configuration values.")
    table: str = Field(description="The gateway's DynamoDB table.")
    usage_table: str = Field("", description="The DynamoDB table of usage by day; empty: usage is not recorded.")
    kms_key_id: str = Field("", description="KMS key of the SecureString; empty: the account's default key.")
    config_ttl_seconds: float = Field(30, ge=0, description="How long a configuration is cached after it was read.")
    url_expiry_seconds: Whole = Field(3600, ge=1, le=604_800, description="Lifetime of a presigned URL.")
    job_retention_days: Whole = Field(30, ge=1, description="How long the records of jobs are kept.")
    function_timeout_seconds: float = Field(300, gt=0, description="Timeout of this function.")
    aws_lambda_function_memory_size: Whole = Field(
        2048, gt=0, description="Memory of the function in MB; set by Lambda."
    )
    worker_timeout_seconds: float = Field(0, ge=0, description="Timeout of the worker; 0: updates do not check it.")
    queue_url: str = Field("", description="The job queue; empty: requests are never queued.")
    dead_letter_queue_url: str = Field("", description="The queue for messages that cannot be read.")
    event_bus: str = Field("", description="The bus for events about finished jobs; empty: none are sent.")
    inline_seconds: float = Field(24, ge=0, description="Longest engine timeout of requests that are not queued.")
    wait_seconds: float = Field(25, ge=0, le=840, description="How long a request waits for its job.")
    wait_seconds_url: float = Field(55, ge=0, le=840, description="`wait_seconds` of function URLs.")
    token_ttl_seconds: float = Field(60, ge=0, description="How long a token is cached after a lookup.")
    fetch_allowed_hosts: Annotated[frozenset[str], BeforeValidator(_hosts)] = Field(
        frozenset(), description="Hosts without a public address that images may be fetched from."
    )

    @property
    def deployment(self) -> str:
        """The name of the deployment, which is its stack's: the parameter is `/image-gateway/{stack}/config`."""
        return self.config_parameter.removesuffix("/config").rpartition("/")[2]

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the settings; an empty variable counts as absent.

        Raises:
            NotConfigured: a setting is missing or invalid. The error names the variables and the template parameters
                that set them, but not their values, because callers see it.
        """
        present = {name: environ[name.upper()] for name in cls.model_fields if environ.get(name.upper())}
        try:
            return cls.model_validate(present)
        except ValidationError as error:
            problems = [f"{_variable(item['loc'])}: {item['msg']}" for item in error.errors(include_input=False)]
            raise NotConfigured(f"The function's environment is invalid: {'; '.join(problems)}") from None


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0]).upper()
    return f"{name} (template parameter {TEMPLATE_PARAMETERS[name]})" if name in TEMPLATE_PARAMETERS else name
