"""Every documented route accepts any request: each response is documented, and none is an internal error.

Requests are generated from the OpenAPI document, inside and outside its bounds. They go through the sandbox's front to
the functions' own handlers, which call a sandbox engine. `make fuzz` generates many more of them.

A response is documented by its status, content type, schema and headers. A 5xx is always wrong here: 501 to 504 are
documented for engines and stores that fail, and none of these does.

Schemathesis' other checks do not fit this API: it accepts "1" for 1 (`negative_data_rejection`), it refuses more than a
JSON schema can express (`positive_data_acceptance`), API Gateway responds with 404 to a method that no route has
(`unsupported_method`), and access/test_route_access.py tests who may use which route (`ignored_auth`).
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import settings as examples
from schemathesis import checks
from schemathesis.core.result import Ok
from schemathesis.generation.hypothesis.builder import HypothesisTestConfig, HypothesisTestMode, create_test

from image_gateway.access.principals import Role
from image_gateway.aws import Aws
from image_gateway.container import Gateway
from image_gateway.event_loop import run
from sandbox import openapi
from sandbox.engines.openai import create_app as create_openai
from sandbox.engines.state import SandboxState
from tests.aws_clients import aws_client
from tests.conftest import deployed, serving
from tests.integration.deployment import Deployment
from tests.integration.in_process_functions import InProcessFunctions


def without_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document without its `default` responses, which would document every status."""
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("default", None)
    return document


schema = schemathesis.openapi.from_dict(without_defaults(json.loads(openapi.TARGET.read_text("utf-8"))))
checks.load_all_checks()
CHECKS: list[Any] = checks.CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)

PROFILE = examples.default or examples()
FUZZING = examples(max_examples=PROFILE.max_examples // 10, suppress_health_check=[HealthCheck.too_slow])
FUZZING_LESS = examples(FUZZING, max_examples=PROFILE.max_examples // 20, phases=[Phase.generate, Phase.shrink])
MANY_CASES = 50
"""About how many of the documentation's examples and bounds are sent to a route: forms have hundreds. `make fuzz` sends
all of them."""
OPERATIONS: list[Any] = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
for_each = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
"""A test for each documented route, with an id of its own: xdist runs only one of tests that share an id."""


def fuzz(operation: Any, settings: examples, send: Callable[[schemathesis.Case[Any]], None]) -> None:
    """Send requests to a route: the documentation's examples, its bounds, and generated ones."""

    def send_to_this_host(case: schemathesis.Case[Any]) -> None:
        # API Gateway refuses other hosts itself, in no documented way.
        for name in [name for name in case.headers or () if name.lower() == "host"]:
            del case.headers[name]
        send(case)

    test: Any = create_test(
        operation=operation,
        test_func=settings(send_to_this_host),
        config=HypothesisTestConfig(project=schema.config, modes=list(HypothesisTestMode)),
    )
    listed = getattr(test, "hypothesis_explicit_examples", [])
    test.hypothesis_explicit_examples = listed[
        :: 1 if settings.max_examples > MANY_CASES else len(listed) // MANY_CASES + 1
    ]
    test()


@pytest.fixture(scope="module")
def serve_for_module() -> Iterator[Callable[..., str]]:
    """Serve ASGI applications while the tests of this module run."""
    with serving() as start:
        yield start


@pytest.fixture(scope="module")
def engine(serve_for_module: Callable[..., str]) -> str:
    """The base URL of the sandbox's openai engine."""
    return serve_for_module(create_openai(SandboxState())) + "/v1"


@pytest.fixture(scope="module")
def gateway(empty_resources: str, aws: Aws) -> Iterator[Gateway]:
    """A gateway of a new deployment, for the tests of this module."""
    with deployed(empty_resources) as settings:
        gateway = Gateway(settings, aws)
        yield gateway
        run(gateway.aclose())


@pytest.fixture
def deployment(gateway: Gateway, engine: str) -> Deployment:
    """A deployment with new tokens and its initial configuration, whatever earlier requests have changed."""
    deployment = Deployment(gateway)
    for role in Role:
        deployment.tokens[role.name.lower()] = deployment.token(f"the {role.name.lower()}", role)
    ssm, parameter = aws_client("ssm"), gateway.settings.config_parameter
    ssm.delete_parameters(Names=[parameter])
    deployment.configure(
        ENABLE_IMAGE_GENERATION=True,
        ENABLE_IMAGE_EDIT=True,
        IMAGE_GENERATION_MODEL="gpt-image-2",
        IMAGES_OPENAI_API_BASE_URL=engine,
        IMAGES_OPENAI_API_KEY="sandbox-key",
        IMAGE_EDIT_MODEL="gpt-image-2",
        IMAGES_EDIT_OPENAI_API_BASE_URL=engine,
        IMAGES_EDIT_OPENAI_API_KEY="sandbox-key",
        IMAGE_ENGINE_TIMEOUT=5,
    )
    return deployment


@pytest.fixture(scope="module")
def front_url(serve_for_module: Callable[..., str]) -> str:
    """The base URL of the sandbox's front."""
    return serve_for_module(InProcessFunctions().front())


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """A client whose connections are closed at the end."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def front(deployment: Deployment, front_url: str) -> str:
    """The base URL of the front, which calls this deployment."""
    deployment.activate()
    return front_url


@for_each
def test_responses_to_an_administrators_requests_are_documented(
    operation: Any, front: str, session: requests.Session, deployment: Deployment
) -> None:
    """Whatever an administrator sends."""

    def send(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(
            front, headers={"Authorization": f"Bearer {deployment.tokens['admin']}"}, session=session, checks=CHECKS
        )

    fuzz(operation, FUZZING, send)


@pytest.fixture
def existing_ids(deployment: Deployment) -> dict[str, str]:
    """The ids of existing objects, by a part of their path; the token is a new one, as it is revoked."""
    (image,) = deployment.call("POST", "/api/v1/images/generations", {"prompt": "a fox", "size": "64x64"}).json
    token = deployment.call("POST", "/api/v1/images/tokens", {"name": "to be revoked", "role": "user"}).json
    job = deployment.jobs()[0].id
    return {
        "/jobs/": job,
        "/tokens/": token["id"],
        "/end-users/": "alice",
        "/models/": "gpt-image-2",
        "/images/{id}": image["id"],
    }


@pytest.mark.parametrize(
    "operation",
    [operation for operation in OPERATIONS if "{id}" in operation.path],
    ids=lambda operation: operation.label,
)
def test_responses_to_requests_for_existing_objects_are_documented(
    operation: Any, front: str, session: requests.Session, deployment: Deployment, existing_ids: dict[str, str]
) -> None:
    """Whatever is sent for an existing job, image, model or token."""

    def send(case: schemathesis.Case[Any]) -> None:
        case.path_parameters = {"id": next(object_id for part, object_id in existing_ids.items() if part in case.path)}
        case.call_and_validate(
            front, headers={"Authorization": f"Bearer {deployment.tokens['admin']}"}, session=session, checks=CHECKS
        )

    fuzz(operation, FUZZING_LESS, send)


@for_each
def test_responses_to_users_and_unauthorized_requests_are_documented(
    operation: Any, front: str, session: requests.Session, deployment: Deployment
) -> None:
    """Whatever a user sends, or a caller without a token."""

    def send(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(
            front, headers={"Authorization": f"Bearer {deployment.tokens['user']}"}, session=session, checks=CHECKS
        )
        case.call_and_validate(front, headers={"Authorization": "Bearer"}, session=session, checks=CHECKS)

    fuzz(operation, FUZZING_LESS, send)
