"""Signed requests to AWS over an `httpx` transport.

botocore would do the same in threads, but adds 270 ms to every cold start and some milliseconds of CPU to each call.
`httpx.AsyncClient` adds 0.2 ms per request for cookies, redirects and authentication, none of which AWS needs.
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
from itertools import count
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx

from image_gateway.aws import environment
from image_gateway.aws.deadlines import DEADLINES
from image_gateway.aws.errors import TOO_LARGE, AwsError, NoResponse
from image_gateway.aws.signing import Signer
from image_gateway.net.transport import Transport

ATTEMPTS = 4
"""Maximum number of times that a request is sent."""
CONFLICT_ATTEMPTS = 8
"""`ATTEMPTS` of a write that conflicts with a transaction: on a busy item, that can last for seconds."""
# Longer than most pauses between two invocations, and shorter than the time after which services close connections.
_IDLE_SECONDS = 20
# The keys of `getproxies` that httpx uses.
_PROXIES = ("http", "https", "all")
_SLICE_BYTES = 256 * 1024
_XML_ERROR = re.compile(rb"<Error>.*?<Code>([^<]+)</Code>(?:\s*<Message>([^<]*)</Message>)?", re.DOTALL)
# The version of the JSON protocol, and the prefix of operation names in `x-amz-target`.
_PROTOCOLS = {
    "dynamodb": ("1.0", "DynamoDB_20120810"),
    "events": ("1.1", "AWSEvents"),
    "sqs": ("1.0", "AmazonSQS"),
    "ssm": ("1.1", "AmazonSSM"),
}


def create_transport(tls: ssl.SSLContext | None = None) -> httpx.AsyncBaseTransport:
    """Create a transport for requests to AWS. Its connections belong to one event loop.

    If the environment sets a proxy for HTTP, requests go through httpx's client, which supports them. Exceptions from
    proxies alone (`NO_PROXY`) set none.
    """
    tls = tls or ssl.create_default_context()
    has_proxy = not getproxies().keys().isdisjoint(_PROXIES)
    return _ProxyTransport(tls) if has_proxy else Transport(tls, _IDLE_SECONDS)


class _ProxyTransport(httpx.AsyncBaseTransport):
    def __init__(self, tls: ssl.SSLContext) -> None:
        self._client = httpx.AsyncClient(verify=tls)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._client.send(request, stream=True)

    async def aclose(self) -> None:
        await self._client.aclose()


class Aws:
    """The AWS services that the gateway uses, in the region and with the credentials of the environment.

    Requests are retried as in botocore's "standard" mode: after transient failures and throttling, up to `ATTEMPTS`
    attempts in all, with exponential backoff and full jitter. All attempts together end by the service's deadline
    (`aws.deadlines`). So a write whose first response was lost may be done twice, or may fail because its own condition
    no longer holds: callers must tolerate both. Clock skew is not corrected, because Lambda's clock is right.

    Args:
        transport: creates the transport when the first request is sent.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        transport: Callable[[], httpx.AsyncBaseTransport] = create_transport,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._create_transport = transport
        self._sleep = sleep

    async def call(
        self, service: str, operation: str, *, retry_throttling: bool = True, **parameters: Any
    ) -> dict[str, Any]:
        """Call an operation of DynamoDB, EventBridge, SQS or Systems Manager.

        Args:
            service: `dynamodb`, `events`, `sqs` or `ssm`.
            operation: name of the operation in the API, such as `GetItem`.
            retry_throttling: whether to send the request again after it was throttled. Other failures are retried
                anyway.
            parameters: parameters as in the API reference, with blobs as base64 strings.

        Returns:
            The response as in the API reference. Its checksum is not verified, because TLS verifies the content.

        Raises:
            AwsError: the service refused the request, failed, or did not respond.
        """
        version, target = _PROTOCOLS[service]
        url = environment.custom_endpoint(service) or f"https://{environment.host(service)}"
        headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": f"{target}.{operation}"}
        body = json.dumps(parameters, separators=(",", ":")).encode()
        content = await self.send(
            service, "POST", f"{url}/", headers=headers, body=body, retry_throttling=retry_throttling
        )
        try:
            return json.loads(content) if content else {}
        except ValueError:
            raise AwsError("InvalidResponse", f"the response to {operation} is not JSON") from None

    async def send(
        self,
        service: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | memoryview = b"",
        max_bytes: int | None = None,
        retry_throttling: bool = True,
    ) -> bytes:
        """Send a signed request, retry it if necessary, and return the body of the response.

        Args:
            service: the service that the request is signed for.
            method: the HTTP method.
            url: absolute and percent-encoded, with its query sorted by name.
            headers: names in lower case.
            body: sent in slices, so that no second copy of it is in memory.
            max_bytes: do not read a longer response.
            retry_throttling: whether to send the request again after it was throttled.

        Raises:
            AwsError: the service refused the request, failed, or did not respond; the code is `TOO_LARGE` if the
                response is longer than `max_bytes`.
        """
        clock = asyncio.get_running_loop().time
        seconds = DEADLINES[service].seconds(len(body))
        ends = clock() + seconds
        for attempt in count(1):
            try:
                async with asyncio.timeout_at(ends):
                    # Signed for each attempt, because signatures and credentials expire.
                    return await self._attempt(self._signed(service, method, url, headers, body), max_bytes)
            except TimeoutError:
                raise NoResponse("DeadlineExceeded", f"no complete response within {seconds:.3g} s") from None
            except AwsError as error:
                scale = 1.0 if error.throttled else 0.05
                wait = random.random() * scale * 2 ** (attempt - 1)  # noqa: S311 - jitter, no secret
                attempts = CONFLICT_ATTEMPTS if error.conflict else ATTEMPTS
                is_final = not error.transient or (error.throttled and not retry_throttling)
                if is_final or attempt >= attempts or clock() + wait > ends:
                    raise
            await self._sleep(wait)
        raise AssertionError("unreachable")

    def signer(self, service: str) -> Signer:
        """Return a signer for a service with the current credentials and time."""
        return Signer(environment.credentials(), environment.region(), service, datetime.now(UTC))

    async def aclose(self) -> None:
        """Close all connections."""
        if "_transport" in self.__dict__:
            await self._transport.aclose()

    @cached_property
    def _transport(self) -> httpx.AsyncBaseTransport:
        return self._create_transport()

    def _signed(
        self, service: str, method: str, url: str, headers: Mapping[str, str], body: bytes | memoryview
    ) -> httpx.Request:
        signed = self.signer(service).headers(method, url, headers, body)
        # Not signed, because proxies may change these headers. Responses must not be compressed.
        unsigned = {"accept-encoding": "identity", "content-length": str(len(body))}
        parts = urlsplit(url)
        # httpx would normalize a path with dots, and the signature would not match.
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        extensions = {"target": target.encode(), "timeout": DEADLINES[service].timeouts()}
        origin = _origin(f"{parts.scheme}://{parts.netloc}")
        return httpx.Request(
            method, origin, headers={**signed, **unsigned}, stream=_SlicedBody(body), extensions=extensions
        )

    async def _attempt(self, request: httpx.Request, max_bytes: int | None) -> bytes:
        try:
            response = await self._transport.handle_async_request(request)
            try:
                length = int(response.headers.get("content-length", 0))
                if max_bytes is not None and response.is_success and length > max_bytes:
                    raise AwsError(
                        TOO_LARGE, f"the response is longer than {max_bytes} bytes", status=response.status_code
                    )
                # The content is not decoded: the owner of an S3 object chose the encoding, so the decoded content may
                # be of any length.
                response.headers.pop("content-encoding", None)
                content = await response.aread()
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            raise NoResponse(type(error).__name__, str(error)) from error
        if not response.is_success:
            raise _error(response)
        return content


class _SlicedBody(httpx.AsyncByteStream):
    """A body in slices, so that no layer on the way to the socket copies it whole."""

    def __init__(self, body: bytes | memoryview) -> None:
        self._body = memoryview(body)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), _SLICE_BYTES):
            yield bytes(self._body[start : start + _SLICE_BYTES])


@cache
def _origin(url: str) -> httpx.URL:
    """Return the parsed URL of a server, from a cache."""
    return httpx.URL(url)


def _error(response: httpx.Response) -> AwsError:
    """Return the error of a response: from its JSON, from S3's XML, or only from its status."""
    status = response.status_code
    if match := _XML_ERROR.search(response.content):
        code, message = (text.decode(errors="replace") for text in match.groups(default=b""))
        return AwsError(code, html.unescape(message), status=status)
    try:
        error = json.loads(response.content)
        # Such as "com.amazonaws.sqs#QueueDoesNotExist", sometimes followed by a colon and a URL.
        code = str(error["__type"]).rpartition("#")[2].partition(":")[0]
        return AwsError(code, error.get("message") or error.get("Message") or "", status=status, response=error)
    except (ValueError, TypeError, KeyError, AttributeError):
        return AwsError(str(status), status=status)
