"""How long a request waits for its job."""

from typing import Any

import pytest

from image_gateway.api.waiting import max_wait_seconds, remaining_seconds
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
