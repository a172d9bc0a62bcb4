"""The table of statements, the negative controls and the list of steps are complete."""

import inspect

import pytest

from tests.deployment import statements
from tests.deployment.controls import CONTROLS
from tests.deployment.statements import ActionDenied, Decisions, all_statements, reason_for_no_use, unexplained
from tests.deployment.step import STEPS, HarmlessStep

USED: dict[tuple[str, str], dict[str, list[str]]] = {
    key: {} for key, optional in all_statements().items() if not reason_for_no_use(key[1], optional=optional)
}


def test_a_run_that_uses_all_statements_without_a_reason_is_complete() -> None:
    """Nothing is to be explained then."""
    assert unexplained(USED) == []


def test_a_statement_that_no_step_uses_needs_a_reason() -> None:
    """It is either superfluous, or lacks a step."""
    used = {key: value for key, value in USED.items() if key != ("GenerateFunction", "QueueJobs")}

    assert unexplained(used) == ["no step uses the statement QueueJobs of GenerateFunction"]


def test_a_reason_for_a_statement_that_is_used_is_wrong() -> None:
    """So the list of reasons has nothing that a step could use."""
    (problem,) = unexplained({**USED, ("GenerateFunction", "WriteLogs"): {}})

    assert problem.startswith("the statement WriteLogs of GenerateFunction was used")


@pytest.mark.parametrize("sid", [*statements.NOT_USED, *statements.ONLY_WITH])
def test_every_reason_is_for_a_statement_that_exists(sid: str) -> None:
    """A reason does not outlive its statement."""
    assert sid in {found for _, found in all_statements()}


def test_every_function_has_a_negative_control() -> None:
    """Each removes a statement of its role. A role of which no step can use anything needs none."""
    assert {control.function for control in CONTROLS} == {function for function, _ in USED}
    assert {(control.function, control.sid) for control in CONTROLS} <= set(all_statements())


def test_every_control_s_step_is_one_of_the_steps() -> None:
    """So it passes while the statement is there."""
    assert {control.step for control in CONTROLS} <= {step.run for step in STEPS}


def test_steps_have_names_of_their_own_and_say_what_they_show() -> None:
    """A line of the report names one step, whose docstring explains it."""
    names = [step.name for step in STEPS]

    assert len(set(names)) == len(names)
    assert [step.name for step in STEPS if not inspect.getdoc(step.run)] == []
    assert any(isinstance(step, HarmlessStep) for step in STEPS)


def test_uses_belong_to_the_step_in_which_they_were() -> None:
    """What was used before a step began belongs to an earlier one."""
    log = [{"function": "f-1", "sid": "QueueJobs", "action": "sqs:SendMessage"}]
    decisions = Decisions(lambda: log, {"f-1": "GenerateFunction"})
    decisions.begin()
    log.append({"function": "f-1", "sid": "RecordJobs", "action": "dynamodb:PutItem"})

    decisions.attribute("a step")

    assert decisions.used == {("GenerateFunction", "RecordJobs"): {"dynamodb:PutItem": ["a step"]}}


def test_a_denied_action_fails_its_step() -> None:
    """Although the gateway may have done without it."""
    log = [{"function": "f-1", "denied": "events:PutEvents", "resource": "arn"}]
    decisions = Decisions(lambda: log, {"f-1": "GenerateFunction"})

    with pytest.raises(ActionDenied, match="GenerateFunction may not events:PutEvents on arn"):
        decisions.raise_if_denied()
