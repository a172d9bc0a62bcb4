"""Whose prices apply to a server."""

import pytest

from image_gateway.metering.providers import provider_of


@pytest.mark.parametrize(
    ("engine", "url", "provider"),
    [
        ("openai", "https://api.openai.com/v1", "openai"),
        ("openai", "https://eu.api.openai.com/v1", "openai"),
        ("openai", "https://team.openai.azure.com/openai/deployments/x", "azure"),
        ("openai", "https://team.services.ai.azure.com/openai/v1", "azure"),
        ("openai", "https://api.x.ai/v1", "xai"),
        ("openai", "http://10.0.0.1:4000/v1", ""),
        ("openai", "https://api.openai.com.example.net/v1", ""),
        ("openai", "", ""),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta", "gemini"),
        ("comfyui", "http://10.0.0.1:8188", "comfyui"),
        ("comfyui", "https://cloud.comfy.org/api", ""),
        ("automatic1111", "http://10.0.0.1:7860", "automatic1111"),
    ],
)
def test_a_provider_is_known_by_the_host(engine: str, url: str, provider: str) -> None:
    """A proxy or a server of somebody else has other prices."""
    assert provider_of(engine, url) == provider
