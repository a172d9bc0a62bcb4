"""Signed requests to AWS over a transport of `httpx`.

botocore would do the same in threads, at 270 ms of every cold start and some milliseconds of CPU for each call. What
`httpx.AsyncClient` does for a request (cookies, redirects, authentication) is of no use here, and 0.2 ms.
"""

import asyncio
import html
import json
import random
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx

from image_gateway.aws import environment
from image_gateway.aws.errors import TOO_LARGE, AwsError, NoResponse
from image_gateway.aws.signing import Signer
from image_gateway.net.transport import Transport

ATTEMPTS = 4
"""How often a request is sent at most."""
_LONGEST_WAIT = 20.0
_TIMEOUT = {"connect": 3.0, "read": 10.0, "write": 10.0, "pool": None}
# Connections outlive the pause between two invocations, but not what services let an idle one live.
_IDLE_SECONDS = 20
_SLICE = 256 * 1024
_XML = re.compile(rb"<Error>.*?<Code>([^<]+)</Code>(?:\s*<Message>([^<]*)</Message>)?", re.DOTALL)
# The version of JSON, and what the names of operations begin with.
_PROTOCOLS = {
    "dynamodb": ("1.0", "DynamoDB_20120810"),
    "events": ("1.1", "AWSEvents"),
    "sqs": ("1.0", "AmazonSQS"),
    "ssm": ("1.1", "AmazonSSM"),
}


def create_transport(tls: ssl.SSLContext | None = None) -> httpx.AsyncBaseTransport:
    """What sends requests to AWS; its connections live on one event loop.

    Where the environment names proxies, httpx finds its way through them.
    """
    tls = tls or ssl.create_default_context()
    return _ThroughProxies(tls) if getproxies() else Transport(tls, _IDLE_SECONDS)


class _ThroughProxies(httpx.AsyncBaseTransport):
    def __init__(self, tls: ssl.SSLContext) -> None:
        self._client = httpx.AsyncClient(verify=tls)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._client.send(request, stream=True)

    async def aclose(self) -> None:
        await self._client.aclose()


class Aws:
    """The AWS services the gateway uses, in the region and with the credentials of the environment.

    Requests are tried again as by botocore's "standard" mode: on failures that pass and on throttling, `ATTEMPTS`
    times in all, after a random part of a time that doubles. A write whose first attempt did arrive can so be done
    twice, or be told that its own condition does not hold any more: callers' writes must bear that. A clock that is
    wrong is not corrected: Lambda's is right.

    Args:
        transport: makes what sends the requests, when it is first needed.
        sleep: waits, in seconds.
    """

    def __init__(
        self,
        transport: Callable[[], httpx.AsyncBaseTransport] = create_transport,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._create_transport = transport
        self._sleep = sleep

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation of DynamoDB, EventBridge, SQS or Systems Manager.

        Args:
            service: `dynamodb`, `events`, `sqs` or `ssm`.
            operation: by its name in the API, such as `GetItem`.
            parameters: as the API's reference has them; what it calls a blob would be base64 text.

        Returns:
            The answer, as the reference has it. Its checksum is not looked at: TLS has done that.

        Raises:
            AwsError: the service refused, failed or was not reached.
        """
        version, target = _PROTOCOLS[service]
        url = environment.custom_endpoint(service) or f"https://{environment.host(service)}"
        headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": f"{target}.{operation}"}
        body = json.dumps(parameters, separators=(",", ":")).encode()
        answer = await self.send(service, "POST", f"{url}/", headers=headers, body=body)
        try:
            return json.loads(answer) if answer else {}
        except ValueError:
            raise AwsError("InvalidAnswer", f"{operation} was answered with something that is not JSON") from None

    async def send(
        self,
        service: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | memoryview = b"",
        max_bytes: int | None = None,
    ) -> bytes:
        """Send a signed request until there is an answer worth having; give its body.

        Args:
            service: what it is signed for.
            method: of HTTP.
            url: absolute and percent-encoded, its query sorted by name.
            headers: names in lower case.
            body: what is sent; sent in slices, without a copy of the whole.
            max_bytes: bytes; a longer answer is not read.

        Raises:
            AwsError: the service refused, failed or was not reached; `TOO_LARGE` where the answer is too long.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                # Signed anew each time: a signature is good for minutes, credentials for their time.
                return await self._answer(self._signed(service, method, url, headers, body), max_bytes)
            except AwsError as error:
                if attempt == ATTEMPTS or not error.transient:
                    raise
                scale = 1.0 if error.throttled else 0.05
            await self._sleep(random.random() * min(scale * 2 ** (attempt - 1), _LONGEST_WAIT))  # noqa: S311 - jitter, no secret
        raise AssertionError("unreachable")

    def signer(self, service: str) -> Signer:
        """What signs for a service now."""
        return Signer(environment.credentials(), environment.region(), service, datetime.now(UTC))

    async def aclose(self) -> None:
        """Close the connections that were opened."""
        if "_transport" in self.__dict__:
            await self._transport.aclose()

    @cached_property
    def _transport(self) -> httpx.AsyncBaseTransport:
        return self._create_transport()

    def _signed(
        self, service: str, method: str, url: str, headers: Mapping[str, str], body: bytes | memoryview
    ) -> httpx.Request:
        signed = self.signer(service).headers(method, url, headers, body)
        # What is not signed may be changed on the way. Answers are wanted as they are, never compressed.
        extra = {"accept-encoding": "identity", "content-length": str(len(body))}
        parts = urlsplit(url)
        # httpx would tidy a path with dots, which is then no longer the one that was signed.
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        extensions = {"target": target.encode(), "timeout": _TIMEOUT}
        origin = _origin(f"{parts.scheme}://{parts.netloc}")
        return httpx.Request(method, origin, headers={**signed, **extra}, stream=_Sliced(body), extensions=extensions)

    async def _answer(self, request: httpx.Request, max_bytes: int | None) -> bytes:
        try:
            response = await self._transport.handle_async_request(request)
            try:
                length = int(response.headers.get("content-length", 0))
                if max_bytes is not None and response.is_success and length > max_bytes:
                    raise AwsError(TOO_LARGE, f"the answer has over {max_bytes} bytes", status=response.status_code)
                # As it lies there: an object of S3 names an encoding by itself, and unpacked may be of any length.
                response.headers.pop("content-encoding", None)
                content = await response.aread()
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            raise NoResponse(type(error).__name__, str(error)) from error
        if not response.is_success:
            raise _refusal(response)
        return content


class _Sliced(httpx.AsyncByteStream):
    """A body in parts, so that no layer on the way to the socket has a copy of the whole."""

    def __init__(self, body: bytes | memoryview) -> None:
        self._body = memoryview(body)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), _SLICE):
            yield bytes(self._body[start : start + _SLICE])


@cache
def _origin(url: str) -> httpx.URL:
    """The URL of a server, parsed once."""
    return httpx.URL(url)


def _refusal(response: httpx.Response) -> AwsError:
    """The error that an answer tells of: in JSON, in S3's XML, or by nothing but its status."""
    status = response.status_code
    if found := _XML.search(response.content):
        code, message = (text.decode(errors="replace") for text in found.groups(default=b""))
        return AwsError(code, html.unescape(message), status=status)
    try:
        answer = json.loads(response.content)
        # As in "com.amazonaws.sqs#QueueDoesNotExist", sometimes with an address behind it.
        code = str(answer["__type"]).rpartition("#")[2].partition(":")[0]
        return AwsError(code, answer.get("message") or answer.get("Message") or "", status=status, response=answer)
    except (ValueError, TypeError, KeyError, AttributeError):
        return AwsError(str(status), status=status)
