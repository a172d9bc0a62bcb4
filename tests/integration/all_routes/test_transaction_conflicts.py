"""Requests and jobs while DynamoDB reports conflicts of transactions, as AWS does on busy items."""

from typing import TYPE_CHECKING

import pytest

from image_gateway.worker.resending import RESENT_ATTRIBUTE
from sandbox.transaction_conflicts import injected_conflicts
from tests.integration.openai_api.generation import generate
from tests.integration.worker.queued_jobs import FOX, count_requests, enqueue_jobs

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment
    from tests.integration.worker_deployment import WorkerDeployment


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The upper limits of the pauses between attempts, which take no time."""
    limits: list[float] = []

    def no_pause(_low: float, high: float) -> float:
        limits.append(high)
        return 0.0

    monkeypatch.setattr("image_gateway.aws.table.random.uniform", no_pause)
    monkeypatch.setattr("image_gateway.aws.client.random.random", lambda: 0.0)
    return limits


def test_requests_with_idempotency_keys_succeed_despite_conflicts(
    openai_deployment: "Deployment", openai: "SandboxState"
) -> None:
    """A third of all writes is refused; each request is one job, and its repetition gets the same job."""
    with injected_conflicts(0.33, seed=3) as refused:
        statuses = [
            generate(openai_deployment, {"Idempotency-Key": str(number)}).status
            for number in range(10)
            for _ in range(2)
        ]

    assert statuses == [200] * 20
    assert {"transact_write_items", "put_item"} <= set(refused)
    assert len(openai_deployment.jobs()) == count_requests(openai) == 10


@pytest.mark.parametrize("headers", [{"Idempotency-Key": "k"}, {}], ids=["transaction", "single write"])
def test_a_conflict_that_lasts_is_a_503_that_clients_may_retry(
    openai_deployment: "Deployment", openai: "SandboxState", pauses: list[float], headers: dict[str, str]
) -> None:
    """Nothing was paid. The attempts are spread over seconds."""
    with injected_conflicts(1.0) as refused:
        response = generate(openai_deployment, headers)

    assert (response.status, response.json["error"]["code"]) == (503, "storage_unavailable")
    assert response.headers["retry-after"] == "1"
    assert "x-should-retry" not in response.headers
    assert openai.record == []
    writes = [name for name in refused if name != "update_item"]
    assert len(writes) == 8
    assert sum(pauses) > 3 or not headers


def test_a_job_whose_lease_conflicts_for_long_is_sent_again(worker: "WorkerDeployment", openai: "SandboxState") -> None:
    """The worker's message comes back after seconds."""
    (job_id,) = enqueue_jobs(worker)
    (message,) = worker.drain()

    with injected_conflicts(1.0):
        assert worker.deliver(message.record) == []

    (again,) = worker.drain()
    assert RESENT_ATTRIBUTE in again.attributes
    assert (worker.job(job_id).status, worker.job(job_id).request, openai.record) == ("queued", FOX, [])
