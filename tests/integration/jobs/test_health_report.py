"""What an administrator sees of the queues: their depth, the oldest job that waits, and dead letters."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from image_gateway import __version__
from image_gateway.event_loop import run
from image_gateway.jobs.backlog import DEAD_LETTERS_PREFIX
from tests.aws_clients import aws_client
from tests.integration.jobs.queued_generation import IMAGES, get, submit

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

HEALTH = f"{IMAGES}/health"


def test_an_idle_deployment_has_nothing_that_waits(queue_deployment: "Deployment") -> None:
    """The counts are 0, there is no oldest job, and the version is that of the package."""
    report = get(queue_deployment, HEALTH, "admin").json

    assert report == {
        "version": __version__,
        "queue": {"waiting": 0, "received": 0, "delayed": 0},
        "oldest_job": None,
        "dead_letters": {"waiting": 0, "kept": 0, "newest_at": None},
    }


def test_the_oldest_job_that_waits_is_reported(queue_deployment: "Deployment") -> None:
    """Of several queued jobs it is the first one; its prompt is not in the report."""
    first, _second = submit(queue_deployment), submit(queue_deployment)

    response = get(queue_deployment, HEALTH, "admin")

    assert response.json["queue"]["waiting"] == 2
    assert response.json["oldest_job"]["id"] == first
    assert "a fox" not in response.text


def test_a_job_that_has_ended_does_not_wait(queue_deployment: "Deployment") -> None:
    """Only queued jobs count, also if other messages are in the queue."""
    submit(queue_deployment)
    queue_deployment.process_queue()
    run(queue_deployment.gateway.queue.resend("{}", owner=None))

    report = get(queue_deployment, HEALTH, "admin").json

    assert (report["queue"]["waiting"], report["oldest_job"]) == (1, None)


def test_dead_letters_are_counted(queue_deployment: "Deployment") -> None:
    """Those in the queue and those that are kept in the bucket are counted, with the time of the newest."""
    dead = aws_client("sqs").create_queue(QueueName=f"{queue_deployment.gateway.settings.table}-dead")
    queue_deployment.redeploy(dead_letter_queue_url=dead["QueueUrl"])
    run(queue_deployment.gateway.queue.dead_letter("?", "unreadable"))
    run(queue_deployment.gateway.objects.put_json(f"{DEAD_LETTERS_PREFIX}a.json", {"reason": "unreadable"}))

    letters = get(queue_deployment, HEALTH, "admin").json["dead_letters"]

    assert (letters["waiting"], letters["kept"]) == (1, 1)
    assert abs(datetime.fromisoformat(letters["newest_at"]) - datetime.now(UTC)) < timedelta(minutes=5)
