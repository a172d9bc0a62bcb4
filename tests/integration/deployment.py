"""The functions' handlers of one deployment, called with API Gateway's own events."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import Scope

from functions.config.app import app as config_app
from functions.config.app import handler as config_handler
from functions.edit.app import app as edit_app
from functions.edit.app import handler as edit_handler
from functions.generate.app import app as generate_app
from functions.generate.app import handler as generate_handler
from functions.jobs.app import app as jobs_app
from functions.jobs.app import handler as jobs_handler
from image_gateway.access.principals import Role
from image_gateway.api.app import Handler
from image_gateway.aws import Aws
from image_gateway.container import Gateway
from image_gateway.event_loop import run
from image_gateway.models.jobs import Job
from sandbox.front import http_event
from tests.aws_clients import aws_client
from tests.integration.sample_images import RED, encoded, text

FUNCTIONS: tuple[tuple[FastAPI, Handler], ...] = (
    (config_app, config_handler),
    # Before the two functions that serve results as well, for requests to their function URLs.
    (jobs_app, jobs_handler),
    (generate_app, generate_handler),
    (edit_app, edit_handler),
)


def handler_of(scope: Scope) -> Handler:
    """Return the handler of the function whose route matches a request best; the first function's if none does."""
    return max(FUNCTIONS, key=lambda function: max(_match(route, scope) for route in function[0].routes))[1]


def _match(route: BaseRoute, scope: Scope) -> float:
    """Return how well a route matches. The one for all other paths under `/v1` comes after those of the path."""
    match = float(route.matches(scope)[0].value)
    return match - 0.5 if match and getattr(route, "path", "") == "/v1/{path:path}" else match


@dataclass
class ApiResponse:
    """A handler's response."""

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
        context: Mapping[str, Any] | None = None,
    ) -> ApiResponse:
        """Call the function that has the route.

        Args:
            method: the HTTP method.
            path: the path with its query.
            body: sent as JSON.
            role: the name of the token to send, or None.
            headers: further request headers.
            raw: a body that is sent unchanged, instead of `body`.
            context: changes to the event's `requestContext`.
        """
        request_headers = {"content-type": "application/json"} if body is not None else {}
        if role:
            request_headers["authorization"] = f"Bearer {self.tokens[role]}"
        request_headers.update({name.lower(): value for name, value in (headers or {}).items()})
        content = raw if raw is not None else json.dumps(body).encode() if body is not None else b""
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in request_headers.items()],
            "client": ("192.0.2.1", 1),
            "server": ("gateway.example", 443),
            "scheme": "https",
        }
        event = http_event(Request(scope), content, {}, f"{method} {path}")
        event["requestContext"].update(context or {})
        self.activate()
        # A path with more slashes at its beginning is sent to the function of its URL.
        response = handler_of({**scope, "path": "/" + path.lstrip("/")})(event, None)
        text = response.get("body") or ""
        if response["isBase64Encoded"]:
            text = base64.b64decode(text).decode()
        return ApiResponse(response["statusCode"], response["headers"], text)

    def token(self, name: str, role: Role = Role.USER, **options: Any) -> str:
        """Create a token; return its secret."""
        return run(self.gateway.config_parts.token_registry.create(name, role, **options)).token

    def configure(self, **fields: Any) -> Any:
        """Update the configuration as an administrator; return it."""
        response = self.call("POST", "/api/v1/images/config/update", fields)
        assert response.status == 200, response.text
        return response.json

    def enable_edits(self) -> None:
        """Let edits go to the OpenAI-compatible server of generations."""
        config = self.call("GET", "/api/v1/images/config").json
        self.configure(
            ENABLE_IMAGE_EDIT=True,
            IMAGE_EDIT_ENGINE="openai",
            IMAGE_EDIT_MODEL="gpt-image-2",
            IMAGES_EDIT_OPENAI_API_BASE_URL=config["IMAGES_OPENAI_API_BASE_URL"],
            IMAGES_EDIT_OPENAI_API_KEY="planted-engine-key",
        )

    def edit(self, image: Any = None, *, role: str = "user", **fields: Any) -> ApiResponse:
        """Edit `image`, a red image by default."""
        form = {"prompt": "a hat", "image": text(encoded(RED)) if image is None else image, **fields}
        return self.call("POST", "/api/v1/images/edit", form, role=role)

    def stored(self, prefix: str = "images/") -> list[str]:
        """Return the keys that begin with `prefix`, by default those of all images."""
        found = aws_client("s3").list_objects_v2(Bucket=self.gateway.settings.bucket, Prefix=prefix)
        return [item["Key"] for item in found.get("Contents", [])]

    def jobs(self) -> list[Job]:
        """Return all recorded jobs, newest first."""
        return run(self.gateway.jobs.page(owner=None))[0]

    def activate(self) -> None:
        """Let the functions of this process serve this deployment."""
        for app, _handler in FUNCTIONS:
            app.state.gateway = lambda: self.gateway

    def redeploy(self, aws: Aws | None = None, **settings: Any) -> None:
        """Deploy again with other settings."""
        run(self.gateway.aclose())
        self.gateway = Gateway(self.gateway.settings.model_copy(update=settings), aws or self.gateway.aws)

    def allow_hosts(self, *urls: str) -> None:
        """Deploy again and allow fetches from the hosts of these URLs, although they are not public."""
        self.redeploy(fetch_allowed_hosts=frozenset(url.removeprefix("http://") for url in urls))

    def process_queue(self) -> None:
        """Let the worker run all queued jobs."""
        sqs, queue_url = aws_client("sqs"), self.gateway.settings.queue_url
        while messages := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
                run(self.gateway.worker_parts.worker.process(json.loads(message["Body"])["job"], lambda: 900.0))
