"""How moto's server reads requests and writes responses, in a small part of the CPU time that werkzeug and Flask take.

Requests of the JSON protocol go from the socket to moto's own code. All others, above all those of S3, use moto's Flask
application.
"""

import time
from collections.abc import Iterable, Iterator
from email.utils import formatdate
from functools import cache, lru_cache
from http import HTTPStatus
from importlib import import_module
from io import BytesIO
from traceback import format_exc
from typing import Any, ClassVar, Final

from botocore.exceptions import ClientError
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.test import run_wsgi_app

_JSON_SERVICES: Final = {
    "DynamoDB_20120810": ("dynamodb", "DynamoHandler"),
    "AmazonSSM": ("ssm", "SimpleSystemManagerResponse"),
    "AmazonSQS": ("sqs", "SQSResponse"),
    "AWSEvents": ("events", "EventsHandler"),
}
"""moto's module and class of each service, by the first part of `X-Amz-Target`."""
_MAX_LINE_BYTES: Final = 65_536


class Headers:
    """A request's headers: their names are compared without regard to case, and kept as they were sent."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._values = {name.lower(): value for name, value in pairs}

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a header, the last one if there are several."""
        return self._values.get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> list[str]:
        """Return the names of the headers."""
        return [name for name, _ in self._pairs]

    def items(self) -> list[tuple[str, str]]:
        """Return the headers in the order in which they were sent."""
        return self._pairs


class JsonRequest:
    """What moto's code reads of a request of the JSON protocol, which has neither a path nor a form."""

    from_wsgi_server = True
    content_encoding = None
    method = "POST"
    path = raw_path = "/"
    form: ClassVar[dict[str, str]] = {}
    files: ClassVar[dict[str, Any]] = {}
    values: ClassVar[dict[str, str]] = {}

    def __init__(self, headers: Headers, body: bytes) -> None:
        self.headers = headers
        self.data = body
        self.content_type = headers.get("Content-Type")
        self.raw_url = f"http://{headers.get('Host')}/"


class RequestHandler(MotoRequestHandler):
    """Handles the requests of one connection, which stays open."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Log nothing: werkzeug would format a line for each request, which is not printed."""

    def parse_request(self) -> bool:
        """Parse the head of a request. The base class uses the email package for this, which takes longer than moto."""
        self.requestline = self.raw_requestline.decode("latin-1").rstrip("\r\n")
        words = self.requestline.split()
        if len(words) != 3 or words[2] not in ("HTTP/1.0", "HTTP/1.1"):
            return super().parse_request()
        self.command, self.path, self.request_version = words
        if self.path.startswith("//"):
            self.path = "/" + self.path.lstrip("/")
        pairs = []
        while (line := self.rfile.readline(_MAX_LINE_BYTES)) not in (b"\r\n", b"\n", b""):
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon:
                self.send_error(HTTPStatus.BAD_REQUEST, "Bad header")
                return False
            pairs.append((name, value.strip()))
        self.headers: Any = Headers(pairs)
        connection = self.headers.get("Connection", "").lower()
        self.close_connection = connection == "close" or (
            self.request_version == "HTTP/1.0" and connection != "keep-alive"
        )
        return True

    def run_wsgi(self) -> None:
        """Answer a request. The whole request is read, so that the connection can be reused."""
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        if self._is_json():
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            service, _, _ = self.headers["X-Amz-Target"].partition(".")
            self._respond(*self._call(service, JsonRequest(self.headers, body)))
        else:
            self._respond(*self._call_flask())

    def _is_json(self) -> bool:
        headers = self.headers
        return (
            headers.get("X-Amz-Target", "").partition(".")[0] in _JSON_SERVICES
            and self.command == "POST"
            and self.path == "/"
            and "Transfer-Encoding" not in headers
            and "Content-Encoding" not in headers
        )

    def _call(self, service: str, request: JsonRequest) -> tuple[str, Iterable[tuple[str, Any]], bytes]:
        try:
            status, headers, content = _dispatch_of(service)(request, request.raw_url, dict(request.headers.items()))
        except ClientError as error:
            status, headers, content = 400, {}, error.response["Error"]["Message"]
        except HTTPException as error:
            status, headers, content = error.code or 500, dict(error.get_headers()), error.get_body()
        except Exception:  # noqa: BLE001 - as in werkzeug: a defect of moto is a 500, and the server continues
            self.server.log("error", format_exc())
            status, headers, content = 500, {}, ""
        body = content if isinstance(content, bytes) else content.encode()
        headers = {"Content-Type": request.content_type, **headers, "Content-Length": len(body)}
        return f"{status} {HTTPStatus(int(status)).phrase}", headers.items(), body

    def _call_flask(self) -> tuple[str, Iterable[tuple[str, Any]], bytes]:
        environ = self.make_environ()
        length = environ.get("CONTENT_LENGTH")
        chunked = environ.get("wsgi.input_terminated", False)
        request_body = environ["wsgi.input"].read() if chunked else self.rfile.read(int(length or 0))
        environ |= {"wsgi.input": BytesIO(request_body), "CONTENT_LENGTH": str(len(request_body))}
        try:
            parts, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
        except Exception:  # noqa: BLE001 - as in werkzeug: a defect of moto is a 500, and the server continues
            self.server.log("error", format_exc())
            environ["wsgi.input"] = BytesIO()
            parts, status, headers = run_wsgi_app(InternalServerError(), environ, buffered=True)
        body = b"".join(parts)
        if body or (self.command != "HEAD" and status[:3] not in ("204", "304")):
            headers["Content-Length"] = str(len(body))
        return status, headers, body

    def _respond(self, status: str, headers: Iterable[tuple[str, Any]], body: bytes) -> None:
        head = [f"HTTP/1.1 {status}", f"Date: {_date(int(time.time()))}", *(f"{key}: {val}" for key, val in headers)]
        self.wfile.write("\r\n".join([*head, "", ""]).encode("latin-1") + body)


@cache
def _dispatch_of(service: str) -> Any:
    # At the first request, because importing a service takes time, and the sandbox prepares the import of one.
    module, name = _JSON_SERVICES[service]
    return getattr(import_module(f"moto.{module}.responses"), name).dispatch


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
