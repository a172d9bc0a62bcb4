"""The stored catalogue: connections, routes and workflows beside the fields of the configuration."""

import asyncio
import json
from typing import Any

import pytest

from image_gateway.aws import Aws
from image_gateway.config.catalogue_draft import CatalogueDraft
from image_gateway.errors import PreconditionFailed, TooLarge
from image_gateway.models.config import MASK, ImagesConfig
from image_gateway.models.connection_forms import ConnectionForm
from image_gateway.settings import Settings
from tests.aws_clients import aws_client
from tests.counting_aws import CountingAws
from tests.unit.config.catalogue_changes import connection, objects, route
from tests.unit.config.config_store import ConfigStore
from tests.unit.config.parameter import MakeStore, stored_document, stored_versions

pytestmark = pytest.mark.anyio


@pytest.fixture
def counting(aws: Aws) -> CountingAws:
    return CountingAws(aws)


async def test_another_process_reads_connections_routes_and_keys(
    store: ConfigStore, settings: Settings, make_store: MakeStore
) -> None:
    """What one process has stored, another one finds; the keys are beside the catalogue, not in it."""
    stored, created = await store.update_catalogue(connection("azure-eu", "azure-key", max_concurrent=2))
    await store.update_catalogue(route("poster", "azure-eu", "openai"))

    current = await make_store(settings).read()

    assert (stored.version, created, current.version) == (1, True, 2)
    found = current.catalogue.connection("azure-eu")
    assert found
    assert (found.base_url, found.max_concurrent) == ("https://azure-eu.example/v1", 2)
    assert current.key_of("azure-eu", found) == "azure-key"
    poster = current.catalogue.route("poster")
    assert poster
    assert [target.connection for target in poster.targets] == ["azure-eu", "openai"]


async def test_keys_are_in_the_parameter_only(store: ConfigStore, settings: Settings) -> None:
    """No object of the bucket has a key, and no text of the configuration shows one."""
    stored, _ = await store.update_catalogue(connection("azure-eu", "azure-key-1"))

    assert "azure-key-1" in stored_document(settings)
    assert not any(b"azure-key-1" in content for content in objects(settings).values())
    assert "azure-key-1" not in repr(stored)
    assert "azure" not in stored.config.masked().model_dump_json()


async def test_a_new_process_reads_one_parameter_and_one_object(
    store: ConfigStore, settings: Settings, make_store: MakeStore, counting: CountingAws
) -> None:
    """However many connections, routes and workflows there are; and no object again while the hash is the same."""

    def fill(draft: CatalogueDraft) -> None:
        for number in range(30):
            connection(f"connection-{number}", f"k{number}")(draft)
        for number in range(40):
            route(f"route-{number}", f"connection-{number % 30}")(draft)
        for number in range(20):
            draft.put_workflow(f"workflow-{number}", f"{number:064x}")

    await store.update_catalogue(fill)
    reader = make_store(settings, aws=counting)

    first = await reader.read()
    again = await reader.read()

    assert counting.calls == {"GetParameter": 2, "s3 GET": 1}
    assert again.catalogue is first.catalogue
    assert [len(first.catalogue.names(section)) for section in ("connections", "routes", "workflows")] == [30, 40, 20]


async def test_updates_of_the_fields_keep_the_catalogue(
    store: ConfigStore, settings: Settings, make_store: MakeStore
) -> None:
    """A client that knows only the fields writes them all back, and changes nothing of the connections."""
    await store.update_catalogue(connection("azure-eu", "azure-key"))
    await store.update(ImagesConfig.model_validate({**ImagesConfig().masked().model_dump(), "IMAGE_STEPS": 7}))

    current = await make_store(settings).read()

    assert (current.config.IMAGE_STEPS, current.keys) == (7, {"azure-eu": "azure-key"})
    assert current.catalogue.names("connections") == ["azure-eu"]


async def test_changes_of_the_catalogue_keep_the_fields(store: ConfigStore, settings: Settings) -> None:
    """Fields, also those of a newer version, stay as they are in the document."""
    text = json.dumps({"IMAGE_STEPS": 7, "NEW_FIELD": "new", "IMAGES_OPENAI_API_KEY": "sk-1"})
    aws_client("ssm").put_parameter(Name=settings.config_parameter, Value=text, Type="SecureString")

    await store.update_catalogue(connection("azure-eu", "azure-key"))

    document = json.loads(stored_document(settings))
    assert {name: document[name] for name in json.loads(text)} == json.loads(text)


async def test_the_same_change_twice_is_one_version(store: ConfigStore, settings: Settings) -> None:
    """A repeated PUT does not make a new version, so that it does not spoil the ETag of others."""
    first, created = await store.update_catalogue(connection("azure-eu", "azure-key"))
    second, created_again = await store.update_catalogue(connection("azure-eu", "azure-key"))

    assert (first.version, created, second.version, created_again) == (1, True, 1, False)


async def test_an_empty_catalogue_leaves_nothing_behind(store: ConfigStore, settings: Settings) -> None:
    """After the last connection is deleted, the document has neither a hash nor keys."""
    await store.update_catalogue(connection("azure-eu", "azure-key"))
    await store.update_catalogue(lambda draft: draft.delete_connection("azure-eu"))

    assert json.loads(stored_document(settings)) == {}


async def test_no_change_of_twenty_concurrent_ones_is_lost(settings: Settings, make_store: MakeStore) -> None:
    """Changes of the catalogue and of the fields follow each other, whichever process makes them."""
    changes = [
        make_store(settings).update_catalogue(connection(f"connection-{number}", f"k{number}")) for number in range(10)
    ]
    updates = [make_store(settings).update(ImagesConfig(IMAGE_STEPS=step)) for step in range(1, 11)]

    await asyncio.gather(*changes, *updates)

    current = await make_store(settings).read()
    assert current.version == 20
    assert current.keys == {f"connection-{number}": f"k{number}" for number in range(10)}
    assert sorted(current.keys) == current.catalogue.names("connections")


async def test_of_ten_changes_with_the_same_version_one_succeeds(settings: Settings, make_store: MakeStore) -> None:
    """With `If-Match`, a change never overwrites what its caller has not read, also of the fields."""
    await make_store(settings).update(ImagesConfig(IMAGE_STEPS=1))
    results = await asyncio.gather(
        *(
            make_store(settings).update_catalogue(connection("a", f"k{number}"), if_match=frozenset({1}))
            for number in range(10)
        ),
        return_exceptions=True,
    )

    assert sum(isinstance(result, PreconditionFailed) for result in results) == 9
    assert len(stored_versions(settings)) == 2


async def test_an_earlier_version_of_the_parameter_has_its_catalogue_and_keys(
    store: ConfigStore, settings: Settings, make_store: MakeStore
) -> None:
    """An operator who sets the parameter back gets the connections, routes and keys of that version."""
    await store.update_catalogue(connection("a", "k1"))
    await store.update_catalogue(connection("a", "k2", max_concurrent=3))
    await store.update_catalogue(connection("b", "k3"))
    aws_client("ssm").put_parameter(
        Name=settings.config_parameter,
        Value=json.dumps(stored_versions(settings)[0]),
        Type="SecureString",
        Overwrite=True,
    )

    current = await make_store(settings).read()

    assert (current.version, current.catalogue.names("connections"), current.keys) == (4, ["a"], {"a": "k1"})


async def test_an_earlier_catalogue_is_read_by_its_hash(
    store: ConfigStore, settings: Settings, make_store: MakeStore
) -> None:
    """A job that remembers the hash gets the routes as they were when it was accepted."""
    await store.update_catalogue(connection("a"))
    accepted, _ = await store.update_catalogue(route("poster", "a"))
    await store.update_catalogue(lambda draft: draft.delete_route("poster"))
    reader = make_store(settings)

    earlier = await reader.catalogue(accepted.catalogue.digest)

    assert earlier.route("poster") is not None
    assert (await reader.read()).catalogue.route("poster") is None
    assert (await reader.catalogue("")).names("routes") == []


async def test_sections_of_a_newer_version_are_kept(store: ConfigStore, settings: Settings) -> None:
    """Entries and sections that only a newer version knows survive changes by this one."""
    newer: dict[str, Any] = {
        "budgets": {"x": 1},
        "connections": {"new": {"engine": "veo", "base_url": "https://v.example"}},
    }

    def as_newer(draft: CatalogueDraft) -> None:
        draft.document.update(newer)

    await store.update_catalogue(as_newer)
    current, _ = await store.update_catalogue(connection("a"))

    assert current.catalogue.document["budgets"] == {"x": 1}
    assert current.catalogue.document["connections"]["new"] == newer["connections"]["new"]
    assert current.catalogue.names("connections") == ["a", "new"]


async def test_a_catalogue_has_a_largest_size(store: ConfigStore, settings: Settings) -> None:
    """A catalogue that would be slow to read is refused, and nothing changes."""
    params = {f"parameter-{number}": "x" * 1_000 for number in range(1_001)}

    with pytest.raises(TooLarge, match="1,000,000"):
        await store.update_catalogue(connection("a", params=params))

    assert (await store.read()).version == 0


async def test_keys_that_do_not_fit_are_refused(store: ConfigStore, settings: Settings) -> None:
    """All keys together must fit into the parameter, which is said, and no key is moved to the bucket."""
    for number in range(8):
        await store.update_catalogue(connection(f"c{number}", "k" * 900))

    with pytest.raises(TooLarge, match="8192"):
        await store.update_catalogue(connection("c8", "k" * 900))

    assert len((await store.read()).keys) == 8
    assert not any(b"kkk" in content for content in objects(settings).values())


async def test_a_masked_key_is_not_sent_to_another_server(store: ConfigStore) -> None:
    """A masked key keeps the stored one only for the server that it was set for."""
    await store.update_catalogue(connection("a", "k1"))
    moved = ConnectionForm(engine="openai", base_url="https://evil.example/v1", key=MASK)

    with pytest.raises(Exception, match="another server"):
        await store.update_catalogue(lambda draft: draft.put_connection("a", moved))

    found = (await store.read()).catalogue.connection("a")
    assert found
    assert found.base_url == "https://a.example/v1"
