"""Negative controls: without one statement of a role, the step that needs it fails, and says which action is denied."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3

from tests.deployment.deployment import Deployment
from tests.deployment.statements import ActionDenied, Decisions
from tests.deployment.step import Action
from tests.deployment.steps import administration, edits, events, failures, generations, jobs


@dataclass(frozen=True)
class Control:
    """A statement of a function's role, by its `Sid`, and a step that needs it."""

    function: str
    sid: str
    step: Action


CONTROLS = (
    Control("ConfigFunction", "ListTokens", administration.a_token_can_be_created_listed_used_and_revoked),
    Control("GenerateFunction", "QueueJobs", generations.a_queued_image_is_generated_by_the_worker),
    Control("EditFunction", "StoreInputs", edits.a_queued_edit_keeps_its_input_for_the_worker),
    Control("JobsFunction", "ListJobsByOwner", jobs.a_user_lists_and_reads_own_jobs_and_images),
    Control("WorkerFunction", "ReadRequestFiles", events.a_request_file_gets_its_results),
    Control("DeadLetterFunction", "StoreDeadLetters", failures.a_message_that_is_no_request_is_kept_as_a_dead_letter),
)
"""One for each function."""


async def fails_without(control: Control, deployment: Deployment, decisions: Decisions, role: str) -> None:
    """Run the control's step without its statement.

    Args:
        control: the statement and the step.
        deployment: what the step runs against.
        decisions: what IAM decides meanwhile.
        role: the name of the function's role.

    Raises:
        AssertionError: the step passed, or failed for another reason.
    """
    with _without(control.sid, role):
        decisions.begin()
        try:
            await control.step(deployment)
        except Exception:  # noqa: BLE001 - a denied action may show as anything; the record says that it was denied
            denied = _denied(decisions)
            assert denied, f"the step failed without {control.sid}, and nothing was denied"
            assert denied.startswith(control.function), denied
            return
    raise AssertionError(f"the step passed without {control.sid} of {control.function}")


def _denied(decisions: Decisions) -> str:
    try:
        decisions.raise_if_denied()
    except ActionDenied as denied:
        return str(denied)
    return ""


@contextmanager
def _without(sid: str, role: str) -> Iterator[None]:
    """Remove the statement with this `Sid` from the policy that has it, inline or managed, during a block."""
    iam = boto3.client("iam")
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document: Any = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        if _has(document, sid):

            def put(changed: Mapping[str, Any], name: str = name) -> None:
                iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(changed))

            yield from _replaced(document, sid, put)
            return
    for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        arn = policy["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
        if _has(document, sid):

            def set_default(changed: Mapping[str, Any], arn: str = arn) -> None:
                iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(changed), SetAsDefault=True)

            yield from _replaced(document, sid, set_default)
            return
    raise AssertionError(f"{role} has no statement {sid}")


def _replaced(document: Mapping[str, Any], sid: str, put: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
    put({**document, "Statement": [one for one in document["Statement"] if one["Sid"] != sid]})
    try:
        yield
    finally:
        put(document)


def _has(document: Mapping[str, Any], sid: str) -> bool:
    return any(statement["Sid"] == sid for statement in document["Statement"])
