"""What IAM decided during a run, and which statements of the roles that proves to be needed.

Every statement of every role must have been used, or be in `NOT_USED` with the reason why none of the steps can use it.
"""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from sandbox.template import Template
from tests.template.permissions import OPTIONS, statements, with_options

NOT_USED: Final[dict[str, str]] = {
    "WriteLogs": "Lambda writes a function's logs with its role, and the emulator does so by itself",
    "WriteTraces": "Lambda's daemon sends a function's traces with its role, and the emulator has no such daemon",
    "ReceiveMessages": "Lambda receives a queue's messages with the function's role, and the emulator without any",
}
"""Statements that no step can use, by `Sid`, in every role, with the reason."""

ONLY_WITH: Final = {
    "DecryptWithKey": "with KmsKeyArn; the emulator uses no key of the operator's",
    "EncryptWithKey": "with KmsKeyArn; the emulator uses no key of the operator's",
    "EncryptShortParameters": "with KmsKeyArn; the emulator uses no key of the operator's",
    "ManageNetworkInterfaces": "with VpcSubnetIds; the emulator has no network interfaces",
}
"""Statements of parameters that the deployment does not set, by `Sid`, with the reason why it does not."""


class ActionDenied(AssertionError):
    """A function was denied an action by IAM."""


class Decisions:
    """The decisions of IAM about functions.

    Args:
        read: returns all decisions so far, each with `function` and either `sid` and `action`, or `denied`.
        functions: the names of the functions in the template, by their names at Lambda.
    """

    def __init__(self, read: Callable[[], list[dict[str, Any]]], functions: Mapping[str, str]) -> None:
        self._read = read
        self._functions = functions
        self._seen = 0
        self.used: dict[tuple[str, str], dict[str, list[str]]] = {}

    def begin(self) -> None:
        """Begin a step: earlier decisions no longer count."""
        self._seen = len(self._read())

    def attribute(self, step: str) -> None:
        """End a step: what was used since `begin` was used by it."""
        for decision in self._new():
            if "sid" in decision:
                key = (self._functions[decision["function"]], decision["sid"])
                steps = self.used.setdefault(key, {}).setdefault(decision["action"], [])
                if step not in steps:
                    steps.append(step)

    def raise_if_denied(self) -> None:
        """Raise if a function was denied something since `begin`.

        Raises:
            ActionDenied: it was.
        """
        for decision in self._new():
            if "denied" in decision:
                function = self._functions.get(decision["function"], decision["function"])
                raise ActionDenied(f"{function} may not {decision['denied']} on {decision['resource']}")

    async def none_denied(self, step: Awaitable[None]) -> None:
        """Run a step that fails also if a function was denied something since `begin`.

        Raises:
            ActionDenied: it was.
        """
        await step
        self.raise_if_denied()

    def _new(self) -> list[dict[str, Any]]:
        return self._read()[self._seen :]


def all_statements() -> dict[tuple[str, str], bool]:
    """Return every statement of every role, by function and `Sid`, with whether it depends on a parameter."""
    everything, default = with_options(tuple(OPTIONS)), Template()
    return {
        (function.name, found["Sid"]): found not in statements(function.name, default)
        for function in default.functions()
        for found in statements(function.name, everything)
    }


def reason_for_no_use(sid: str, *, optional: bool) -> str | None:
    """Return why no step can use a statement; None if one must."""
    return (ONLY_WITH if optional else NOT_USED).get(sid)


def unexplained(used: Mapping[tuple[str, str], Any]) -> list[str]:
    """Return what is wrong with the table: statements that were not used without a reason, or used in spite of one."""
    problems = []
    for (function, sid), optional in all_statements().items():
        reason = reason_for_no_use(sid, optional=optional)
        if (function, sid) not in used and reason is None:
            problems.append(f"no step uses the statement {sid} of {function}")
        if (function, sid) in used and reason is not None:
            problems.append(f"the statement {sid} of {function} was used, so it needs no reason why it cannot be")
    return problems


def write_table(path: Path, used: Mapping[tuple[str, str], Mapping[str, list[str]]]) -> None:
    """Write the table of all statements as Markdown: which step used which action first, or why none can."""
    lines = ["| function | statement | used by | actions |", "| --- | --- | --- | --- |"]
    for (function, sid), optional in all_statements().items():
        actions = used.get((function, sid), {})
        steps = next(iter(actions.values()), [])
        why = steps[0] if steps else f"— {reason_for_no_use(sid, optional=optional)}"
        lines.append(f"| {function} | {sid} | {why} | {', '.join(sorted(actions))} |")
    path.write_text("\n".join(lines) + "\n")
