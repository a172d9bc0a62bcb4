"""A worker that edits."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.event_loop import run
from tests.integration.worker_deployment import WorkerDeployment, deploy_worker

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


@pytest.fixture
def edit_worker(
    deployment: "Deployment", use_edit_engine: Callable[[str], Any]
) -> Iterator[tuple[WorkerDeployment, Any]]:
    """A worker whose deployment edits with the sandbox's openai engine, and that engine."""
    engine = use_edit_engine("openai")
    worker = deploy_worker(deployment.gateway)
    yield worker, engine
    run(worker.gateway.aclose())
