"""Stored values that this version cannot use: of a newer version, damaged, or lost. The others are used."""

import json
from typing import Any

import pytest

from image_gateway.models.config import MASK, ImagesConfig
from image_gateway.settings import Settings
from tests.aws_clients import aws_client
from tests.unit.config.config_store import ConfigStore
from tests.unit.config.parameter import LONG_WORKFLOW, MakeStore, stored_document

pytestmark = pytest.mark.anyio

DEEP = 100_000
DAMAGED = {"not JSON": b"{", "not UTF-8": b'"\xff"', "too deep": b"[" * DEEP + b"]" * DEEP, "an empty object": b""}


def store_document(settings: Settings, document: Any) -> None:
    """Write the parameter as another version of the gateway, or an operator, may have done."""
    text = document if isinstance(document, str) else json.dumps(document)
    aws_client("ssm").put_parameter(
        Name=settings.config_parameter, Value=text, Type="SecureString", Overwrite=True, Tier="Intelligent-Tiering"
    )


def damage(settings: Settings, field: str, content: bytes) -> None:
    """Replace the content of the object that a field's long value is stored in."""
    key = json.loads(stored_document(settings))[field].removeprefix(f"s3://{settings.bucket}/")
    aws_client("s3").put_object(Bucket=settings.bucket, Key=key, Body=content)


async def test_fields_of_a_newer_version_are_ignored_and_logged(
    store: ConfigStore, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """After a rollback all known fields are used, and the log names the others without their values."""
    store_document(
        settings, {"NEW_FIELD": "planted", "NEW_LONG_FIELD": f"s3://x/config/{'0' * 64}.json", "IMAGE_STEPS": 7}
    )

    assert (await store.read()).config.IMAGE_STEPS == 7
    logged = str([record.__dict__ for record in caplog.records])
    assert "NEW_FIELD" in logged
    assert "planted" not in logged


async def test_fields_of_a_newer_version_are_kept_by_updates(
    store: ConfigStore, settings: Settings, make_store: MakeStore
) -> None:
    """When the newer version is deployed again, it finds its fields unchanged."""
    newer = {"NEW_FIELD": {"a": ["s3://x"]}, "NEW_LONG_FIELD": f"s3://x/config/{'0' * 64}.json"}
    store_document(settings, {**newer, "IMAGE_STEPS": 7})

    await store.update(ImagesConfig(IMAGE_SIZE="64x64"))

    assert json.loads(stored_document(settings)) == {**newer, "IMAGE_STEPS": 7, "IMAGE_SIZE": "64x64"}
    assert (await make_store(settings).read()).config.IMAGE_SIZE == "64x64"


async def test_fields_of_a_newer_version_are_never_moved_to_the_bucket(store: ConfigStore, settings: Settings) -> None:
    """They may be secrets, which only the parameter may hold."""
    store_document(settings, {"NEW_KEY": "k" * 3_000})

    await store.update(ImagesConfig(IMAGES_OPENAI_API_KEY="k" * 900, IMAGES_GEMINI_API_KEY="g" * 900))

    assert json.loads(stored_document(settings))["NEW_KEY"] == "k" * 3_000
    assert "Contents" not in aws_client("s3").list_objects_v2(Bucket=settings.bucket)


async def test_invalid_values_are_ignored_and_kept(
    store: ConfigStore, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A newer version may allow more values of a field. The other fields are used."""
    store_document(settings, {"IMAGE_STEPS": 20_000, "IMAGE_SIZE": "planted", "IMAGE_EDIT_SIZE": "64x64"})

    config = (await store.read()).config
    await store.update(ImagesConfig(IMAGE_GENERATION_MODEL="m"))

    assert (config.IMAGE_STEPS, config.IMAGE_SIZE, config.IMAGE_EDIT_SIZE) == (None, None, "64x64")
    kept = json.loads(stored_document(settings))
    assert (kept["IMAGE_STEPS"], kept["IMAGE_SIZE"]) == (20_000, "planted")
    logged = str([record.__dict__ for record in caplog.records])
    assert "IMAGE_STEPS" in logged
    assert "planted" not in logged


async def test_an_update_replaces_an_invalid_value(store: ConfigStore, settings: Settings) -> None:
    """So the deployment can be repaired without the console; the default is a value too."""
    store_document(settings, {"IMAGE_STEPS": -4, "IMAGE_SIZE": "big"})

    updated = await store.update(ImagesConfig(IMAGE_STEPS=5, IMAGE_SIZE=None))

    assert updated.config.IMAGE_STEPS == 5
    assert json.loads(stored_document(settings)) == {"IMAGE_STEPS": 5}


async def test_the_values_that_are_not_used_are_logged_once_for_each_version(
    settings: Settings, make_store: MakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    """A process reads the configuration every 30 seconds."""
    store = make_store(settings.model_copy(update={"config_ttl_seconds": 0}))
    store_document(settings, {"NEW_FIELD": 1})
    await store.read()
    await store.read()

    assert len(caplog.records) == 1
    await store.update(ImagesConfig(IMAGE_STEPS=1))
    await store.read()
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("document", "unset"),
    [
        (
            {"IMAGES_OPENAI_API_BASE_URL": "grpc://private.example", "IMAGES_OPENAI_API_KEY": "sk"},
            {"IMAGES_OPENAI_API_KEY"},
        ),
        (
            {"COMFYUI_BASE_URL": f"s3://gone/config/{'0' * 64}.json", "COMFYUI_API_KEY": "sk"},
            {"COMFYUI_API_KEY", "COMFYUI_BASE_URL"},
        ),
        (
            {"IMAGE_GENERATION_ENGINE": "new", "ENABLE_IMAGE_GENERATION": True, "ENABLE_IMAGE_EDIT": True},
            {"ENABLE_IMAGE_GENERATION"},
        ),
        ({"IMAGE_EDIT_ENGINE": "new", "ENABLE_IMAGE_EDIT": True}, {"ENABLE_IMAGE_EDIT"}),
        (
            {
                "COMFYUI_WORKFLOW": '{"1": {"class_type": "A", "inputs": {}}}',
                "COMFYUI_WORKFLOW_NODES": [{"type": "new", "node_ids": ["1"]}],
            },
            {"COMFYUI_WORKFLOW", "COMFYUI_WORKFLOW_NODES"},
        ),
        (
            {
                "COMFYUI_WORKFLOW": '{"1": {"class_type": "A", "inputs": {}}}',
                "COMFYUI_WORKFLOW_NODES": [{"type": "prompt", "node_ids": ["2"]}],
            },
            {"COMFYUI_WORKFLOW", "COMFYUI_WORKFLOW_NODES"},
        ),
    ],
    ids=["the URL of a key", "the lost URL of a key", "the engine", "the edit engine", "nodes", "other nodes"],
)
async def test_what_depends_on_a_value_that_cannot_be_used_is_not_used_either(
    store: ConfigStore, settings: Settings, document: dict[str, Any], unset: set[str]
) -> None:
    """No key goes to the default server, no other engine is paid, and no workflow runs without its prompt."""
    store_document(settings, document)

    config = (await store.read()).config

    default = ImagesConfig()
    assert {name: getattr(config, name) for name in unset} == {name: getattr(default, name) for name in unset}
    used = {name: value for name, value in document.items() if getattr(config, name) == value}
    assert used.keys() <= document.keys() - unset
    await store.update(ImagesConfig(IMAGE_STEPS=1))
    assert json.loads(stored_document(settings)) == {**document, "IMAGE_STEPS": 1}


async def test_a_kept_key_does_not_follow_its_url(store: ConfigStore, settings: Settings) -> None:
    """A key that is not used belongs to the server it was stored for, and is removed when the URL moves."""
    store_document(
        settings, {"IMAGES_OPENAI_API_BASE_URL": "grpc://a.example", "IMAGES_OPENAI_API_KEY": "sk", "NEW_FIELD": 1}
    )

    await store.update(ImagesConfig(IMAGES_OPENAI_API_BASE_URL="https://b.example"))

    assert json.loads(stored_document(settings)) == {"IMAGES_OPENAI_API_BASE_URL": "https://b.example", "NEW_FIELD": 1}


async def test_a_masked_key_stays_kept(store: ConfigStore, settings: Settings) -> None:
    """The mask leaves a secret unchanged, also one that is not used."""
    document = {"IMAGES_OPENAI_API_BASE_URL": "grpc://a.example", "IMAGES_OPENAI_API_KEY": "sk"}
    store_document(settings, document)

    await store.update(ImagesConfig(IMAGES_OPENAI_API_KEY=MASK, IMAGE_STEPS=1))

    assert json.loads(stored_document(settings)) == {**document, "IMAGE_STEPS": 1}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
async def test_a_field_whose_object_is_damaged_is_unset(
    store: ConfigStore, settings: Settings, caplog: pytest.LogCaptureFixture, content: bytes, make_store: MakeStore
) -> None:
    """Other fields are read, the log names the field, and an update keeps the reference for a repair of the object."""
    await store.update(ImagesConfig(COMFYUI_WORKFLOW=LONG_WORKFLOW, IMAGE_STEPS=7))
    damage(settings, "COMFYUI_WORKFLOW", content)
    reference = json.loads(stored_document(settings))["COMFYUI_WORKFLOW"]
    store = make_store(settings)

    config = (await store.read()).config

    assert (config.COMFYUI_WORKFLOW, config.IMAGE_STEPS) == ("", 7)
    assert "COMFYUI_WORKFLOW" in str([record.__dict__ for record in caplog.records])
    await store.update(ImagesConfig(IMAGE_STEPS=8))
    assert json.loads(stored_document(settings)) == {"COMFYUI_WORKFLOW": reference, "IMAGE_STEPS": 8}


async def test_an_update_stores_a_damaged_object_again(
    store: ConfigStore, settings: Settings, make_store: MakeStore
) -> None:
    """The same value has the same key, and the object is written again."""
    await store.update(ImagesConfig(COMFYUI_WORKFLOW=LONG_WORKFLOW))
    damage(settings, "COMFYUI_WORKFLOW", b"{")

    await make_store(settings).update(ImagesConfig(COMFYUI_WORKFLOW=LONG_WORKFLOW))

    assert (await make_store(settings).read()).config.COMFYUI_WORKFLOW == LONG_WORKFLOW


@pytest.mark.parametrize("document", ["no json", "[1]", "[" * 2_000 + "]" * 2_000, '{"a":' * 1_300 + "1" + "}" * 1_300])
async def test_a_document_that_is_damaged_counts_as_missing(
    settings: Settings, caplog: pytest.LogCaptureFixture, document: str, make_store: MakeStore
) -> None:
    """The defaults are used, which switch everything off. The log says it, and an update repairs it."""
    store_document(settings, document)
    store = make_store(settings)

    current = await store.read()
    updated = await store.update(ImagesConfig(IMAGE_STEPS=3))

    assert (current.config, current.version) == (ImagesConfig(), 1)
    assert "not a JSON object" in caplog.text
    assert (updated.config.IMAGE_STEPS, updated.version) == (3, 2)
    assert json.loads(stored_document(settings)) == {"IMAGE_STEPS": 3}


async def test_a_warm_process_keeps_its_configuration_while_the_document_is_damaged(
    store: ConfigStore, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """As while Parameter Store fails."""
    await store.update(ImagesConfig(IMAGE_STEPS=3))
    store_document(settings, "no json")

    assert (await store.read()).config.IMAGE_STEPS == 3
    assert "stale" in caplog.text
