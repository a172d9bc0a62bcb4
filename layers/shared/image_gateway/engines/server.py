"""HTTP requests to engines. Their failures become errors of the error tree in this module only."""

import asyncio
import io
import re
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Self

import httpx

from image_gateway.engines.connection import Connection
from image_gateway.engines.downloads import download_with_retries
from image_gateway.engines.error_text import find_message, one_line
from image_gateway.engines.json_body import JsonBody
from image_gateway.engines.refusals import refusal
from image_gateway.engines.response import NOT_JSON, EngineResponse
from image_gateway.engines.unreachable import is_permanent, unreachable_reason
from image_gateway.errors import (
    ContentBlocked,
    EngineError,
    EngineRateLimited,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
    GatewayError,
    PrivateAddress,
    UnreachableUrl,
)
from image_gateway.models.fields import origin

MAX_RESPONSE_BYTES = 256 * 2**20
"""Longest response body read from an engine: ten images of 16 MB as base64."""

_Body = io.BytesIO | JsonBody
"""Collects a response body chunk by chunk and grows in place. A list of chunks and its join would hold it twice."""

_MAX_RETRIES = 2
_MAX_TEXT_BYTES = 131_072
_MAX_URL_BYTES = 8_192
_MAX_RETRY_WAIT_SECONDS = 5.0
_MAX_CONNECT_SECONDS = 10.0
_MISSING_RESOURCE = re.compile(r"model|deployment|image |file", re.IGNORECASE)
"""In the text of a 404: the server has the route, and not what was named in the request."""

_LOST = (502, 520, 524)
"""Status codes of a proxy that lost the engine's own response; the last two are Cloudflare's."""


@dataclass(frozen=True, slots=True)
class EngineServer:
    """One engine server: its base URL and what every request to it carries.

    Attributes:
        blocked: reads the JSON of a refusal and returns why the content was blocked; None where it was not.
        retry_delay: reads the seconds to wait from the JSON of a 429 or 503, for engines that send no header for it.
        url_hint: what to check if the server does not have a route; empty: the URL's field.
        deadline: the event loop's time at which every request ends; None: each request gets the whole timeout.
    """

    connection: Connection
    name: str
    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    blocked: Callable[[Any], str | None] = lambda _body: None
    retry_delay: Callable[[Any], float | None] = lambda _body: None
    url_hint: str = ""
    deadline: float | None = None

    def with_operation_deadline(self) -> Self:
        """Return this server for one operation: all its requests share the connection's timeout, from now on."""
        return replace(self, deadline=asyncio.get_running_loop().time() + self.connection.timeout)

    async def json(self, method: str, path: str, **request: Any) -> Any:
        """Send a request and return the JSON of the response. Long images are `bytes` in it, short ones base64 text.

        Args:
            method: the HTTP method.
            path: path below the base URL, with its leading slash.
            **request: as for `httpx.AsyncClient.request`.

        Raises:
            EngineError: the request failed; the message holds the engine's error text.
        """
        response = await self._send(method, path, JsonBody, **request)
        return self._json(response, paid=method != "GET")

    async def answer(self, method: str, path: str, **request: Any) -> Any:
        """Do as `json`. Return a response that is itself an image as its bytes, and one that is a URL as its text."""
        response = await self._send(method, path, JsonBody, **request)
        if _is_image(response.headers):
            return bytes(response.content)
        text = response.content[:_MAX_URL_BYTES].decode(errors="replace").strip()
        if text.startswith(("https://", "http://")) and len(text.split()) == 1:
            return text
        return self._json(response, paid=method != "GET")

    def _json(self, response: EngineResponse, *, paid: bool) -> Any:
        body = response.json()
        if body is NOT_JSON:
            problem = response.oversize() or f"something that is not JSON: {self.error_text(response)}"
            detail = f"{self.name} answered {response.status} with {problem}"
            raise EngineUnavailable(detail, may_have_cost=paid)
        return body

    async def send(self, method: str, path: str, **request: Any) -> EngineResponse:
        """Send a request and return the 2xx response.

        A refused connection, a 429 and a 503 are retried up to twice, if the requested wait is short: nothing can have
        been paid for. A request that may have reached the engine is not retried, except a `GET`.
        """
        return await self._send(method, path, io.BytesIO, **request)

    async def _send(self, method: str, path: str, body: type[_Body], **request: Any) -> EngineResponse:
        params = {**self.params, **(request.pop("params", None) or {})}
        return await self._send_with_retries(method, f"{self.base_url}{path}", body, params=params or None, **request)

    async def download(self, url: str) -> bytes:
        """Download an image that the engine returned by URL.

        Credentials are sent to the server's own origin only. Other origins must be public addresses. Temporary failures
        are waited out while the operation has time.
        """
        if self.deadline is None:
            return await self.with_operation_deadline().download(url)
        try:
            absolute = str(httpx.URL(self.base_url + "/").join(url))
            is_foreign = origin(absolute) != origin(self.base_url)
        except (httpx.InvalidURL, ValueError):
            raise EngineUnavailable(f"{self.name} returned a malformed image URL", may_have_cost=True) from None
        load = self._download_from_elsewhere if is_foreign else self._download_from_here
        return await download_with_retries(lambda: load(absolute), self._seconds_left, self.connection.sleep)

    async def _download_from_here(self, url: str) -> bytes:
        response = await self._send_once("GET", url, io.BytesIO())
        if not response.is_success:
            raise self.failure(response, paid=False)
        return bytes(response.content)

    async def _download_from_elsewhere(self, url: str) -> bytes:
        try:
            async with asyncio.timeout(self._seconds_left()):
                return await self.connection.fetch(url)
        except TimeoutError:
            raise EngineTimeout(self._timeout_text(), may_have_cost=True) from None
        except GatewayError as error:
            detail = f"{self.name} returned an image URL that cannot be fetched: {self.safe_line(error)}"
            if isinstance(error, PrivateAddress):
                detail += " (add its host to FetchAllowedHosts, or make the engine return b64_json)"
            raise EngineUnavailable(detail, may_have_cost=not isinstance(error, UnreachableUrl)) from None

    async def _send_with_retries(self, method: str, url: str, body: type[_Body], **request: Any) -> EngineResponse:
        for attempt in range(_MAX_RETRIES + 1):
            try:
                response = await self._send_once(method, url, body(), **request)
                if response.is_success:
                    return response
                raise self.failure(response, paid=method != "GET")
            except (EngineRateLimited, EngineUnavailable) as error:
                wait = error.retry_after if error.retry_after is not None else 0.25 * 2**attempt
                too_long = wait > min(_MAX_RETRY_WAIT_SECONDS, self._seconds_left())
                # Questions about what was paid for are repeated in any case.
                is_last = attempt == _MAX_RETRIES or not (self.connection.repeats or method == "GET")
                if error.may_have_cost or error.permanent or is_last or too_long:
                    raise
                await self.connection.sleep(wait)
        raise AssertionError("unreachable")

    def _seconds_left(self) -> float:
        """Return how many seconds a request that starts now may take."""
        if self.deadline is None:
            return self.connection.timeout
        return max(0.0, self.deadline - asyncio.get_running_loop().time())

    def _unreachable(self, reason: str, *, may_have_cost: bool = False, permanent: bool = False) -> EngineUnavailable:
        detail = f"{self.name} cannot be reached ({reason}): check {self.connection.url_field}"
        failure = "" if may_have_cost else "unreachable"
        return EngineUnavailable(detail, failure=failure, may_have_cost=may_have_cost, permanent=permanent)

    def _timeout_text(self) -> str:
        return f"{self.name} did not answer within {self.connection.timeout:g} s ({self.connection.timeout_name})"

    async def _send_once(self, method: str, url: str, body: _Body, **request: Any) -> EngineResponse:
        client, timeout = self.connection.client, self._seconds_left()
        if timeout <= 0:
            # The client would send the request before the timeout could stop it.
            raise EngineTimeout(self._timeout_text())
        headers = {**self.headers, **(request.pop("headers", None) or {})}
        limits = httpx.Timeout(timeout, connect=min(timeout, _MAX_CONNECT_SECONDS))
        paid = method != "GET"
        try:
            built = client.build_request(method, url, headers=headers, timeout=limits, **request)
            # Closed here, because the frames of an error's traceback would keep the body alive.
            with closing(body):
                async with asyncio.timeout(timeout):
                    response = await client.send(built, stream=True, follow_redirects=False)
                    try:
                        await self._read(response, body)
                    finally:
                        await response.aclose()
                return EngineResponse(
                    status=response.status_code,
                    reason=response.reason_phrase,
                    headers=response.headers,
                    content=body.getvalue(),
                    images=body.images if isinstance(body, JsonBody) else {},
                )
        except httpx.ConnectTimeout:
            raise self._unreachable("no answer") from None
        except httpx.ConnectError as error:
            raise self._unreachable(unreachable_reason(error), permanent=is_permanent(error)) from None
        except (httpx.TimeoutException, TimeoutError):
            raise EngineTimeout(self._timeout_text(), may_have_cost=paid, outstanding=True) from None
        # An impossible host name is a `UnicodeError` (IDNA); it may also be that of a redirect.
        except (httpx.InvalidURL, UnicodeError):
            raise self._unreachable("a malformed URL", may_have_cost=paid, permanent=True) from None
        except httpx.HTTPError as error:
            detail = f"{self.name} broke off: {self.safe_line(error)}"
            raise EngineUnavailable(detail, may_have_cost=paid, outstanding=True) from None

    async def _read(self, response: httpx.Response, body: _Body) -> None:
        length = 0
        async for chunk in response.aiter_bytes():
            length += len(chunk)
            if length > MAX_RESPONSE_BYTES:
                limit = MAX_RESPONSE_BYTES >> 20
                raise EngineUnavailable(f"{self.name} sent a response of more than {limit} MB", may_have_cost=True)
            body.write(chunk)
            if isinstance(body, JsonBody) and body.has_too_many_values and not _is_image(response.headers):
                # It is not parsed, so the rest is not needed.
                return

    def failure(self, response: EngineResponse, *, paid: bool) -> EngineError:
        """Return the error that an unsuccessful response stands for; its message holds the engine's error text."""
        status = response.status
        detail = f"{self.name} answered {status}: {self.error_text(response)}"
        body = response.json()
        reason = self.blocked(body)
        if reason is not None and 400 <= status < 500:
            return ContentBlocked(f"{self.name} blocked the content: {self.safe_line(reason)}")
        wait = response.retry_after()
        if wait is None:
            wait = self.retry_delay(body)
        if status == 429:
            return EngineRateLimited(detail, retry_after=wait)
        if status in (401, 403):
            return EngineRejected(
                f"{detail} (check {self.connection.key_name} in the configuration)", failure="refused_key"
            )
        if status in (404, 405) and not (paid and _MISSING_RESOURCE.search(detail)):
            detail += f" ({self.url_hint or f'check {self.connection.url_field} in the configuration'})"
        if 400 <= status < 500:
            error = body.get("error") if isinstance(body, dict) else None
            error = error if isinstance(error, dict) else {}
            param = error.get("param")
            field = (self.safe_line(param) or None) if isinstance(param, str) else None
            failure = refusal(status, detail, error)
            return EngineRejected(detail, failure=failure, engine_code=error.get("code"), param=field, field=field)
        if status == 503:
            return EngineUnavailable(detail, failure="unavailable", retry_after=wait)
        if status == 504:
            return EngineTimeout(detail, may_have_cost=paid, outstanding=True)
        return EngineUnavailable(detail, may_have_cost=paid, outstanding=status in _LOST)

    def error_text(self, response: EngineResponse) -> str:
        """Return what the engine reports as wrong: one short line, without markup or secrets; never empty."""
        body = response.json()
        raw = response.content[:_MAX_TEXT_BYTES].decode(errors="replace") if body else ""
        return self.message(find_message(body) or raw) or response.reason or "no explanation"

    def message(self, body: Any) -> str:
        """Return the human-readable part of a JSON body or a text: one short line, without markup or secrets."""
        return self.safe_line(find_message(body))

    def safe_line(self, text: object) -> str:
        """Return the text as one short line, without markup or secrets."""
        return one_line(str(text), self.connection.secrets)


def _is_image(headers: httpx.Headers) -> bool:
    """Whether a response is itself an image."""
    content_type: str = headers.get("content-type", "")
    return content_type.startswith("image/")
