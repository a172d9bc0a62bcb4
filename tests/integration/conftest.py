"""A deployment on embedded AWS, and the functions' handlers called with API Gateway's own events."""

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.requests import Request

from functions.config.app import app as config_app
from functions.config.app import handler as config_handler
from functions.generate.app import app as generate_app
from functions.generate.app import handler as generate_handler
from image_gateway.gateway import Gateway
from image_gateway.runtime import run
from image_gateway.tokens import Role
from sandbox.engines.openai import create_app as create_openai
from sandbox.engines.state import SandboxState
from sandbox.front import http_event

APPS = (config_app, generate_app)
HANDLERS = (config_handler, generate_handler)


@dataclass
class Answer:
    """What a handler answered."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Deployment:
    """The functions of one deployment, called as API Gateway calls them."""

    gateway: Gateway
    tokens: dict[str, str] = field(default_factory=dict)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: str | None = "admin",
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """Call the function that has the route; `body` is sent as JSON, `raw` as it is."""
        sent = {"content-type": "application/json"} if body is not None else {}
        if role:
            sent["authorization"] = f"Bearer {self.tokens[role]}"
        sent.update({name.lower(): value for name, value in (headers or {}).items()})
        content = raw if raw is not None else json.dumps(body).encode() if body is not None else b""
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            "client": ("192.0.2.1", 1),
            "server": ("gateway.example", 443),
            "scheme": "https",
        }
        event = http_event(Request(scope), content, {}, f"{method} {path}")
        for app in APPS:
            app.state.gateway = lambda: self.gateway
        generating = path.endswith("/generations")
        answer = HANDLERS[generating](event, None)
        text = answer["body"]
        if answer["isBase64Encoded"]:
            text = base64.b64decode(text).decode()
        return Answer(answer["statusCode"], answer["headers"], text)

    def configure(self, **fields: Any) -> Any:
        """Update the configuration as an administrator."""
        answer = self.call("POST", "/api/v1/images/config/update", fields)
        assert answer.status == 200, answer.text
        return answer.json


@pytest.fixture
def deployment(gateway: Gateway) -> Deployment:
    """A deployment with one admin's and one user's token."""
    made = Deployment(gateway)
    for role in Role:
        made.tokens[role.name.lower()] = gateway.tokens.create(f"the {role.name.lower()}", role)
    made.tokens["garbage"] = f"igw_{uuid.uuid4().hex}"
    return made


@pytest.fixture
def openai() -> SandboxState:
    """The knobs and the record of the sandbox's openai engine."""
    return SandboxState()


@pytest.fixture
def generating(
    deployment: Deployment, openai: SandboxState, serve: Callable[..., str]
) -> Iterator[Deployment]:
    """A deployment that generates with the sandbox's openai engine."""
    deployment.configure(
        ENABLE_IMAGE_GENERATION=True,
        IMAGE_GENERATION_MODEL="gpt-image-2",
        IMAGES_OPENAI_API_BASE_URL=serve(create_openai(openai)) + "/v1",
        IMAGES_OPENAI_API_KEY="planted-engine-key",
        IMAGE_ENGINE_TIMEOUT=5,
    )
    yield deployment
    run(deployment.gateway.aclose())
