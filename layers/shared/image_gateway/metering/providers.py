"""Whose prices apply to a server."""

from typing import Final
from urllib.parse import urlsplit

_HOSTS: Final = {
    "openai": {
        "api.openai.com": "openai",
        "openai.azure.com": "azure",
        "cognitiveservices.azure.com": "azure",
        "services.ai.azure.com": "azure",
        "api.x.ai": "xai",
    },
    "gemini": {
        "generativelanguage.googleapis.com": "gemini",
        "aiplatform.googleapis.com": "gemini",
    },
}
"""Hosts of paid APIs, or the ends of their names, and whose they are, by engine."""
_REGIONAL: Final = "-aiplatform.googleapis.com"
"""How the hosts of Vertex AI's regions end."""
_PAID_COMFYUI: Final = ("comfy.org",)
"""Hosts that run ComfyUI for money."""


def provider_of(engine: str, base_url: str) -> str:
    """Return the provider whose prices apply to a server, as in the table; empty if nobody's do.

    A server that only speaks OpenAI's or Google's API has prices of its own, which the operator has to give, whatever
    its models are called. One's own ComfyUI and AUTOMATIC1111 are providers themselves.

    Args:
        engine: the engine.
        base_url: the URL of the server.
    """
    host = (urlsplit(base_url).hostname or "").lower().rstrip(".")
    if hosts := _HOSTS.get(engine):
        if engine == "gemini" and host.endswith(_REGIONAL):
            return engine
        return next((name for end, name in hosts.items() if _is_within(host, end)), "")
    if engine == "comfyui" and any(_is_within(host, end) for end in _PAID_COMFYUI):
        return ""
    return engine


def _is_within(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")
