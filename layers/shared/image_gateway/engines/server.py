"""The one place that talks to engines over HTTP and turns their failures into the error tree."""

import asyncio
import io
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Self

import httpx
from pydantic_core import from_json

from image_gateway.engines.error_text import find_message, one_line
from image_gateway.engines.json_body import JsonBody, put_back
from image_gateway.engines.unreachable import why
from image_gateway.errors import (
    ContentBlocked,
    EngineError,
    EngineRateLimited,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
    GatewayError,
)
from image_gateway.models.fields import origin

MAX_ANSWER = 256 * 2**20
"""Longest answer read from an engine, in bytes: ten images of 16 MB as base64."""

_Body = io.BytesIO | JsonBody
"""Takes an answer chunk by chunk, and grows in place: chunks and what they are joined to would hold it twice."""

_RETRIES = 2
_WORDS_FROM = 131_072
_LONGEST_WAIT = 5.0
_LONGEST_CONNECT = 10.0
_LOST = (502, 520, 524)
"""What a proxy answers that lost the engine's own answer; the last two are Cloudflare's."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Everything an engine needs to reach its server.

    Attributes:
        client: the process's HTTP client; carries no credentials of its own.
        fetch: fetches a URL of another origin under the guard for callers' URLs.
        timeout: seconds that one operation may take in all.
        secrets: strings that must not appear in any message.
        url_field: the configuration field that says where the server is; messages name it, as not everybody who is told
            of a failure is to know the address.
        sleep: waits, in seconds.
    """

    client: httpx.AsyncClient
    fetch: Callable[[str], Awaitable[bytes]]
    timeout: float
    secrets: tuple[str, ...] = field(default=(), repr=False)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    url_field: str = "the engine's URL"


@dataclass(frozen=True, slots=True)
class Answer:
    """An engine's whole answer, read under a limit; the images that were taken out of it, by their marks."""

    status: int
    reason: str
    headers: httpx.Headers
    content: bytes | bytearray = field(repr=False)
    images: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def is_success(self) -> bool:
        """True for 2xx."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body's JSON, with images as `bytes` where they were long; or `NOT_JSON`."""
        try:
            body = from_json(self.content, cache_strings=False)
        except ValueError:
            body = _odd_json(self.content)
        return put_back(body, self.images) if self.images else body


NOT_JSON: Any = object()
"""Stands for a body that does not hold JSON (which may itself be null)."""


@dataclass(frozen=True, slots=True)
class EngineServer:
    """One engine server: its base URL and what every request to it carries.

    `blocked` looks at a refusal's JSON and says why the content was blocked, or None where it was not. `retry_delay`
    reads from the JSON of a 429 or 503 how many seconds to wait, for engines that say it there and not in a header.
    `deadline` is the event loop's time at which every request ends; None leaves each its own timeout.
    """

    connection: Connection
    name: str
    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)
    blocked: Callable[[Any], str | None] = lambda _body: None
    retry_delay: Callable[[Any], float | None] = lambda _body: None
    deadline: float | None = None

    def starting_now(self) -> Self:
        """This server for one operation: all its requests together get the connection's timeout, from now on."""
        return replace(self, deadline=asyncio.get_running_loop().time() + self.connection.timeout)

    async def json(self, method: str, path: str, **request: Any) -> Any:
        """Send a request and return its answer's JSON; an image in it is base64 text, or `bytes` if it was long.

        Args:
            method: the HTTP method.
            path: below the base URL, with its leading slash.
            **request: as for `httpx.AsyncClient.request`.

        Raises:
            EngineError: whatever went wrong, in the engine's own words.
        """
        answer = await self._send(method, path, JsonBody, **request)
        body = answer.json()
        if body is NOT_JSON:
            said = f"{self.name} answered {answer.status} with something that is not JSON: {self.words(answer)}"
            raise EngineUnavailable(said, may_have_cost=method != "GET")
        return body

    async def send(self, method: str, path: str, **request: Any) -> Answer:
        """Send a request; try again where nothing can have been paid for; return a 2xx answer.

        A refused connection, a 429 and a 503 are tried again up to twice, if the wait asked for is short. Anything
        that may have reached the engine is not.
        """
        return await self._send(method, path, io.BytesIO, **request)

    async def _send(self, method: str, path: str, body: type[_Body], **request: Any) -> Answer:
        params = {**self.params, **(request.pop("params", None) or {})}
        return await self._persist(method, f"{self.base_url}{path}", body, params=params or None, **request)

    async def download(self, url: str) -> bytes:
        """Fetch an image the engine answered by URL: with credentials from its own origin, guarded from elsewhere."""
        try:
            absolute = str(httpx.URL(self.base_url + "/").join(url))
            foreign = origin(absolute) != origin(self.base_url)
        except (httpx.InvalidURL, ValueError):
            raise EngineUnavailable(f"{self.name} answered a malformed image URL", may_have_cost=True) from None
        if foreign:
            return await self._fetch(absolute)
        try:
            return bytes((await self._persist("GET", absolute, io.BytesIO)).content)
        except EngineError as error:
            # The image is paid for, even though fetching it again costs nothing.
            error.may_have_cost = True
            raise

    async def _fetch(self, url: str) -> bytes:
        try:
            async with asyncio.timeout(self._left()):
                return await self.connection.fetch(url)
        except TimeoutError:
            raise EngineTimeout(self._too_slow(), may_have_cost=True) from None
        except GatewayError as error:
            said = f"{self.name} answered the URL of an image that cannot be fetched: {self._clean(error)}"
            raise EngineUnavailable(said, may_have_cost=True) from None

    async def _persist(self, method: str, url: str, body: type[_Body], **request: Any) -> Answer:
        for attempt in range(_RETRIES + 1):
            try:
                answer = await self._once(method, url, body(), **request)
                if answer.is_success:
                    return answer
                raise self.failure(answer, paid=method != "GET")
            except (EngineRateLimited, EngineUnavailable) as error:
                wait = error.retry_after if error.retry_after is not None else 0.25 * 2**attempt
                if error.may_have_cost or attempt == _RETRIES or wait > min(_LONGEST_WAIT, self._left()):
                    raise
                await self.connection.sleep(wait)
        raise AssertionError("unreachable")

    def _left(self) -> float:
        """Seconds that a request starting now may take."""
        if self.deadline is None:
            return self.connection.timeout
        return max(0.0, self.deadline - asyncio.get_running_loop().time())

    def _unreachable(self, reason: str, *, may_have_cost: bool = False) -> EngineUnavailable:
        said = f"{self.name} cannot be reached ({reason}): check {self.connection.url_field}"
        return EngineUnavailable(said, may_have_cost=may_have_cost)

    def _too_slow(self) -> str:
        return f"{self.name} did not answer within {self.connection.timeout:g} s (IMAGE_ENGINE_TIMEOUT)"

    async def _once(self, method: str, url: str, body: _Body, **request: Any) -> Answer:
        client, timeout = self.connection.client, self._left()
        if timeout <= 0:
            # It would be on its way before anything could stop it.
            raise EngineTimeout(self._too_slow())
        headers = {**self.headers, **(request.pop("headers", None) or {})}
        auth = httpx.BasicAuth(*self.auth) if self.auth else None
        limits = httpx.Timeout(timeout, connect=min(timeout, _LONGEST_CONNECT))
        paid = method != "GET"
        try:
            built = client.build_request(method, url, headers=headers, timeout=limits, **request)
            # Closed, since frames that an error keeps alive would keep it alive too.
            with closing(body):
                async with asyncio.timeout(timeout):
                    response = await client.send(built, auth=auth, stream=True, follow_redirects=False)
                    try:
                        await self._read(response, body)
                    finally:
                        await response.aclose()
                images = body.images if isinstance(body, JsonBody) else {}
                return Answer(response.status_code, response.reason_phrase, response.headers, body.getvalue(), images)
        except httpx.ConnectTimeout:
            raise self._unreachable("no answer") from None
        except httpx.ConnectError as error:
            raise self._unreachable(why(error)) from None
        except (httpx.TimeoutException, TimeoutError):
            raise EngineTimeout(self._too_slow(), may_have_cost=paid, outstanding=True) from None
        # A host's name that cannot be one is a `UnicodeError` (IDNA); it may also be that of a redirect.
        except (httpx.InvalidURL, UnicodeError):
            raise self._unreachable("a malformed URL", may_have_cost=paid) from None
        except httpx.HTTPError as error:
            said = f"{self.name} broke off: {self._clean(error)}"
            raise EngineUnavailable(said, may_have_cost=paid, outstanding=True) from None

    async def _read(self, response: httpx.Response, body: _Body) -> None:
        length = 0
        async for chunk in response.aiter_bytes():
            length += len(chunk)
            if length > MAX_ANSWER:
                raise EngineUnavailable(f"{self.name} answered more than {MAX_ANSWER >> 20} MB", may_have_cost=True)
            body.write(chunk)

    def failure(self, answer: Answer, *, paid: bool) -> EngineError:
        """The error that an unsuccessful answer stands for, in the engine's own words."""
        status = answer.status
        said = f"{self.name} answered {status}: {self.words(answer)}"
        body = answer.json()
        reason = self.blocked(body)
        if reason is not None and 400 <= status < 500:
            return ContentBlocked(f"{self.name} blocked the content: {self._clean(reason)}")
        wait = _retry_after(answer.headers)
        if wait is None:
            wait = self.retry_delay(body)
        if status == 429:
            return EngineRateLimited(said, retry_after=wait)
        if status in (401, 403):
            return EngineRejected(f"{said} (check the engine's key in the configuration)")
        if status in (404, 405) and not paid:
            said += " (check the engine's URL in the configuration)"
        if 400 <= status < 500:
            error = body.get("error") if isinstance(body, dict) else None
            named = error if isinstance(error, dict) else {}
            param = named.get("param")
            field = (self._clean(param) or None) if isinstance(param, str) else None
            return EngineRejected(said, engine_code=named.get("code"), param=field, field=field)
        if status == 503:
            return EngineUnavailable(said, retry_after=wait)
        if status == 504:
            return EngineTimeout(said, may_have_cost=paid, outstanding=True)
        return EngineUnavailable(said, may_have_cost=paid, outstanding=status in _LOST)

    def words(self, answer: Answer) -> str:
        """What the engine says went wrong: one line, bounded, without markup or secrets."""
        body = answer.json()
        raw = answer.content[:_WORDS_FROM].decode(errors="replace") if body else ""
        return self.message(find_message(body) or raw) or answer.reason or "no explanation"

    def message(self, body: Any) -> str:
        """The human part of an answer's JSON, or of a text: one line, bounded, without markup or secrets."""
        return self._clean(find_message(body))

    def _clean(self, text: object) -> str:
        return one_line(str(text), self.connection.secrets)


def _odd_json(content: bytes | bytearray) -> Any:
    """JSON that only Python's own parser reads, such as with a byte order mark, or `NOT_JSON`.

    A half of a surrogate pair, as some servers leave it where they cut a text, becomes a question mark: nothing could
    store it.
    """
    try:
        return json.loads(json.dumps(json.loads(content), ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        return NOT_JSON


def _retry_after(headers: httpx.Headers) -> float | None:
    """`Retry-After` in seconds, given as a number or as a date."""
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
