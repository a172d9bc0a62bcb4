"""Which configuration fields an edit uses where its own are empty."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from sandbox.engines.openai import create_app as create_openai
from sandbox.engines.state import SandboxState
from tests.integration.images_api.edit_results import ENGINES, UseEditEngine

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


@pytest.mark.parametrize("name", ENGINES)
def test_an_unconfigured_engine_is_a_409_that_names_the_field(deployment: "Deployment", name: str) -> None:
    """Each engine names the configuration field that an edit needs."""
    deployment.configure(ENABLE_IMAGE_EDIT=True, IMAGE_EDIT_ENGINE=name)

    response = deployment.edit(model="any")

    fields = {
        "openai": "IMAGES_EDIT_OPENAI_API_KEY",
        "gemini": "IMAGES_EDIT_GEMINI_API_KEY",
        "comfyui": "IMAGES_EDIT_COMFYUI_BASE_URL",
        "automatic1111": "AUTOMATIC1111_BASE_URL",
    }
    assert (response.status, response.json["field"]) == (409, fields[name])


@pytest.mark.parametrize(
    "fields",
    [
        {"IMAGES_EDIT_OPENAI_API_BASE_URL": ""},
        {"IMAGES_EDIT_OPENAI_API_BASE_URL": "", "IMAGES_EDIT_OPENAI_API_KEY": "another-key"},
        {"IMAGES_EDIT_OPENAI_API_BASE_URL": "{url}"},
    ],
    ids=["no URL", "no URL but a key", "the same server"],
)
def test_an_edit_uses_the_url_and_key_for_generation_when_its_own_are_empty(
    deployment: "Deployment", serve: Callable[..., str], fields: dict[str, str]
) -> None:
    """Without a URL for edits, or with the same URL and no key, those for generation are used."""
    state = SandboxState()
    state.knobs.key = "planted-engine-key"
    url = serve(create_openai(state)) + "/v1"
    deployment.configure(
        ENABLE_IMAGE_EDIT=True,
        IMAGES_OPENAI_API_BASE_URL=url,
        IMAGES_OPENAI_API_KEY="planted-engine-key",
        **{name: value.replace("{url}", url) for name, value in fields.items()},
    )

    assert deployment.edit().status == 200

    assert state.record[-1].headers["authorization"] == "Bearer planted-engine-key"


def test_the_key_for_generation_is_sent_to_no_other_server(deployment: "Deployment", serve: Callable[..., str]) -> None:
    """A server for edits without a key of its own is called without one."""
    openai_deployment, use_edit_engine = SandboxState(), SandboxState()
    deployment.configure(
        ENABLE_IMAGE_EDIT=True,
        IMAGES_OPENAI_API_BASE_URL=serve(create_openai(openai_deployment)) + "/v1",
        IMAGES_OPENAI_API_KEY="planted-engine-key",
        IMAGES_EDIT_OPENAI_API_BASE_URL=serve(create_openai(use_edit_engine)) + "/v1",
    )

    assert deployment.edit().status == 200

    assert openai_deployment.record == []
    assert "authorization" not in use_edit_engine.record[-1].headers


def test_edits_have_their_own_default_size_and_model(deployment: "Deployment", use_edit_engine: UseEditEngine) -> None:
    """The defaults for generation do not apply to edits; a request overrides those for edits."""
    engine = use_edit_engine("openai")
    deployment.configure(IMAGE_SIZE="512x512", IMAGE_GENERATION_MODEL="sandbox-single")
    deployment.edit()
    deployment.configure(IMAGE_EDIT_SIZE="384x256")
    deployment.edit()
    deployment.edit(size="256x256", model="gpt-image-2.6-sunburst")

    sent = [(fields["model"], fields.get("size")) for fields in engine.posted("/edits")]
    assert sent == [("gpt-image-2", None), ("gpt-image-2", "384x256"), ("gpt-image-2.6-sunburst", "256x256")]
