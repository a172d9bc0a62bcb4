"""Routes: their defaults, limits and stored form."""

from typing import Any

import pytest
from pydantic import ValidationError

from image_gateway.models.route_forms import RouteForm
from image_gateway.models.routes import Route

POSTER: dict[str, Any] = {
    "description": "Large, slow, dear",
    "strategy": "weighted",
    "targets": [
        {"connection": "azure-eu", "model": "gpt-image-2", "weight": 3, "params": {"quality": "high"}},
        {"connection": "gpu-1", "workflow": "portrait", "size": "1024x1024", "steps": 30},
    ],
}


def test_route_falls_back_only_where_nothing_was_paid() -> None:
    """By default a route does everything, and falls back after failures that cost nothing."""
    route = RouteForm.model_validate(POSTER)

    assert route.operations == ["generation", "edit"]
    assert set(route.fallback_on) == {
        "unreachable",
        "rate_limited",
        "unavailable",
        "refused_key",
        "not_configured",
        "no_slot",
    }


def test_stored_route_is_what_was_set() -> None:
    """What is stored of a route has no defaults, and is read as the same route."""
    form = RouteForm.model_validate(POSTER)

    assert form.stored() == POSTER
    assert Route.model_validate(form.stored()).model_dump() == form.model_dump()


def test_repeated_names_count_once() -> None:
    """Operations and failures have no repetitions, and always the same order."""
    route = RouteForm.model_validate(
        {**POSTER, "operations": ["edit", "generation", "edit"], "fallback_on": ["timeout", "unreachable", "timeout"]}
    )

    assert (route.operations, route.fallback_on) == (["generation", "edit"], ["unreachable", "timeout"])


@pytest.mark.parametrize(
    "changes",
    [
        {"targets": []},
        {"targets": [{"connection": "a"}] * 33},
        {"targets": [{"connection": "Not/A/Name"}]},
        {"targets": [{"connection": "a", "params": {"api_key": "x"}}]},
        {"targets": [{"connection": "a", "weight": 0}]},
        {"operations": []},
        {"strategy": "fastest"},
        {"fallback_on": ["anything"]},
        {"unknown": 1},
    ],
)
def test_invalid_route_is_refused(changes: dict[str, Any]) -> None:
    """A route without targets, with too many, or with anything unknown is refused."""
    with pytest.raises(ValidationError):
        RouteForm.model_validate({**POSTER, **changes})


def test_route_of_a_newer_version_is_read() -> None:
    """Fields of a stored route and its targets that only a newer version knows are ignored."""
    route = Route.model_validate({"targets": [{"connection": "a", "region": "eu"}], "owner": "x"})

    assert route.targets[0].connection == "a"


def test_route_is_for_its_operations() -> None:
    """A route says whether it may be used for edits."""
    route = Route.model_validate({"targets": [{"connection": "a"}], "operations": ["edit"]})

    assert (route.can(edit=True), route.can(edit=False)) == (True, False)
