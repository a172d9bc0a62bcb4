"""A short run of what `make chaos` does for minutes."""

import asyncio
import os
import tempfile

import pytest

from tests.chaos.run import Options, Run

pytestmark = pytest.mark.timeout(300)


def test_every_paid_image_is_accounted_for() -> None:
    """Some processes are killed, some requests fail and a service is away: nothing is lost, stuck or paid twice."""
    options = Options(
        seed=int(os.environ.get("SEED") or 1),
        kills=3,
        outage=2.0,
        services=("s3",),
        between=1.0,
        engines=("openai", "comfyui"),
        clients=4,
    )
    with tempfile.TemporaryFile() as log:
        result = asyncio.run(Run(options, log, print).run())

    assert result.ledger.balanced, (result.line, result.ledger.problems)
