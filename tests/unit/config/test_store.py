"""The configuration in Parameter Store, against moto's server."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from image_gateway.aws import Aws
from image_gateway.aws.locks import Locks
from image_gateway.config.store import ADVANCED_BYTES, STANDARD_BYTES, ConfigStore
from image_gateway.errors import InvalidRequest, NotConfigured, PreconditionFailed, StorageUnavailable, TooLarge
from image_gateway.models.config import MASK, ImagesConfig
from image_gateway.settings import Settings

pytestmark = pytest.mark.anyio

WORKFLOW = json.dumps({"1": {"class_type": "CLIPTextEncode", "inputs": {"text": "{{prompt}} " + "x" * 40_000}}})


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


Make = Callable[..., ConfigStore]


@pytest.fixture
def make(aws: Aws) -> Make:
    """A store as another process has it, that has read nothing yet."""

    def make(
        settings: Settings, environ: dict[str, str] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> ConfigStore:
        return ConfigStore(aws, settings, Locks(aws, settings), environ=environ or {}, clock=clock)

    return make


@pytest.fixture
def without_parameter_store(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From when it is called, nothing answers for Parameter Store."""
    return lambda: monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:1")


@pytest.fixture
def store(settings: Settings, make: Make) -> ConfigStore:
    return make(settings)


def document(settings: Settings) -> str:
    """The parameter's value as it is stored."""
    found = boto3.client("ssm").get_parameter(Name=settings.config_parameter, WithDecryption=True)
    return found["Parameter"]["Value"]


def history(settings: Settings) -> list[dict[str, Any]]:
    """Every value the parameter ever had, oldest first."""
    pages = boto3.client("ssm").get_paginator("get_parameter_history")
    found = pages.paginate(Name=settings.config_parameter, WithDecryption=True)
    return [json.loads(item["Value"]) for page in found for item in page["Parameters"]]


async def test_a_deployment_without_a_parameter_answers_the_defaults(store: ConfigStore) -> None:
    """Nothing needs to be stored before the first read."""
    found = await store.read()

    assert found.config == ImagesConfig()
    assert found.etag == '"0"'


async def test_an_update_is_read_back(store: ConfigStore, settings: Settings, make: Make) -> None:
    """What was set is there for another process; what was not keeps its default."""
    await store.update(ImagesConfig(IMAGE_SIZE="512x512", IMAGES_OPENAI_API_KEY="sk-1"))

    found = await make(settings).read()

    assert found.version == 1
    assert found.config.IMAGE_SIZE == "512x512"
    assert found.config.IMAGES_OPENAI_API_KEY == "sk-1"


async def test_only_fields_that_differ_are_stored(store: ConfigStore, settings: Settings) -> None:
    """A default that was sent explicitly is not pinned."""
    await store.update(ImagesConfig(ENABLE_IMAGE_GENERATION=True, IMAGE_GENERATION_ENGINE="openai"))

    assert json.loads(document(settings)) == {"ENABLE_IMAGE_GENERATION": True}


async def test_the_parameter_is_a_secure_string(store: ConfigStore, settings: Settings) -> None:
    """Keys are encrypted at rest: Parameter Store's doing, asked for by the type."""
    await store.update(ImagesConfig(IMAGES_OPENAI_API_KEY="sk-1"))

    found = boto3.client("ssm").get_parameter(Name=settings.config_parameter)["Parameter"]

    assert found["Type"] == "SecureString"


@pytest.mark.parametrize(("given", "used"), [("", "alias/aws/ssm"), ("arn:aws:kms:key/1", "arn:aws:kms:key/1")])
async def test_the_parameter_is_encrypted_with_the_given_key(
    settings: Settings, make: Make, given: str, used: str
) -> None:
    """A key of the operator's, or the account's own where none is given."""
    await make(settings.model_copy(update={"kms_key_id": given})).update(ImagesConfig(IMAGES_OPENAI_API_KEY="sk-1"))

    filters: Any = [{"Key": "Name", "Values": [settings.config_parameter]}]
    (found,) = boto3.client("ssm").describe_parameters(ParameterFilters=filters)["Parameters"]

    assert found["KeyId"] == used


async def test_writing_back_what_was_read_changes_nothing(store: ConfigStore) -> None:
    """The masked configuration, nulls dropped, as existing clients send it: no new version, no lost secret."""
    await store.update(ImagesConfig(IMAGES_OPENAI_API_KEY="sk-1", COMFYUI_WORKFLOW=WORKFLOW))
    shown = (await store.read()).config.masked().model_dump(exclude_none=True)

    again = await store.update(ImagesConfig.model_validate(shown))

    assert again.version == 1
    assert again.config.IMAGES_OPENAI_API_KEY == "sk-1"


async def test_a_long_workflow_with_braces_goes_to_the_bucket_and_comes_back(
    store: ConfigStore, settings: Settings, make: Make
) -> None:
    """Forty kilobytes with `{{` in them round-trip; the parameter holds a URI."""
    await store.update(ImagesConfig(COMFYUI_WORKFLOW=WORKFLOW))

    stored = json.loads(document(settings))["COMFYUI_WORKFLOW"]

    assert stored.startswith(f"s3://{settings.bucket}/config/")
    assert (await make(settings).read()).config.COMFYUI_WORKFLOW == WORKFLOW


async def test_params_of_six_kilobytes_round_trip_in_a_free_parameter(
    store: ConfigStore, settings: Settings, make: Make
) -> None:
    """Whatever makes the document too long for the free tier is moved to the bucket."""
    params = {"prompt_suffix": "y" * 6_000, "nested": {"a": {"b": "{{c}}"}}}
    await store.update(ImagesConfig(AUTOMATIC1111_PARAMS=params, IMAGES_OPENAI_API_PARAMS={"style": "{{x}}"}))

    found = (await make(settings).read()).config

    assert len(document(settings)) <= STANDARD_BYTES
    assert params == found.AUTOMATIC1111_PARAMS
    assert found.IMAGES_OPENAI_API_PARAMS == {"style": "{{x}}"}


async def test_no_stored_value_holds_what_parameter_store_refuses(
    store: ConfigStore, settings: Settings, make: Make
) -> None:
    """Parameter Store refuses `{{` in a value; moto does not, so it is looked for here."""
    await store.update(ImagesConfig(IMAGES_OPENAI_API_PARAMS={"style": "{{{x}}}"}, IMAGE_GENERATION_MODEL="{{m}}"))

    assert "{{" not in document(settings)
    assert (await make(settings).read()).config.IMAGE_GENERATION_MODEL == "{{m}}"


async def test_a_value_that_looks_like_a_reference_is_not_taken_for_one(
    store: ConfigStore, settings: Settings, make: Make
) -> None:
    """A model named like one of our own objects comes back as it was given."""
    name = f"s3://{settings.bucket}/config/{'0' * 64}.json"
    await store.update(ImagesConfig(IMAGE_GENERATION_MODEL=name))

    assert name == (await make(settings).read()).config.IMAGE_GENERATION_MODEL


async def test_secrets_never_go_to_the_bucket(store: ConfigStore, settings: Settings) -> None:
    """Too many long keys make a paid parameter, not objects."""
    keys = {
        name: name[-1] * 900
        for name in ("IMAGES_OPENAI_API_KEY", "COMFYUI_API_KEY", "IMAGES_GEMINI_API_KEY", "IMAGES_EDIT_OPENAI_API_KEY")
    }
    await store.update(ImagesConfig(**keys, IMAGES_EDIT_GEMINI_API_KEY="k" * 900))

    assert STANDARD_BYTES < len(document(settings)) <= ADVANCED_BYTES
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket=settings.bucket)


async def test_a_document_that_cannot_fit_is_refused_whole(store: ConfigStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the limit of a parameter nothing is written."""
    monkeypatch.setattr("image_gateway.config.store.ADVANCED_BYTES", 100)

    with pytest.raises(TooLarge, match="100"):
        await store.update(ImagesConfig(IMAGES_OPENAI_API_KEY="k" * 200))

    assert (await store.read()).version == 0


async def test_an_environment_variable_stands_in_for_a_field(settings: Settings, make: Make) -> None:
    """The order is: stored, environment, default."""
    store = make(settings, {"IMAGE_SIZE": "64x64", "IMAGE_STEPS": "7", "COMFYUI_WORKFLOW_NODES": "[]"})
    await store.update(ImagesConfig(IMAGE_STEPS=9))

    found = (await store.read()).config

    assert (found.IMAGE_SIZE, found.IMAGE_STEPS) == ("64x64", 9)


async def test_setting_a_field_to_what_the_environment_says_unpins_it(settings: Settings, make: Make) -> None:
    """The environment's value follows the environment again."""
    store = make(settings, {"IMAGE_STEPS": "7"})
    await store.update(ImagesConfig(IMAGE_STEPS=9))
    await store.update(ImagesConfig(IMAGE_STEPS=7))

    assert (await make(settings, {"IMAGE_STEPS": "8"}).read()).config.IMAGE_STEPS == 8


@pytest.mark.parametrize(
    ("variable", "value"), [("IMAGE_STEPS", "many"), ("COMFYUI_WORKFLOW_NODES", "{"), ("IMAGE_GENERATION_ENGINE", "x")]
)
async def test_a_bad_environment_variable_is_named(settings: Settings, variable: str, value: str, make: Make) -> None:
    """The error says which variable to mend."""
    with pytest.raises(NotConfigured, match=variable):
        await make(settings, {variable: value}).read()


async def test_null_resets_a_nullable_field(store: ConfigStore) -> None:
    """A null that is sent is a value."""
    await store.update(ImagesConfig(IMAGE_SIZE="64x64"))

    assert (await store.update(ImagesConfig(IMAGE_SIZE=None))).config.IMAGE_SIZE is None


@pytest.mark.parametrize("sent", [{"IMAGES_OPENAI_API_KEY": MASK}, {}])
async def test_a_key_does_not_follow_its_url_to_another_server(store: ConfigStore, sent: dict[str, str]) -> None:
    """Neither masked nor left out: a key goes only where it was given for."""
    await store.update(ImagesConfig(IMAGES_OPENAI_API_BASE_URL="https://a.example/v1", IMAGES_OPENAI_API_KEY="sk-1"))

    with pytest.raises(InvalidRequest) as caught:
        await store.update(ImagesConfig(IMAGES_OPENAI_API_BASE_URL="https://b.example/v1", **sent))

    assert caught.value.field == "IMAGES_OPENAI_API_KEY"
    assert "sk-1" not in caught.value.detail


@pytest.mark.parametrize("key", ["sk-2", ""])
async def test_a_url_may_move_with_a_new_key_or_none(store: ConfigStore, key: str) -> None:
    """Sending the key anew, or removing it, lets the URL move."""
    await store.update(ImagesConfig(IMAGES_OPENAI_API_BASE_URL="https://a.example", IMAGES_OPENAI_API_KEY="sk-1"))

    moved = await store.update(ImagesConfig(IMAGES_OPENAI_API_BASE_URL="https://b.example", IMAGES_OPENAI_API_KEY=key))

    assert key == moved.config.IMAGES_OPENAI_API_KEY


async def test_a_key_stays_within_its_server(store: ConfigStore) -> None:
    """Another path on the same origin is no move."""
    await store.update(ImagesConfig(IMAGES_OPENAI_API_BASE_URL="https://a.example/v1", IMAGES_OPENAI_API_KEY="sk-1"))

    moved = await store.update(ImagesConfig(IMAGES_OPENAI_API_BASE_URL="https://A.example:443/v2"))

    assert moved.config.IMAGES_OPENAI_API_KEY == "sk-1"


async def test_an_update_of_an_old_version_is_refused(store: ConfigStore) -> None:
    """`If-Match` of a version that is gone changes nothing."""
    await store.update(ImagesConfig(IMAGE_STEPS=1))
    await store.update(ImagesConfig(IMAGE_STEPS=2), if_match=frozenset({1}))

    with pytest.raises(PreconditionFailed, match="version 2"):
        await store.update(ImagesConfig(IMAGE_STEPS=3), if_match=frozenset({1}))

    assert (await store.read()).config.IMAGE_STEPS == 2


async def test_an_outcome_that_does_not_validate_is_refused(store: ConfigStore) -> None:
    """A node map is checked against the workflow that is already stored."""
    await store.update(ImagesConfig(COMFYUI_WORKFLOW='{"1": {"class_type": "A", "inputs": {}}}'))

    with pytest.raises(InvalidRequest, match="COMFYUI_WORKFLOW_NODES"):
        await store.update(ImagesConfig.model_validate({"COMFYUI_WORKFLOW_NODES": [{"node_ids": ["7"]}]}))


async def test_a_timeout_that_no_worker_has_is_refused(settings: Settings, make: Make) -> None:
    """It must leave the worker 30 s; the error says how long it may be and what else can be done."""
    store = make(settings.model_copy(update={"worker_timeout_seconds": 120.0}))

    with pytest.raises(InvalidRequest, match=r"must be 90 s at most.*WorkerTimeoutSeconds") as caught:
        await store.update(ImagesConfig(IMAGE_ENGINE_TIMEOUT=91))
    await store.update(ImagesConfig(IMAGE_ENGINE_TIMEOUT=90))

    assert caught.value.field == "IMAGE_ENGINE_TIMEOUT"
    assert (await store.read()).config.IMAGE_ENGINE_TIMEOUT == 90


async def test_a_timeout_that_nobody_set_hinders_no_update(settings: Settings, make: Make) -> None:
    """Where workers are shorter than the default asks for, other fields can be set."""
    store = make(settings.model_copy(update={"worker_timeout_seconds": 120.0}))

    updated = await store.update(ImagesConfig(IMAGE_STEPS=3))

    assert updated.config.IMAGE_STEPS == 3


async def test_twenty_writers_at_once_lose_nothing(settings: Settings, make: Make) -> None:
    """Each update that succeeded is in the history exactly once, on top of the one before it."""
    steps = range(1, 21)

    results = await asyncio.gather(*(make(settings).update(ImagesConfig(IMAGE_STEPS=step)) for step in steps))

    assert sorted(item["IMAGE_STEPS"] for item in history(settings)) == list(steps)
    assert sorted(result.version for result in results) == list(range(1, 21))


async def test_of_twenty_writers_that_saw_the_same_version_one_wins(settings: Settings, make: Make) -> None:
    """With `If-Match` nobody overwrites what they did not see."""
    results = await asyncio.gather(
        *(make(settings).update(ImagesConfig(IMAGE_STEPS=step), if_match=frozenset({0})) for step in range(1, 21)),
        return_exceptions=True,
    )

    assert sum(isinstance(result, PreconditionFailed) for result in results) == 19
    assert len(history(settings)) == 1


async def test_readers_only_ever_see_a_whole_configuration(settings: Settings, make: Make) -> None:
    """A key is never seen beside another update's URL, however often it is read meanwhile."""
    writer = make(settings)

    async def write() -> None:
        for number in range(10):
            await writer.update(
                ImagesConfig(
                    IMAGES_OPENAI_API_BASE_URL=f"https://h{number}.example", IMAGES_OPENAI_API_KEY=f"k{number}"
                )
            )

    async def read() -> tuple[str, str]:
        config = (await make(settings).read()).config
        return config.IMAGES_OPENAI_API_BASE_URL, config.IMAGES_OPENAI_API_KEY

    _, *seen = await asyncio.gather(write(), *(read() for _ in range(100)))

    whole = {("https://api.openai.com/v1", "")} | {(f"https://h{n}.example", f"k{n}") for n in range(10)}
    assert set(seen) <= whole


async def test_a_configuration_is_read_again_when_its_time_is_up(settings: Settings, make: Make) -> None:
    """Within the time to live nothing is asked; after it another process's update is seen."""
    clock = Clock()
    store = make(settings.model_copy(update={"config_ttl_seconds": 30}), clock=clock)
    await store.read()
    await make(settings).update(ImagesConfig(IMAGE_STEPS=5))

    clock.seconds += 29
    assert (await store.read()).config.IMAGE_STEPS is None
    clock.seconds += 2
    assert (await store.read()).config.IMAGE_STEPS == 5


async def test_a_stale_configuration_serves_while_parameter_store_fails(
    settings: Settings, caplog: pytest.LogCaptureFixture, make: Make, without_parameter_store: Callable[[], None]
) -> None:
    """What was read once is used on, and the log says so."""
    store = make(settings)
    await store.update(ImagesConfig(IMAGE_STEPS=5))
    without_parameter_store()

    assert (await store.read()).config.IMAGE_STEPS == 5
    assert "stale" in caplog.text


async def test_without_an_earlier_read_the_failure_is_told(
    settings: Settings, make: Make, without_parameter_store: Callable[[], None]
) -> None:
    """There is nothing to serve."""
    store = make(settings)
    without_parameter_store()

    with pytest.raises(StorageUnavailable, match="cannot be read"):
        await store.read()
    with pytest.raises(StorageUnavailable):
        await store.update(ImagesConfig(IMAGE_STEPS=1))


@pytest.mark.parametrize("value", ["no json", "[1]", '{"IMAGE_STEPS": -4}', '{"NO_SUCH_FIELD": 1}'])
async def test_a_parameter_that_was_spoilt_by_hand_is_told(store: ConfigStore, settings: Settings, value: str) -> None:
    """The error says how to get back."""
    boto3.client("ssm").put_parameter(Name=settings.config_parameter, Value=value, Type="SecureString")

    with pytest.raises(StorageUnavailable, match="older version"):
        await store.read()


async def test_a_write_past_the_lock_is_noticed(
    store: ConfigStore, settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who writes by hand in between leaves a trace in the log."""
    load = store._load

    async def load_and_interfere() -> Any:
        found = await load()
        boto3.client("ssm").put_parameter(
            Name=settings.config_parameter, Value="{}", Type="SecureString", Overwrite=True
        )
        return found

    monkeypatch.setattr(store, "_load", load_and_interfere)

    assert (await store.update(ImagesConfig(IMAGE_STEPS=1))).version == 2
    assert "outside" in caplog.text


async def test_a_failing_write_is_told(store: ConfigStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is let go of and the caller may try again."""

    async def nothing(_store: ConfigStore, _values: Any) -> str:
        return ""

    monkeypatch.setattr("image_gateway.config.store.ConfigStore._encoded", nothing)

    with pytest.raises(StorageUnavailable, match="not stored"):
        await store.update(ImagesConfig(IMAGE_STEPS=1))

    monkeypatch.undo()
    assert (await store.update(ImagesConfig(IMAGE_STEPS=1))).version == 1


@pytest.mark.parametrize("gone", ["object", "bucket"])
async def test_a_long_value_that_is_gone_takes_nothing_else_away(
    store: ConfigStore, settings: Settings, caplog: pytest.LogCaptureFixture, gone: str, make: Make
) -> None:
    """The object was removed, or the stack has another bucket by now: the field is unset, and the log names it."""
    await store.update(ImagesConfig(COMFYUI_WORKFLOW=WORKFLOW, IMAGE_STEPS=7))
    if gone == "object":
        key = json.loads(document(settings))["COMFYUI_WORKFLOW"].removeprefix(f"s3://{settings.bucket}/")
        boto3.client("s3").delete_object(Bucket=settings.bucket, Key=key)
    else:
        settings = settings.model_copy(update={"bucket": "another"})

    config = (await make(settings).read()).config

    assert (config.COMFYUI_WORKFLOW, config.IMAGE_STEPS) == ("", 7)
    assert "COMFYUI_WORKFLOW" in str([record.__dict__ for record in caplog.records])
