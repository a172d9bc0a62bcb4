"""The configuration's fields: what is taken, what is refused, what is never shown."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from image_gateway.models.config import MASK, SECRETS, ImagesConfig

WORKFLOW = {"3": {"class_type": "KSampler", "inputs": {"seed": 1}}}


def refused(**fields: Any) -> str:
    """The message with which the configuration refuses `fields`."""
    with pytest.raises(ValidationError) as caught:
        ImagesConfig.model_validate(fields)
    return str(caught.value)


def test_a_new_deployment_answers_the_documented_defaults() -> None:
    """The defaults of the public contract hold."""
    config = ImagesConfig()

    assert not config.ENABLE_IMAGE_GENERATION
    assert config.IMAGE_GENERATION_ENGINE == "openai"
    assert config.IMAGES_OPENAI_API_BASE_URL == "https://api.openai.com/v1"
    assert config.IMAGES_GEMINI_ENDPOINT_METHOD == "generateContent"
    assert config.IMAGE_SIZE is None
    assert config.IMAGE_ENGINE_TIMEOUT == 240


def test_an_empty_engine_means_automatic1111() -> None:
    """The empty string stands for automatic1111, as in the Open WebUI API."""
    assert ImagesConfig(IMAGE_GENERATION_ENGINE="").IMAGE_GENERATION_ENGINE == "automatic1111"


@pytest.mark.parametrize("engine", ["dall-e", "OpenAI", 7, None])
def test_an_unknown_engine_is_refused_by_name(engine: object) -> None:
    """Only the four engines exist."""
    assert "IMAGE_GENERATION_ENGINE" in refused(IMAGE_GENERATION_ENGINE=engine)


@pytest.mark.parametrize("size", ["1024x1024", "auto", "", "1x1", "16384x16384", " 640X384 "])
def test_a_size_is_two_sides_or_auto_or_nothing(size: str) -> None:
    """Sizes are normalised to lower case without spaces."""
    assert size.strip().lower() == ImagesConfig(IMAGE_SIZE=size).IMAGE_SIZE


@pytest.mark.parametrize(
    "size", ["big", "0x0", "99999x99999", "10x", "x10", "10x10x10", "-1x5", "1e3x5", "\uff11x\uff11", "9" * 5000]
)
def test_any_other_size_is_refused(size: str) -> None:
    """What is no size is refused by the field's name, in few words."""
    message = refused(IMAGE_SIZE=size)

    assert "IMAGE_SIZE" in message
    assert len(message) < 600


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x",
        "http://",
        "x.example/v1",
        "http://a b",
        "http://h:99999",
        "https://u:p@h",
        "http://h?key=1",
        "http://[::1",
    ],
)
def test_a_malformed_url_is_refused(url: str) -> None:
    """A base URL is http(s) with a host, without credentials or a query."""
    assert "COMFYUI_BASE_URL" in refused(COMFYUI_BASE_URL=url)


def test_a_url_loses_its_trailing_slash() -> None:
    """Paths are appended to base URLs."""
    assert ImagesConfig(COMFYUI_BASE_URL="http://box:8188/").COMFYUI_BASE_URL == "http://box:8188"


def test_params_may_be_a_string_that_holds_json() -> None:
    """The Open WebUI API takes both; only the object is kept."""
    config = ImagesConfig(IMAGES_OPENAI_API_PARAMS='{"n": 2}', AUTOMATIC1111_PARAMS="")

    assert config.IMAGES_OPENAI_API_PARAMS == {"n": 2}
    assert config.AUTOMATIC1111_PARAMS is None


@pytest.mark.parametrize("params", ["{", "[]", "7", [1]])
def test_params_that_are_no_object_are_refused(params: object) -> None:
    """Anything but an object says what is expected."""
    assert "IMAGES_OPENAI_API_PARAMS" in refused(IMAGES_OPENAI_API_PARAMS=params)


def test_negative_steps_are_refused() -> None:
    """Steps are 0 or more."""
    assert "IMAGE_STEPS" in refused(IMAGE_STEPS=-1)


@pytest.mark.parametrize(
    ("workflow", "reason"),
    [
        ("{", "JSON"),
        ("[]", "API format"),
        ("{}", "API format"),
        (json.dumps({"nodes": [], "links": []}), "Export (API)"),
        (json.dumps({"1": {"inputs": {}}}), "class_type"),
        (json.dumps({"1": {"class_type": "SaveImage"}}), "inputs"),
        (json.dumps({"1": 5}), "class_type"),
    ],
)
def test_a_workflow_is_in_the_api_format(workflow: str, reason: str) -> None:
    """A workflow that ComfyUI's API would choke on is refused with the way to export it."""
    assert reason in refused(COMFYUI_WORKFLOW=workflow)


def test_a_workflow_may_be_given_as_an_object() -> None:
    """An object is kept as the string that the contract has."""
    config = ImagesConfig(COMFYUI_WORKFLOW=WORKFLOW)

    assert json.loads(config.COMFYUI_WORKFLOW) == WORKFLOW


@pytest.mark.parametrize("prefix", ["COMFYUI", "IMAGES_EDIT_COMFYUI"])
def test_a_node_map_names_only_nodes_of_its_workflow(prefix: str) -> None:
    """A node id that the workflow does not have is named."""
    message = refused(
        **{
            f"{prefix}_WORKFLOW": json.dumps(WORKFLOW),
            f"{prefix}_WORKFLOW_NODES": [{"type": "prompt", "node_ids": ["3", "9"]}],
        }
    )

    assert f"{prefix}_WORKFLOW_NODES" in message
    assert "9" in message


@pytest.mark.parametrize(
    ("node", "name"),
    [
        ({"type": "prompt"}, "text"),
        ({"type": "negative_prompt"}, "text"),
        ({"type": "n"}, "batch_size"),
        ({"type": "model"}, "ckpt_name"),
        ({"type": "seed"}, "seed"),
        ({"type": "seed", "key": "noise_seed"}, "noise_seed"),
        ({"type": "width", "key": None}, "width"),
    ],
)
def test_a_missing_key_is_the_usual_input_of_the_type(node: dict[str, Any], name: str) -> None:
    """Existing clients leave the key out."""
    config = ImagesConfig.model_validate({"COMFYUI_WORKFLOW_NODES": [node]})

    assert config.COMFYUI_WORKFLOW_NODES[0].input_name == name


def test_a_constant_needs_to_know_its_input() -> None:
    """A node without a type fills the input that its key names."""
    assert "key" in refused(COMFYUI_WORKFLOW_NODES=[{"value": 7, "node_ids": ["3"]}])


@pytest.mark.parametrize(
    "auth", ["nocolon", {"username": "u"}, {"username": "u", "password": 5}, {"username": "u", "password": "p" * 2000}]
)
def test_basic_auth_is_a_pair(auth: object) -> None:
    """Credentials are an object of two strings, or two strings with a colon."""
    assert "AUTOMATIC1111_API_AUTH" in refused(AUTOMATIC1111_API_AUTH=auth)


@pytest.mark.parametrize("key", ["with\nnewline", "schlüssel", "k" * 1001])
def test_a_key_can_be_sent_in_a_header(key: str) -> None:
    """Keys are printable ASCII of bounded length."""
    assert "COMFYUI_API_KEY" in refused(COMFYUI_API_KEY=key)


def test_an_unknown_field_is_refused() -> None:
    """A typo is not taken for a setting."""
    assert "IMAGE_SIZ" in refused(IMAGE_SIZ="1x1")


def planted() -> ImagesConfig:
    """A configuration whose secrets are all set."""
    secrets: dict[str, Any] = {name: f"planted-{name}" for name in SECRETS}
    secrets["AUTOMATIC1111_API_AUTH"] = {"username": "u", "password": "planted-password"}
    return ImagesConfig(**secrets)


def test_no_secret_is_in_a_repr_or_an_error() -> None:
    """Neither `repr` nor `str` nor a validation error shows a secret."""
    assert "planted" not in f"{planted()!r} {planted()}"
    assert "planted" not in refused(IMAGES_OPENAI_API_KEY="planted\n")


def test_masking_hides_what_is_set_and_only_that() -> None:
    """Every secret reads the same mask, whatever its type; an empty one stays empty."""
    assert all(getattr(planted().masked(), name) == MASK for name in SECRETS)
    assert not any(getattr(ImagesConfig().masked(), name) for name in SECRETS)


def test_secrets_lists_passwords_too() -> None:
    """What must not appear in messages includes the password of either form of credentials."""
    assert "planted-password" in planted().secrets()
    assert {"u:hidden", "hidden"} <= set(ImagesConfig(AUTOMATIC1111_API_AUTH="u:hidden").secrets())
