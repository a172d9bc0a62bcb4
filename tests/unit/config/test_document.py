"""The document in the parameter, and its long values in the bucket."""

import json

import pytest

from image_gateway.config.document import ADVANCED_BYTES, STANDARD_BYTES
from image_gateway.errors import TooLarge
from image_gateway.models.config import ImagesConfig
from image_gateway.settings import Settings
from tests.aws_clients import aws_client
from tests.unit.config.config_store import ConfigStore
from tests.unit.config.parameter import LONG_WORKFLOW, MakeStore, stored_document

pytestmark = pytest.mark.anyio


async def test_a_long_workflow_is_stored_in_the_bucket(
    store: ConfigStore, settings: Settings, make_store: MakeStore
) -> None:
    """Another process reads all 40 KB, which contain `{{`; the parameter has a URI."""
    await store.update(ImagesConfig(COMFYUI_WORKFLOW=LONG_WORKFLOW))

    stored = json.loads(stored_document(settings))["COMFYUI_WORKFLOW"]

    assert stored.startswith(f"s3://{settings.bucket}/config/")
    assert (await make_store(settings).read()).config.COMFYUI_WORKFLOW == LONG_WORKFLOW


async def test_values_too_long_for_a_free_parameter_are_stored_in_the_bucket(
    store: ConfigStore, settings: Settings, make_store: MakeStore
) -> None:
    """Another process reads 6 KB of parameters, and the document stays within the free tier."""
    params = {"prompt_suffix": "y" * 6_000, "nested": {"a": {"b": "{{c}}"}}}
    await store.update(ImagesConfig(AUTOMATIC1111_PARAMS=params, IMAGES_OPENAI_API_PARAMS={"style": "{{x}}"}))

    config = (await make_store(settings).read()).config

    assert len(stored_document(settings)) <= STANDARD_BYTES
    assert params == config.AUTOMATIC1111_PARAMS
    assert config.IMAGES_OPENAI_API_PARAMS == {"style": "{{x}}"}


async def test_no_document_contains_double_braces(
    store: ConfigStore, settings: Settings, make_store: MakeStore
) -> None:
    """Parameter Store rejects `{{` in a value. Moto does not, so the test checks the value itself."""
    await store.update(ImagesConfig(IMAGES_OPENAI_API_PARAMS={"style": "{{{x}}}"}, IMAGE_GENERATION_MODEL="{{m}}"))

    assert "{{" not in stored_document(settings)
    assert (await make_store(settings).read()).config.IMAGE_GENERATION_MODEL == "{{m}}"


async def test_a_value_that_looks_like_a_reference_is_read_unchanged(
    store: ConfigStore, settings: Settings, make_store: MakeStore
) -> None:
    """A model may have the name of an object in the bucket."""
    name = f"s3://{settings.bucket}/config/{'0' * 64}.json"
    await store.update(ImagesConfig(IMAGE_GENERATION_MODEL=name))

    assert name == (await make_store(settings).read()).config.IMAGE_GENERATION_MODEL


async def test_secrets_are_never_stored_in_the_bucket(store: ConfigStore, settings: Settings) -> None:
    """Many long keys need a paid parameter instead."""
    keys = {
        name: name[-1] * 900
        for name in ("IMAGES_OPENAI_API_KEY", "COMFYUI_API_KEY", "IMAGES_GEMINI_API_KEY", "IMAGES_EDIT_OPENAI_API_KEY")
    }
    await store.update(ImagesConfig(**keys, IMAGES_EDIT_GEMINI_API_KEY="k" * 900))

    assert STANDARD_BYTES < len(stored_document(settings)) <= ADVANCED_BYTES
    assert "Contents" not in aws_client("s3").list_objects_v2(Bucket=settings.bucket)


async def test_a_document_that_is_too_long_is_not_stored(store: ConfigStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the document does not fit into a parameter, nothing is written."""
    monkeypatch.setattr("image_gateway.config.document.ADVANCED_BYTES", 100)

    with pytest.raises(TooLarge, match="100"):
        await store.update(ImagesConfig(IMAGES_OPENAI_API_KEY="k" * 200))

    assert (await store.read()).version == 0


@pytest.mark.parametrize("missing", ["object", "bucket"])
async def test_a_field_whose_object_is_missing_is_unset(
    store: ConfigStore, settings: Settings, caplog: pytest.LogCaptureFixture, missing: str, make_store: MakeStore
) -> None:
    """If the object was removed, or the stack has a new bucket, other fields are read, and the log names the field."""
    await store.update(ImagesConfig(COMFYUI_WORKFLOW=LONG_WORKFLOW, IMAGE_STEPS=7))
    if missing == "object":
        key = json.loads(stored_document(settings))["COMFYUI_WORKFLOW"].removeprefix(f"s3://{settings.bucket}/")
        aws_client("s3").delete_object(Bucket=settings.bucket, Key=key)
    else:
        settings = settings.model_copy(update={"bucket": "another"})

    config = (await make_store(settings).read()).config

    assert (config.COMFYUI_WORKFLOW, config.IMAGE_STEPS) == ("", 7)
    assert "COMFYUI_WORKFLOW" in str([record.__dict__ for record in caplog.records])
