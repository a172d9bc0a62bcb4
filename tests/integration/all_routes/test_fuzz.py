"""Every documented route takes anything: each answer is one that is documented, and none is a defect.

Requests are made from the OpenAPI document, within its bounds and outside of them. They go through the sandbox's front
to the functions' own handlers, with a sandbox engine behind these. `make fuzz` makes many more of them.

What is documented is what a status, its content type, its schema and its headers are. A 5xx is never right here: 501 to
504 are documented for engines and stores that fail, and none of these does.

Schemathesis' other checks say what this API does not: it takes "1" for 1 (`negative_data_rejection`), it refuses more
than a JSON schema can say (`positive_data_acceptance`), API Gateway answers a method that no route has with 404
(`unsupported_method`), and `test_access.py` says who may use what (`ignored_auth`).
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
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
from sandbox.embedded_aws import EmbeddedAws
from sandbox.engines.openai import create_app as create_openai
from sandbox.engines.state import SandboxState
from tests.conftest import deployed, serving
from tests.integration.deployment import Deployment
from tests.integration.in_process_functions import InProcessFunctions

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def without_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """The document without its `default` answers, which would document every status."""
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("default", None)
    return document


schema = schemathesis.openapi.from_dict(without_defaults(openapi.document()))
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
FEW = examples(FUZZING, max_examples=PROFILE.max_examples // 20, phases=[Phase.generate, Phase.shrink])
OPERATIONS: list[Any] = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
for_each = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
"""A test for each documented route, by its own name: xdist runs one of those that share one."""


def fuzz(operation: Any, settings: examples, send: Callable[[schemathesis.Case[Any]], None]) -> None:
    """Send requests to a route: the examples of its documentation, its bounds, and whatever else can be made."""
    create_test(
        operation=operation,
        test_func=settings(send),
        config=HypothesisTestConfig(project=schema.config, modes=list(HypothesisTestMode)),
    )()


@pytest.fixture(scope="module")
def serve_long() -> Iterator[Callable[..., str]]:
    with serving() as start:
        yield start


@pytest.fixture(scope="module")
def engine(serve_long: Callable[..., str]) -> str:
    """The base URL of the sandbox's openai engine."""
    return serve_long(create_openai(SandboxState())) + "/v1"


@pytest.fixture(scope="module")
def gateway(embedded_aws: EmbeddedAws, dynamodb: "DynamoDBClient", aws: Aws) -> Iterator[Gateway]:
    with deployed(embedded_aws, dynamodb) as settings:
        made = Gateway(settings, aws)
        yield made
        run(made.aclose())


@pytest.fixture
def deployment(gateway: Gateway, engine: str) -> Deployment:
    """A deployment with new tokens and its first configuration, whatever the requests before have done."""
    made = Deployment(gateway)
    for role in Role:
        made.tokens[role.name.lower()] = made.token(f"the {role.name.lower()}", role)
    ssm, parameter = boto3.client("ssm"), gateway.settings.config_parameter
    ssm.delete_parameters(Names=[parameter])
    made.configure(
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
    return made


@pytest.fixture(scope="module")
def served(serve_long: Callable[..., str]) -> str:
    return serve_long(InProcessFunctions().front())


@pytest.fixture
def front(deployment: Deployment, served: str) -> str:
    """The base URL of the front of the deployment."""
    deployment.activate()
    return served


@for_each
def test_an_administrators_requests(operation: Any, front: str, deployment: Deployment) -> None:
    """Whatever an administrator sends, the answer is documented."""

    def send(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(front, headers={"Authorization": f"Bearer {deployment.tokens['admin']}"}, checks=CHECKS)

    fuzz(operation, FUZZING, send)


@pytest.fixture
def ids(deployment: Deployment) -> dict[str, str]:
    """Ids of what there is, by what their paths hold; a new token's is to be revoked."""
    (image,) = deployment.call("POST", "/api/v1/images/generations", {"prompt": "a fox", "size": "64x64"}).json
    token = deployment.call("POST", "/api/v1/images/tokens", {"name": "to be revoked", "role": "user"}).json
    job = deployment.jobs()[0].id
    return {"/jobs/": job, "/tokens/": token["id"], "/models/": "gpt-image-2", "/images/{id}": image["id"]}


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if "{id}" in one.path], ids=lambda operation: operation.label
)
def test_requests_for_what_there_is(operation: Any, front: str, deployment: Deployment, ids: dict[str, str]) -> None:
    """Whatever is asked of a job, an image, a model or a token that there is, the answer is documented."""

    def send(case: schemathesis.Case[Any]) -> None:
        case.path_parameters = {"id": next(found for part, found in ids.items() if part in case.path)}
        case.call_and_validate(front, headers={"Authorization": f"Bearer {deployment.tokens['admin']}"}, checks=CHECKS)

    fuzz(operation, FEW, send)


@for_each
def test_other_callers_requests(operation: Any, front: str, deployment: Deployment) -> None:
    """Whatever a user sends, or somebody without a token, the answer is documented."""

    def send(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(front, headers={"Authorization": f"Bearer {deployment.tokens['user']}"}, checks=CHECKS)
        case.call_and_validate(front, headers={"Authorization": "Bearer"}, checks=CHECKS)

    fuzz(operation, FEW, send)
