"""Requests and jobs while DynamoDB reports conflicts of transactions, as AWS does on busy items."""

from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.aws import Aws, AwsError
from image_gateway.event_loop import run
from image_gateway.worker.resending import RESENT_ATTRIBUTE
from sandbox.transaction_conflicts import injected_conflicts
from tests.integration.openai_api.generation import generate
from tests.integration.sqs_records import record
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


class BusySettlements(Aws):
    """Refuses the settlements of jobs because of conflicts with other transactions.

    Attributes:
        refused: how many it has refused.
    """

    def __init__(self, aws: Aws) -> None:
        super().__init__()
        self._aws = aws
        self.refused = 0

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if operation == "TransactWriteItems" and "settled" in str(parameters):
            self.refused += 1
            reasons = [{"Code": "TransactionConflict"} for _ in parameters["TransactItems"]]
            response = {"CancellationReasons": reasons}
            raise AwsError("TransactionCanceledException", status=400, response=response)
        return await self._aws.call(service, operation, **parameters)

    async def send(self, service: str, method: str, url: str, **options: Any) -> bytes:
        return await self._aws.send(service, method, url, **options)


def limited_token(deployment: "Deployment") -> str:
    """Make a token with limits, for the role `limited`, and return its id."""
    created = deployment.call("POST", "/api/v1/images/tokens", {"name": "limited", "role": "user", "max_jobs": 9}).json
    deployment.tokens["limited"] = created["token"]
    return str(created["id"])


def open_jobs(deployment: "Deployment", token: str) -> int | None:
    state = run(deployment.gateway.limits.state(f"token:{token}"))
    return state.open_jobs if state else None


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


def test_a_budget_that_stays_busy_is_a_503_that_clients_may_retry(
    openai_deployment: "Deployment", openai: "SandboxState", pauses: list[float]
) -> None:
    """After some seconds. Nothing was paid, and nothing is held."""
    token = limited_token(openai_deployment)

    with injected_conflicts(1.0):
        response = generate(openai_deployment, role="limited")

    assert (response.status, response.json["error"]["code"]) == (503, "busy")
    assert response.headers["retry-after"] == "1"
    assert sum(pauses) > 3
    assert openai.record == []
    assert open_jobs(openai_deployment, token) == 0


def test_an_image_is_returned_although_its_settlement_conflicts_for_long(
    openai_deployment: "Deployment", openai: "SandboxState", aws: Aws
) -> None:
    """The end of its job is no part of the settlement, which the job's message repeats."""
    token = limited_token(openai_deployment)
    busy = BusySettlements(openai_deployment.gateway.aws)
    openai_deployment.redeploy(busy)

    response = generate(openai_deployment, role="limited")

    assert (response.status, len(openai.record), busy.refused) == (200, 1, 8)
    assert open_jobs(openai_deployment, token) == 1
    [job] = openai_deployment.jobs()
    assert (job.status, job.settled, job.announced) == ("succeeded", False, False)
    openai_deployment.redeploy(aws)
    run(openai_deployment.gateway.worker_parts.worker.process(job.id, lambda: 900.0))
    assert open_jobs(openai_deployment, token) == 0


def test_a_request_by_event_whose_budget_stays_busy_is_sent_again(
    worker: "WorkerDeployment", openai_deployment: "Deployment"
) -> None:
    """As when the table does not respond: its message would be invisible for minutes otherwise."""
    limits = {"budget": {"usd": "1", "period": "total"}}
    assert openai_deployment.call("PUT", "/api/v1/images/limits", limits).status == 200

    with injected_conflicts(1.0):
        assert worker.deliver(record({"kind": "generation", "request": FOX})) == []

    (again,) = worker.drain()
    assert RESENT_ATTRIBUTE in again.attributes
    assert worker.jobs() == []


def test_a_job_whose_lease_conflicts_for_long_is_sent_again(worker: "WorkerDeployment", openai: "SandboxState") -> None:
    """The worker's message comes back after seconds."""
    (job_id,) = enqueue_jobs(worker)
    (message,) = worker.drain()

    with injected_conflicts(1.0):
        assert worker.deliver(message.record) == []

    (again,) = worker.drain()
    assert RESENT_ATTRIBUTE in again.attributes
    assert (worker.job(job_id).status, worker.job(job_id).request, openai.record) == ("queued", FOX, [])
