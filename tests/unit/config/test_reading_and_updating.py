"""Reads and updates of the configuration."""

import json
from typing import Any

import pytest

from image_gateway.errors import InvalidRequest, NotConfigured, PreconditionFailed
from image_gateway.models.config import MASK, ImagesConfig
from image_gateway.settings import Settings
from tests.aws_clients import aws_client
from tests.unit.config.config_store import ConfigStore
from tests.unit.config.parameter import LONG_WORKFLOW, MakeStore, stored_document

pytestmark = pytest.mark.anyio


class Clock:
    """A clock that the test advances, in seconds."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


async def test_without_a_parameter_the_configuration_has_the_defaults(store: ConfigStore) -> None:
    """Nothing needs to be stored before the first read."""
    current = await store.read()

    assert current.config == ImagesConfig()
    assert current.etag == '"0"'


async def test_an_update_is_read_by_another_process(
    store: ConfigStore, settings: Settings, make_store: MakeStore
) -> None:
    """Fields that were set have their new values, and others their defaults."""
    await store.update(ImagesConfig(IMAGE_SIZE="512x512", IMAGES_OPENAI_API_KEY="sk-1"))

    current = await make_store(settings).read()

    assert current.version == 1
    assert current.config.IMAGE_SIZE == "512x512"
    assert current.config.IMAGES_OPENAI_API_KEY == "sk-1"


async def test_only_fields_that_differ_from_the_default_are_stored(store: ConfigStore, settings: Settings) -> None:
    """A default that was sent explicitly is not stored."""
    await store.update(ImagesConfig(ENABLE_IMAGE_GENERATION=True, IMAGE_GENERATION_ENGINE="openai"))

    assert json.loads(stored_document(settings)) == {"ENABLE_IMAGE_GENERATION": True}


async def test_the_parameter_is_a_secure_string(store: ConfigStore, settings: Settings) -> None:
    """Parameter Store encrypts values of this type at rest."""
    await store.update(ImagesConfig(IMAGES_OPENAI_API_KEY="sk-1"))

    parameter = aws_client("ssm").get_parameter(Name=settings.config_parameter)["Parameter"]

    assert parameter["Type"] == "SecureString"


@pytest.mark.parametrize(
    ("kms_key_id", "used"), [("", "alias/aws/ssm"), ("arn:aws:kms:key/1", "arn:aws:kms:key/1")], ids=["none", "own"]
)
async def test_the_parameter_is_encrypted_with_the_deployments_kms_key(
    settings: Settings, make_store: MakeStore, kms_key_id: str, used: str
) -> None:
    """The operator's key is used, or the account's default key where there is none."""
    store = make_store(settings.model_copy(update={"kms_key_id": kms_key_id}))
    await store.update(ImagesConfig(IMAGES_OPENAI_API_KEY="sk-1"))

    filters: Any = [{"Key": "Name", "Values": [settings.config_parameter]}]
    (parameter,) = aws_client("ssm").describe_parameters(ParameterFilters=filters)["Parameters"]

    assert parameter["KeyId"] == used


async def test_writing_back_the_masked_configuration_changes_nothing(store: ConfigStore) -> None:
    """Existing clients send the masked configuration without nulls: there is no new version, and no secret is lost."""
    await store.update(ImagesConfig(IMAGES_OPENAI_API_KEY="sk-1", COMFYUI_WORKFLOW=LONG_WORKFLOW))
    shown = (await store.read()).config.masked().model_dump(exclude_none=True)

    updated = await store.update(ImagesConfig.model_validate(shown))

    assert updated.version == 1
    assert updated.config.IMAGES_OPENAI_API_KEY == "sk-1"


async def test_a_stored_value_overrides_an_environment_variable_which_overrides_the_default(
    settings: Settings, make_store: MakeStore
) -> None:
    """An environment variable has the name of the field that it sets."""
    store = make_store(settings, {"IMAGE_SIZE": "64x64", "IMAGE_STEPS": "7", "COMFYUI_WORKFLOW_NODES": "[]"})
    await store.update(ImagesConfig(IMAGE_STEPS=9))

    config = (await store.read()).config

    assert (config.IMAGE_SIZE, config.IMAGE_STEPS) == ("64x64", 9)


async def test_a_field_set_to_its_environment_variable_is_not_stored(settings: Settings, make_store: MakeStore) -> None:
    """The field follows the environment variable again."""
    store = make_store(settings, {"IMAGE_STEPS": "7"})
    await store.update(ImagesConfig(IMAGE_STEPS=9))
    await store.update(ImagesConfig(IMAGE_STEPS=7))

    assert (await make_store(settings, {"IMAGE_STEPS": "8"}).read()).config.IMAGE_STEPS == 8


@pytest.mark.parametrize(
    ("variable", "value"), [("IMAGE_STEPS", "many"), ("COMFYUI_WORKFLOW_NODES", "{"), ("IMAGE_GENERATION_ENGINE", "x")]
)
async def test_an_invalid_environment_variable_is_named_in_the_error(
    settings: Settings, variable: str, value: str, make_store: MakeStore
) -> None:
    """The operator learns which variable to correct."""
    with pytest.raises(NotConfigured, match=variable):
        await make_store(settings, {variable: value}).read()


async def test_an_explicit_null_resets_a_nullable_field(store: ConfigStore) -> None:
    """A null in an update is a value."""
    await store.update(ImagesConfig(IMAGE_SIZE="64x64"))

    assert (await store.update(ImagesConfig(IMAGE_SIZE=None))).config.IMAGE_SIZE is None


@pytest.mark.parametrize("key", [{"IMAGES_OPENAI_API_KEY": MASK}, {}], ids=["masked", "absent"])
async def test_a_url_cannot_move_to_another_server_without_its_key(store: ConfigStore, key: dict[str, str]) -> None:
    """A key that is masked or absent would be sent to a server that it was not set for."""
    await store.update(ImagesConfig(IMAGES_OPENAI_API_BASE_URL="https://a.example/v1", IMAGES_OPENAI_API_KEY="sk-1"))

    with pytest.raises(InvalidRequest) as caught:
        await store.update(ImagesConfig(IMAGES_OPENAI_API_BASE_URL="https://b.example/v1", **key))

    assert caught.value.field == "IMAGES_OPENAI_API_KEY"
    assert "sk-1" not in caught.value.detail


@pytest.mark.parametrize("key", ["sk-2", ""])
async def test_a_url_can_move_together_with_a_new_or_empty_key(store: ConfigStore, key: str) -> None:
    """The old key is replaced or removed in the same update."""
    await store.update(ImagesConfig(IMAGES_OPENAI_API_BASE_URL="https://a.example", IMAGES_OPENAI_API_KEY="sk-1"))

    moved = await store.update(ImagesConfig(IMAGES_OPENAI_API_BASE_URL="https://b.example", IMAGES_OPENAI_API_KEY=key))

    assert key == moved.config.IMAGES_OPENAI_API_KEY


async def test_a_key_is_kept_for_another_path_on_the_same_origin(store: ConfigStore) -> None:
    """Scheme, host and port are the same server."""
    await store.update(ImagesConfig(IMAGES_OPENAI_API_BASE_URL="https://a.example/v1", IMAGES_OPENAI_API_KEY="sk-1"))

    moved = await store.update(ImagesConfig(IMAGES_OPENAI_API_BASE_URL="https://A.example:443/v2"))

    assert moved.config.IMAGES_OPENAI_API_KEY == "sk-1"


async def test_an_update_with_an_old_version_is_rejected(store: ConfigStore) -> None:
    """With an `If-Match` that is not the current version, nothing changes."""
    await store.update(ImagesConfig(IMAGE_STEPS=1))
    await store.update(ImagesConfig(IMAGE_STEPS=2), if_match=frozenset({1}))

    with pytest.raises(PreconditionFailed, match="version 2"):
        await store.update(ImagesConfig(IMAGE_STEPS=3), if_match=frozenset({1}))

    assert (await store.read()).config.IMAGE_STEPS == 2


async def test_an_update_whose_result_does_not_validate_is_rejected(store: ConfigStore) -> None:
    """A node map is validated against the workflow that is already stored."""
    await store.update(ImagesConfig(COMFYUI_WORKFLOW='{"1": {"class_type": "A", "inputs": {}}}'))

    with pytest.raises(InvalidRequest, match="COMFYUI_WORKFLOW_NODES"):
        await store.update(ImagesConfig.model_validate({"COMFYUI_WORKFLOW_NODES": [{"node_ids": ["7"]}]}))


async def test_an_engine_timeout_that_is_too_long_for_the_worker_is_rejected(
    settings: Settings, make_store: MakeStore
) -> None:
    """It must leave the worker 30 s. The error contains the longest timeout, and the alternative."""
    store = make_store(settings.model_copy(update={"worker_timeout_seconds": 120.0}))

    with pytest.raises(InvalidRequest, match=r"must be 90 s at most.*WorkerTimeoutSeconds") as caught:
        await store.update(ImagesConfig(IMAGE_ENGINE_TIMEOUT=91))
    await store.update(ImagesConfig(IMAGE_ENGINE_TIMEOUT=90))

    assert caught.value.field == "IMAGE_ENGINE_TIMEOUT"
    assert (await store.read()).config.IMAGE_ENGINE_TIMEOUT == 90


async def test_a_default_timeout_that_is_too_long_does_not_prevent_other_updates(
    settings: Settings, make_store: MakeStore
) -> None:
    """The timeout is only checked in updates that set it."""
    store = make_store(settings.model_copy(update={"worker_timeout_seconds": 120.0}))

    updated = await store.update(ImagesConfig(IMAGE_STEPS=3))

    assert updated.config.IMAGE_STEPS == 3


async def test_a_cached_configuration_is_read_again_after_its_time_to_live(
    settings: Settings, make_store: MakeStore
) -> None:
    """Until then Parameter Store is not called; after it, another process's update is read."""
    clock = Clock()
    settings = settings.model_copy(update={"config_ttl_seconds": 30})
    store = make_store(settings, clock=clock, jitter=lambda: 0.0)
    await store.read()
    await make_store(settings).update(ImagesConfig(IMAGE_STEPS=5))

    clock.seconds += 29
    assert (await store.read()).config.IMAGE_STEPS is None
    clock.seconds += 2
    assert (await store.read()).config.IMAGE_STEPS == 5
