"""`python -m sandbox run` as a process of its own, for the blocks of all pages."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from image_gateway.models.config import MASK, SECRETS
from sandbox.gateway import ENGINE_KEY
from sandbox.template import ROOT
from tests import web

ADMIN_TOKEN = "manual-admin"
USER_TOKEN = "manual-user"
TIMEOUT_SECONDS = 60

_CONFIG = "/api/v1/images/config"
_NO_ROUTES = {"IMAGE_GENERATION_MODEL": "", "IMAGE_EDIT_MODEL": "", "IMAGE_MODEL_ALIASES": {}}
"""The fields that can name a route, which keeps it from being deleted."""


@dataclass
class SandboxProcess:
    """A running sandbox.

    Attributes:
        url: of its HTTP front.
        config: the configuration that it started with, secrets masked.
    """

    url: str
    http: httpx.Client
    config: dict[str, Any] = field(default_factory=dict)
    _etag: str = ""

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A successful response to an administrator's request."""
        response = self.http.request(method, self.url + path, **options)
        assert response.status_code == 200, response.text
        return response

    def current_config(self) -> dict[str, Any]:
        """The configuration as it is now, secrets masked."""
        config: dict[str, Any] = self.request("GET", _CONFIG).json()
        return config

    def remember_config(self) -> None:
        """Take the configuration as the one that `restore_config` restores."""
        response = self.request("GET", _CONFIG)
        self.config, self._etag = response.json(), response.headers["ETag"]

    def restore_config(self) -> None:
        """Make the configuration what it was, if anything changed it. It had no routes and no connections."""
        if self.request("GET", _CONFIG).headers["ETag"] == self._etag:
            return
        # What refers to others first: fields, then routes.
        self.request("POST", f"{_CONFIG}/update", json=_NO_ROUTES)
        for kind in ("routes", "connections"):
            for item in self.request("GET", f"/api/v1/images/{kind}").json()[kind]:
                if item.get("managed_by") != "config":
                    self.http.delete(f"{self.url}/api/v1/images/{kind}/{item['name']}").raise_for_status()
        keys = {name: ENGINE_KEY for name in SECRETS if self.config[name] == MASK}
        response = self.request("POST", f"{_CONFIG}/update", json=self.config | keys)
        assert response.json() == self.config
        self._etag = response.headers["ETag"]


@contextmanager
def running_sandbox() -> Iterator[SandboxProcess]:
    """A sandbox on a free port, for the life of the block."""
    environment = {"ADMIN_TOKEN": ADMIN_TOKEN, "USER_TOKEN": USER_TOKEN, "PYTHONUNBUFFERED": "1"}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "run", "--port", "0"],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            url = _url_when_ready(process)
            headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
            with httpx.Client(verify=web.TLS, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False) as http:
                sandbox = SandboxProcess(url, http)
                sandbox.remember_config()
                yield sandbox
        finally:
            process.terminate()
            process.communicate(timeout=TIMEOUT_SECONDS)


def _url_when_ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.split())
        if line == "ready\n":
            return next(words[1] for words in lines if words[:1] == ["gateway"])
    raise AssertionError(f"the sandbox ended: {lines}")
