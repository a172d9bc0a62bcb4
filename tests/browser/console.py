"""The console in a browser: a page of a running sandbox, and the requests to its engines."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from playwright.sync_api import ConsoleMessage, Locator, Page, expect

from tests import web
from tests.integration.sandbox_process import MAX_WAIT_SECONDS, SandboxProcess, start

TOKENS = {"admin": "browser-admin", "user": "browser-user"}
SECONDS = 30
"""How long something may take to appear. It appears much sooner, unless the computer is busy."""

expect.set_options(timeout=SECONDS * 1000)


@dataclass
class Gateway:
    """A sandbox's gateway and engines, over HTTP.

    Attributes:
        url: of the gateway.
        engines: URLs of the engines by name.
        http: sends the requests.
    """

    url: str
    engines: dict[str, str]
    http: httpx.Client

    def request(self, method: str, path: str, token: str = TOKENS["admin"], **options: Any) -> Any:
        """Send a request with a token, by default the administrator's, and return the JSON of its response."""
        headers = {"Authorization": f"Bearer {token}"}
        response = self.http.request(method, f"{self.url}/api/v1/images/{path}", headers=headers, **options)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def configure(self, **fields: Any) -> None:
        """Update the configuration."""
        self.request("POST", "config/update", json=fields)

    def set_knobs(self, engine: str, **knobs: Any) -> None:
        """Set an engine's latency and faults."""
        self.http.put(f"{self.engines[engine]}/sandbox/knobs", json=knobs).raise_for_status()

    def posts(self, engine: str) -> list[dict[str, Any]]:
        """Return the requests for images that an engine has received."""
        record = self.http.get(f"{self.engines[engine]}/sandbox/record").json()
        return [request for request in record if request["method"] == "POST"]

    def reset(self) -> None:
        """Delete what the engines have recorded, and let them work as usual."""
        for engine, url in self.engines.items():
            self.http.delete(f"{url}/sandbox").raise_for_status()
            self.set_knobs(engine, key="sandbox-key" if engine in ("openai", "gemini") else "")


@contextmanager
def running_gateway() -> Iterator[Gateway]:
    """Start a sandbox on a free port."""
    with tempfile.TemporaryFile() as log, httpx.Client(verify=web.TLS, trust_env=False, timeout=SECONDS) as http:
        process = start(log, "run", "--port", "0", ADMIN_TOKEN=TOKENS["admin"], USER_TOKEN=TOKENS["user"])
        try:
            sandbox = SandboxProcess(process)
            engines = dict(line.split()[1:3] for line in sandbox.lines if line.startswith("engine "))
            yield Gateway(sandbox.printed("gateway"), engines, http)
        finally:
            process.terminate()
            process.communicate(timeout=MAX_WAIT_SECONDS)


@dataclass
class Console:
    """A page of the console. Errors and warnings in the browser's console fail the test, unless it expects them.

    Attributes:
        page: the page.
        gateway: the gateway that serves it.
        expected: patterns of messages that the test expects.
        messages: errors and warnings so far.
    """

    page: Page
    gateway: Gateway
    expected: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Listen for what goes wrong."""
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.messages.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.messages.append(f"dialog: {dialog.message}"))

    def open(self, path: str = "", role: str = "admin", token: str = "") -> None:
        """Show a page, signed in with a token, or that of a role; with neither, not signed in."""
        if secret := token or TOKENS.get(role, ""):
            self.page.add_init_script(f"sessionStorage.setItem('image-gateway-token', '{secret}')")
        self.page.goto(f"{self.gateway.url}/console/{f'#/{path}' if path else ''}")
        if secret:
            expect(self.page.get_by_role("navigation", name="Pages")).to_be_visible()

    def create(self, prompt: str) -> Locator:
        """Send a prompt, and return the card of its job."""
        self.page.get_by_label("What the image should show").fill(prompt)
        self.page.get_by_role("button", name="Create", exact=False).last.click()
        return self.page.get_by_role("article", name=prompt)

    def unexpected(self) -> list[str]:
        """Return the errors and warnings that the test does not expect."""
        return [text for text in self.messages if not any(re.search(pattern, text) for pattern in self.expected)]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.messages.append(f"{message.type}: {message.text}")
