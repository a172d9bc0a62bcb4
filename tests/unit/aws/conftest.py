"""Clients of a service whose responses are given in advance."""

from collections.abc import AsyncIterator, Callable

import pytest
from starlette.responses import Response

from image_gateway.aws import Aws, create_transport
from tests.unit.aws.aws_service import RecordedSleep, Service


@pytest.fixture
def sleep() -> RecordedSleep:
    return RecordedSleep()


@pytest.fixture
async def client(sleep: RecordedSleep) -> AsyncIterator[Aws]:
    """A client that reuses connections, as on Lambda."""
    aws = Aws(create_transport, sleep=sleep)
    yield aws
    await aws.aclose()


@pytest.fixture
def respond(serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Service]:
    """Start a service with the given responses, as the endpoint of all AWS services."""
    for name, value in {"REGION": "eu-central-1", "ACCESS_KEY_ID": "AKID", "SECRET_ACCESS_KEY": "confidential"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "confidential-token")

    def start(*responses: Response) -> Service:
        service = Service(*responses)
        monkeypatch.setenv("AWS_ENDPOINT_URL", serve(service.app))
        return service

    return start
