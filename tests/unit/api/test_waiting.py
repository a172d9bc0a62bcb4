"""How long a request waits for its job."""

from typing import Any

import pytest
from starlette.requests import Request

from image_gateway.api.waiting import Waiting, max_wait_seconds, remaining_seconds
from image_gateway.container import Gateway
from image_gateway.settings import Settings

SETTINGS = Settings(config_parameter="p", bucket="b", table="t", wait_seconds=25, wait_seconds_url=55)
NOW = 1_800_000_000.0


def event(**context: Any) -> dict[str, Any]:
    return {"requestContext": context}


@pytest.mark.parametrize(
    ("domain", "seconds"),
    [
        ("abc123.execute-api.eu-central-1.amazonaws.com", 25),
        ("images.example.com", 25),
        ("abc123.lambda-url.eu-central-1.on.aws", 55),
        ("abc123.lambda-url.eu-central-1.on.aws.example.com", 25),
        ("on.aws", 25),
    ],
)
def test_maximum_wait_depends_on_the_host_name(domain: str, seconds: float) -> None:
    """API Gateway cuts off long requests; a function URL does not."""
    assert max_wait_seconds(event(domainName=domain), SETTINGS) == seconds


def test_without_an_event_the_maximum_wait_is_that_of_api_gateway() -> None:
    """The application also runs outside Lambda."""
    assert max_wait_seconds({}, SETTINGS) == 25
    assert remaining_seconds({}, 25, lambda: NOW) == 25


@pytest.mark.parametrize(
    ("ago", "allowed", "left"),
    [(0, 25, 25), (3, 25, 22), (25, 25, 0), (40, 25, 0), (3, 10, 7), (3, 0, 0), (-5, 25, 25)],
    ids=[
        "at once",
        "cold start",
        "just over",
        "long over",
        "caller waits 10 s",
        "caller does not wait",
        "clocks differ",
    ],
)
def test_remaining_time_counts_from_the_arrival_at_aws(ago: float, allowed: float, left: float) -> None:
    """The time of a cold start is used up. With a clock behind AWS's clock, no more than the allowed time is left."""
    arrived = event(timeEpoch=int((NOW - ago) * 1000))

    assert remaining_seconds(arrived, allowed, lambda: NOW) == left


@pytest.mark.anyio
@pytest.mark.parametrize("domain", ["abc.lambda-url.eu-west-1.on.aws", "abc.execute-api.eu-west-1.amazonaws.com"])
async def test_images_are_stored_until_shortly_before_the_lease_of_their_job_ends(domain: str) -> None:
    """A function URL may wait much longer. But then the worker has ended the job as interrupted."""
    settings = SETTINGS.model_copy(update={"function_timeout_seconds": 60, "wait_seconds_url": 840})
    request = Request({"type": "http", "aws.event": event(domainName=domain)})

    assert 50 < Waiting(request, Gateway(settings)).storing_seconds() <= 55
