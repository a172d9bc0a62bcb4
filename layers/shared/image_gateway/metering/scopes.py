"""Scopes: whose limits they are. The names are the keys of the ledger's items, and are recorded in jobs."""

from typing import Final

DEPLOYMENT: Final = "deployment"
"""The scope of the deployment's own limits."""
_END_USER: Final = "end-user:"
_TOKEN: Final = "token:"  # noqa: S105 - a prefix of owners


def end_user_scope(owner: str, label: str) -> str:
    """Return the scope of an end user's budget, which each token gives to its own end users.

    A token's id has no colon, so that no label leads to another scope.

    Args:
        owner: the owner of the token's jobs.
        label: the label of the end user.
    """
    return f"{_END_USER}{owner.removeprefix(_TOKEN)}:{label}"


def is_end_user(scope: str) -> bool:
    """Whether a scope is that of an end user."""
    return scope.startswith(_END_USER)
