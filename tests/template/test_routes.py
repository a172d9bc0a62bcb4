"""The routes of the HTTP API are those of the applications."""

from importlib import import_module
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from sandbox.template import DEFAULT_PATH, Template

TEMPLATE = Template()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE.document["Resources"]
FUNCTIONS = {function.name: function for function in TEMPLATE.functions() if function.routes}


def module_of(function: str) -> Any:
    return import_module(FUNCTIONS[function].handler.rpartition(".")[0])


def app_of(function: str) -> FastAPI:
    app: FastAPI = module_of(function).app
    return app


def test_routes_of_the_console_are_those_that_it_handles() -> None:
    """Its function has no application; it knows the keys of its routes, all of which read only."""
    routes = {f"{route.method} {route.path}" for route in FUNCTIONS["ConsoleFunction"].routes}

    assert routes == module_of("ConsoleFunction").ROUTES
    assert all(route.startswith("GET ") for route in routes)


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - {"ConsoleFunction"}))
def test_routes_are_those_of_the_application(function: str) -> None:
    """The API routes to a function what its application handles; what several handle, to one.

    These are job results, and generations, which the edit function has at its own URL.
    """
    handled = {
        (method, route.path.replace(":path}", "+}"))
        for route in app_of(function).routes
        if isinstance(route, APIRoute)
        for method in (["ANY"] if "OPTIONS" in (route.methods or ()) else route.methods or ())
    }
    routed = {(route.method, route.path) for route in FUNCTIONS[function].routes if route.path != DEFAULT_PATH}
    results = {("GET", f"{prefix}/images/jobs/{{id}}/result") for prefix in ("/api/v1", "/v1")}

    generations = {("POST", f"{prefix}/images/generations") for prefix in ("/api/v1", "/v1")}

    assert routed - handled == set()
    assert handled - routed in (set(), results, results | generations)


def test_a_route_has_one_function() -> None:
    """No two functions have the same route, and each route belongs to the one API."""
    routes = [(route.method, route.path) for function in FUNCTIONS.values() for route in function.routes]
    events = [event for name in FUNCTIONS for event in RESOURCES[name]["Properties"]["Events"].values()]

    assert len(routes) == len(set(routes))
    assert all(event["Properties"]["ApiId"] == {"Ref": "Api"} for event in events)


def test_paths_without_a_route_belong_to_the_function_with_most_routes() -> None:
    """One function has `$default`. SAM then gives API Gateway one permission for all its routes."""
    default = [name for name, function in FUNCTIONS.items() for route in function.routes if route.path == DEFAULT_PATH]

    assert default == [max(FUNCTIONS, key=lambda name: len(FUNCTIONS[name].routes))]
