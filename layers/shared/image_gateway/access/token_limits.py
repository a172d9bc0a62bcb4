"""The limits of a token as its items have them: sets of names."""

from collections.abc import Collection, Mapping
from typing import Any, Final

LIMITS: Final = ("engines", "models", "connections", "routes")
"""What a token can be limited to. The attributes have these names, and no attribute means no limit."""

_NEWER: Final = ("connections", "routes")
_NO_ENGINE: Final = "-"
"""Is no engine's name. A version that does not know the newer limits would otherwise ignore them after a rollback, and
the token could use everything. With this one it can use nothing."""


def stored_limits(limits: Mapping[str, Collection[str] | None]) -> dict[str, Any]:
    """Return the attributes for the limits of a token; None is no limit."""
    stored = {name: {"SS": sorted(names)} for name, names in limits.items() if names is not None}
    if "engines" not in stored and any(name in stored for name in _NEWER):
        stored["engines"] = {"SS": [_NO_ENGINE]}
    return stored


def read_limits(item: Mapping[str, Any]) -> dict[str, frozenset[str] | None]:
    """Return the limits of a token from its item, by their names; None is no limit."""
    limits = {name: frozenset(item[name]["SS"]) if name in item else None for name in LIMITS}
    if limits["engines"] == frozenset({_NO_ENGINE}):
        limits["engines"] = None
    return limits
