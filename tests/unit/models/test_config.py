"""The configuration's fields: valid and invalid values, and masked secrets."""

import json
from typing import Any

import pytest
from owui_client.models.images import ImagesConfig as OpenWebUIConfig
from pydantic import ValidationError

from image_gateway.models.config import MASK, SECRETS, ImagesConfig

WORKFLOW = {"3": {"class_type": "KSampler", "inputs": {"seed": 1}}}


def error_message(**fields: Any) -> str:
    """Validate invalid fields, and return the message of the error."""
    with pytest.raises(ValidationError) as caught:
        ImagesConfig.model_validate(fields)
    return str(caught.value)


def test_a_new_deployment_has_the_documented_defaults() -> None:
    """The defaults of the public contract hold."""
    config = ImagesConfig()

    assert not config.ENABLE_IMAGE_GENERATION
    assert config.IMAGE_GENERATION_ENGINE == "openai"
    assert config.IMAGES_OPENAI_API_BASE_URL == "https://api.openai.com/v1"
    assert config.IMAGES_GEMINI_ENDPOINT_METHOD == "generateContent"
    assert config.IMAGE_SIZE is None
    assert config.IMAGE_ENGINE_TIMEOUT == 240
    assert config.IMAGE_PROVENANCE == "mark"


def test_the_fields_of_open_webui_are_there_and_some_of_the_gateways_own() -> None:
    """Open WebUI's clients read and write their 33 fields; they ignore the others, and an update keeps those."""
    own = {
        "IMAGE_ENGINE_TIMEOUT",
        "IMAGE_PROMPT_GENERATION_MODEL",
        "IMAGE_PROVENANCE",
        "IMAGE_EDIT_MAX_PIXELS",
        "IMAGE_USER_HEADER",
        "IMAGE_PLAIN_END_USERS",
    }
    own |= {"IMAGES_OPENAI_API_EXTRA_FIELDS", "IMAGE_MODEL_ALIASES", "IMAGE_RESPONSE_FORMAT"}

    assert set(ImagesConfig.model_fields) - own == set(OpenWebUIConfig.model_fields)
    assert len(OpenWebUIConfig.model_fields) == 33


def test_an_empty_engine_means_automatic1111() -> None:
    """The empty string stands for automatic1111, as in the Open WebUI API."""
    assert ImagesConfig(IMAGE_GENERATION_ENGINE="").IMAGE_GENERATION_ENGINE == "automatic1111"


@pytest.mark.parametrize("engine", ["dall-e", "OpenAI", 7, None])
def test_an_unknown_engine_is_refused(engine: object) -> None:
    """Only the four engines are valid, and the error names the field."""
    assert "IMAGE_GENERATION_ENGINE" in error_message(IMAGE_GENERATION_ENGINE=engine)


@pytest.mark.parametrize("size", ["1024x1024", "auto", "", "1x1", "16384x16384", " 640X384 "])
def test_a_size_is_width_and_height_or_auto_or_empty(size: str) -> None:
    """Valid sizes are converted to lower case without spaces around them."""
    assert size.strip().lower() == ImagesConfig(IMAGE_SIZE=size).IMAGE_SIZE


@pytest.mark.parametrize(
    "size", ["big", "0x0", "99999x99999", "10x", "x10", "10x10x10", "-1x5", "1e3x5", "\uff11x\uff11", "9" * 5000]
)
def test_an_invalid_size_is_refused(size: str) -> None:
    """The error names the field and is short, however long the value is."""
    message = error_message(IMAGE_SIZE=size)

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
    """A base URL must be http(s) with a host, without credentials and without a query."""
    assert "COMFYUI_BASE_URL" in error_message(COMFYUI_BASE_URL=url)


def test_a_trailing_slash_of_a_url_is_removed() -> None:
    """Base URLs have no trailing slash, because paths are appended to them."""
    assert ImagesConfig(COMFYUI_BASE_URL="http://box:8188/").COMFYUI_BASE_URL == "http://box:8188"


def test_parameters_may_be_a_json_string() -> None:
    """As in the Open WebUI API, parameters are an object or a JSON string, which is parsed."""
    config = ImagesConfig(IMAGES_OPENAI_API_PARAMS='{"n": 2}', AUTOMATIC1111_PARAMS="")

    assert config.IMAGES_OPENAI_API_PARAMS == {"n": 2}
    assert config.AUTOMATIC1111_PARAMS is None


@pytest.mark.parametrize("params", ["{", "[]", "7", [1]])
def test_parameters_must_be_a_json_object(params: object) -> None:
    """Other values are refused, and the error names the field."""
    assert "IMAGES_OPENAI_API_PARAMS" in error_message(IMAGES_OPENAI_API_PARAMS=params)


def test_negative_steps_are_refused() -> None:
    """Steps are 0 or more."""
    assert "IMAGE_STEPS" in error_message(IMAGE_STEPS=-1)


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
def test_a_workflow_must_be_in_api_format(workflow: str, reason: str) -> None:
    """A workflow that ComfyUI's API would refuse is an error, which says how to export it where that helps."""
    assert reason in error_message(COMFYUI_WORKFLOW=workflow)


def test_a_workflow_may_be_given_as_an_object() -> None:
    """An object is stored as a JSON string, which is the type of the field."""
    config = ImagesConfig(COMFYUI_WORKFLOW=WORKFLOW)

    assert json.loads(config.COMFYUI_WORKFLOW) == WORKFLOW


@pytest.mark.parametrize("prefix", ["COMFYUI", "IMAGES_EDIT_COMFYUI"])
def test_a_node_map_with_unknown_nodes_is_refused(prefix: str) -> None:
    """The error names the node ids that the workflow does not have."""
    message = error_message(
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
def test_a_node_without_a_key_fills_the_usual_input_of_its_type(node: dict[str, Any], name: str) -> None:
    """Existing clients leave the key out, so each type has a default input."""
    config = ImagesConfig.model_validate({"COMFYUI_WORKFLOW_NODES": [node]})

    assert config.COMFYUI_WORKFLOW_NODES[0].input_name == name


def test_a_node_without_a_type_needs_a_key() -> None:
    """A constant value without the name of its input is refused."""
    assert "key" in error_message(COMFYUI_WORKFLOW_NODES=[{"value": 7, "node_ids": ["3"]}])


@pytest.mark.parametrize(
    "auth", ["nocolon", {"username": "u"}, {"username": "u", "password": 5}, {"username": "u", "password": "p" * 2000}]
)
def test_malformed_basic_auth_is_refused(auth: object) -> None:
    """Basic auth is an object with two strings, or a string with a colon, and of limited length."""
    assert "AUTOMATIC1111_API_AUTH" in error_message(AUTOMATIC1111_API_AUTH=auth)


@pytest.mark.parametrize("key", ["with\nnewline", "schlüssel", "k" * 1001])
def test_a_key_that_no_header_can_contain_is_refused(key: str) -> None:
    """Keys are printable ASCII of limited length."""
    assert "COMFYUI_API_KEY" in error_message(COMFYUI_API_KEY=key)


def test_an_unknown_field_is_refused() -> None:
    """A misspelled field is an error, which names it."""
    assert "IMAGE_SIZ" in error_message(IMAGE_SIZ="1x1")


def config_with_secrets() -> ImagesConfig:
    """Return a configuration in which every secret is set."""
    secrets: dict[str, Any] = {name: f"confidential-{name}" for name in SECRETS}
    secrets["AUTOMATIC1111_API_AUTH"] = {"username": "u", "password": "confidential-password"}
    return ImagesConfig(**secrets)


def test_no_repr_and_no_error_contains_a_secret() -> None:
    """Neither `repr` nor `str` nor a validation error contains a secret."""
    assert "confidential" not in f"{config_with_secrets()!r} {config_with_secrets()}"
    assert "confidential" not in error_message(IMAGES_OPENAI_API_KEY="confidential\n")


def test_only_secrets_that_are_set_are_masked() -> None:
    """Secrets of every type get the same mask; empty ones stay empty."""
    assert all(getattr(config_with_secrets().masked(), name) == MASK for name in SECRETS)
    assert not any(getattr(ImagesConfig().masked(), name) for name in SECRETS)


def test_the_secrets_include_passwords() -> None:
    """The strings for redaction include the password of both forms of Basic auth."""
    assert "confidential-password" in config_with_secrets().secrets()
    assert {"u:password", "password"} <= set(ImagesConfig(AUTOMATIC1111_API_AUTH="u:password").secrets())


def test_a_byte_order_mark_before_a_workflow_is_removed() -> None:
    """Some editors put one before a file's JSON."""
    config = ImagesConfig(COMFYUI_WORKFLOW="\ufeff" + json.dumps(WORKFLOW))

    assert json.loads(config.COMFYUI_WORKFLOW) == WORKFLOW
