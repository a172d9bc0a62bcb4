"""An HTTP client of the sandbox's gateway, with the tokens of an administrator and a user."""

import ssl
from functools import cache
from typing import Any

import httpx

ENGINES = {"openai": "gpt-image-2", "automatic1111": "", "comfyui": "", "gemini": "gemini-sandbox-image"}
"""The sandbox engines by module name, each with the model to use; empty: the engine's default model."""


class GatewayClient:
    """A gateway and the tokens of its administrator and its user.

    Args:
        url: the gateway's base URL, without a slash at the end.
        admin_token: the administrator's token.
        user_token: the user's token.
    """

    def __init__(self, url: str, admin_token: str, user_token: str) -> None:
        self.url = url
        self.admin_token = admin_token
        self.user_token = user_token

    async def request(self, method: str, path: str, *, token: str | None = None, **options: Any) -> httpx.Response:
        """Send a request, with the administrator's token unless another one is given."""
        headers = {"Authorization": f"Bearer {token or self.admin_token}", **options.pop("headers", {})}
        async with httpx.AsyncClient(base_url=self.url, timeout=60, trust_env=False, verify=_tls()) as client:
            return await client.request(method, path, headers=headers, **options)

    async def configure(self, **fields: Any) -> dict[str, Any]:
        """Update the configuration through the gateway's own route, as an administrator would."""
        response = await self.request("POST", "/api/v1/images/config/update", json=fields)
        response.raise_for_status()
        updated: dict[str, Any] = response.json()
        return updated

    async def use(self, engine: str) -> None:
        """Use `engine` for generations and edits, with a model that it has."""
        model = ENGINES[engine]
        await self.configure(
            IMAGE_GENERATION_ENGINE=engine,
            IMAGE_GENERATION_MODEL=model,
            IMAGE_EDIT_ENGINE=engine,
            IMAGE_EDIT_MODEL=model,
        )


@cache  # loading the certificate authorities takes longer than most requests
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
