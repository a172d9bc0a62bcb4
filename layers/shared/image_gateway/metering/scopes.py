"""Scopes: whose limits they are. The names are the keys of the ledger's items, and are recorded in jobs.

The scope of a token, or of a source of events, has the same name as the owner of its jobs.
"""

from typing import Final

DEPLOYMENT: Final = "deployment"
"""The scope of the deployment's own limits."""
TOKENS: Final = "token:"
"""The beginning of the owners that are tokens."""
EVENTS: Final = "event:"
"""The beginning of the owners of jobs by event."""
_END_USER: Final = "end-user:"


def token_owner(token_id: str) -> str:
    """Return the owner of a token's jobs and images, which is also the scope of its limits."""
    return f"{TOKENS}{token_id}"


def event_owner(source: str) -> str:
    """Return the owner, and the scope, of requests by event from a source: `sqs`, `s3`, or EventBridge's `source`."""
    return f"{EVENTS}{source}"


def end_user_scope(owner: str, label: str) -> str:
    """Return the scope of an end user's budget, which each token gives to its own end users.

    A token's id has no colon, so that no label leads to another scope.

    Args:
        owner: the owner of the token's jobs.
        label: the label of the end user.
    """
    return f"{_END_USER}{owner.removeprefix(TOKENS)}:{label}"


def token_scope(scope: str) -> str:
    """Return the scope of the token that gives an end user its budget, for the scope of the end user."""
    return token_owner(scope.removeprefix(_END_USER).partition(":")[0])


def label_of(scope: str) -> str:
    """Return the label of an end user, for its scope."""
    return scope.removeprefix(_END_USER).partition(":")[2]


def is_end_user(scope: str) -> bool:
    """Whether a scope is that of an end user."""
    return scope.startswith(_END_USER)
