"""What may be stored in the catalogue and deleted from it, and what refers to what."""

from typing import Any

import pytest

from image_gateway.config.catalogue import Catalogue
from image_gateway.config.catalogue_draft import MAX_ENTRIES, CatalogueDraft
from image_gateway.config.versioned import VersionedConfig
from image_gateway.errors import Conflict, GatewayError, InvalidRequest, NotFound, TooLarge
from image_gateway.models.config import MASK, ImagesConfig
from image_gateway.models.connection_forms import ConnectionForm
from image_gateway.models.names import RESERVED_CONNECTIONS
from image_gateway.models.route_forms import RouteForm

DOCUMENT: dict[str, Any] = {
    "connections": {
        "azure-eu": {"engine": "openai", "base_url": "https://eu.example/v1"},
        "gpu-1": {"engine": "comfyui", "base_url": "http://gpu-1:8188"},
        "newer": {"engine": "veo"},
    },
    "routes": {
        "poster": {
            "targets": [
                {"connection": "azure-eu", "params": {"quality": "high"}},
                {"connection": "gpu-1", "workflow": "portrait"},
            ]
        },
        "newer-route": "of a newer version",
    },
    "workflows": {"portrait": "0" * 64, "unused": "1" * 64},
}


@pytest.fixture
def draft() -> CatalogueDraft:
    config = ImagesConfig(
        IMAGE_GENERATION_MODEL="as-default", IMAGE_EDIT_MODEL="as-default", IMAGE_MODEL_ALIASES={"dall-e-3": "as-alias"}
    )
    document = {**DOCUMENT, "routes": {**DOCUMENT["routes"], "as-default": {}, "as-alias": {}, "free": {}}}
    keys = {"azure-eu": "azure-key", "newer": "new-key"}
    return CatalogueDraft(VersionedConfig(config, 1, catalogue=Catalogue(document), keys=keys), worker_seconds=300)


def openai(url: str = "https://eu.example/v1", **fields: Any) -> ConnectionForm:
    return ConnectionForm.model_validate({"engine": "openai", "base_url": url, **fields})


def targets(*items: dict[str, Any]) -> RouteForm:
    return RouteForm.model_validate({"targets": list(items)})


@pytest.mark.parametrize("name", RESERVED_CONNECTIONS)
def test_names_of_the_configurations_connections_are_reserved(draft: CatalogueDraft, name: str) -> None:
    """They are changed by updates of the configuration only."""
    with pytest.raises(Conflict, match="config/update"):
        draft.put_connection(name, openai())
    with pytest.raises(Conflict, match="config/update"):
        draft.delete_connection(name)


@pytest.mark.parametrize("name", ["default", "default-edit"])
def test_names_of_the_configurations_workflows_are_reserved(draft: CatalogueDraft, name: str) -> None:
    """They are changed by updates of the configuration only."""
    with pytest.raises(Conflict, match="config/update"):
        draft.put_workflow(name, "0" * 64)
    with pytest.raises(Conflict, match="config/update"):
        draft.delete_workflow(name)


@pytest.mark.parametrize(
    ("section", "name", "user"),
    [
        ("connection", "azure-eu", "poster"),
        ("connection", "gpu-1", "poster"),
        ("workflow", "portrait", "poster"),
        ("route", "as-default", "IMAGE_GENERATION_MODEL, IMAGE_EDIT_MODEL"),
        ("route", "as-alias", "IMAGE_MODEL_ALIASES"),
    ],
)
def test_what_is_referred_to_cannot_be_deleted(draft: CatalogueDraft, section: str, name: str, user: str) -> None:
    """The error names what refers to it."""
    with pytest.raises(Conflict, match=user):
        getattr(draft, f"delete_{section}")(name)


@pytest.mark.parametrize(
    ("section", "name"), [("connection", "newer"), ("workflow", "unused"), ("route", "free"), ("route", "newer-route")]
)
def test_what_nothing_refers_to_can_be_deleted(draft: CatalogueDraft, section: str, name: str) -> None:
    """Also what this version cannot use; a second time there is nothing to delete."""
    getattr(draft, f"delete_{section}")(name)

    with pytest.raises(NotFound):
        getattr(draft, f"delete_{section}")(name)
    assert name not in draft.keys


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ({"connection": "unknown"}, "targets.1.connection"),
        ({"connection": "gpu-1", "workflow": "unknown"}, "targets.1.workflow"),
        ({"connection": "azure-eu", "workflow": "portrait"}, "targets.1"),
        ({"connection": "gpu-1", "params": {"x": 1}}, "targets.1"),
        ({"connection": "gemini", "params": {"x": 1}}, "targets.1"),
    ],
)
def test_target_that_cannot_be_done_is_refused(draft: CatalogueDraft, target: dict[str, Any], field: str) -> None:
    """A route's connections and workflows must exist, and fit together; the error names the target."""
    with pytest.raises(InvalidRequest) as caught:
        draft.put_route("new", targets({"connection": "openai"}, target))

    assert caught.value.field == field


def test_targets_may_be_the_configurations_own(draft: CatalogueDraft) -> None:
    """Connections and workflows of the configuration's fields can be targets."""
    assert draft.put_route("new", targets({"connection": "comfyui", "workflow": "default"}, {"connection": "gpu-1"}))
    assert not draft.put_route("new", targets({"connection": "openai-edit"}))


def test_connection_stays_what_its_routes_need(draft: CatalogueDraft) -> None:
    """A connection cannot become one of an engine that cannot do the targets of its routes."""
    comfyui = ConnectionForm(engine="comfyui", base_url="http://gpu-2:8188")

    with pytest.raises(Conflict, match="poster"):
        draft.put_connection("azure-eu", comfyui)
    with pytest.raises(Conflict, match="poster"):
        draft.put_connection("gpu-1", openai())


@pytest.mark.parametrize("key", [None, MASK])
def test_key_is_kept_for_its_own_server(draft: CatalogueDraft, key: str | None) -> None:
    """A key that is left out or masked is unchanged if the server is the same, whatever the path."""
    assert not draft.put_connection("azure-eu", openai("https://EU.example:443/v2", key=key))
    assert draft.keys["azure-eu"] == "azure-key"


@pytest.mark.parametrize("key", [None, MASK])
@pytest.mark.parametrize("url", ["https://us.example/v1", "http://eu.example/v1", "https://eu.example:8443/v1"])
def test_key_does_not_move_to_another_server(draft: CatalogueDraft, key: str | None, url: str) -> None:
    """A key that is left out or masked would go to a server that it was not set for."""
    with pytest.raises(InvalidRequest) as caught:
        draft.put_connection("azure-eu", openai(url, key=key))

    assert caught.value.field == "key"
    assert "azure-key" not in str(caught.value)


def test_key_of_an_entry_without_a_known_server_is_not_kept(draft: CatalogueDraft) -> None:
    """The server of an entry that this version cannot read is unknown, so its key stays with nobody."""
    with pytest.raises(InvalidRequest):
        draft.put_connection("newer", openai())


@pytest.mark.parametrize(("key", "kept"), [("", None), ("new", "new")])
def test_key_is_removed_or_replaced(draft: CatalogueDraft, key: str, kept: str | None) -> None:
    """An empty key removes the stored one, and another one replaces it, wherever the server is."""
    draft.put_connection("azure-eu", openai("https://us.example/v1", key=key))

    assert draft.keys.get("azure-eu") == kept


def test_connection_without_authentication_has_no_key(draft: CatalogueDraft) -> None:
    """A stored key is removed if it is not sent any more."""
    draft.put_connection("azure-eu", openai(auth="none", key=MASK))

    assert "azure-eu" not in draft.keys


def test_masked_key_of_another_connection_is_refused(draft: CatalogueDraft) -> None:
    """What is copied from another connection has no key, which would be noticed only by the first caller."""
    with pytest.raises(InvalidRequest, match="masked"):
        draft.put_connection("copy", openai(key=MASK))


def test_kept_key_must_fit_its_way(draft: CatalogueDraft) -> None:
    """A stored key that is no pair cannot be kept for HTTP Basic."""
    with pytest.raises(InvalidRequest, match="username:password"):
        draft.put_connection("azure-eu", openai(auth="basic"))


def test_timeout_must_fit_into_the_workers(draft: CatalogueDraft) -> None:
    """A timeout that no worker can wait for is refused when it is stored."""
    assert draft.put_connection("slow", openai(timeout_seconds=270))
    with pytest.raises(InvalidRequest, match="timeout_seconds must be 270 s"):
        draft.put_connection("slower", openai(timeout_seconds=271))


def test_there_is_a_largest_number_of_entries(draft: CatalogueDraft) -> None:
    """One more workflow than fit into a list is refused, and those that exist can still be replaced."""
    for number in range(MAX_ENTRIES - 2):
        draft.put_workflow(f"w{number}", "2" * 64)

    with pytest.raises(TooLarge):
        draft.put_workflow("one-more", "2" * 64)
    assert not draft.put_workflow("w0", "3" * 64)


def test_section_of_a_newer_version_is_not_overwritten() -> None:
    """A section in a form that this version does not know stays as it is."""
    draft = CatalogueDraft(VersionedConfig(ImagesConfig(), 1, catalogue=Catalogue({"routes": ["of a newer version"]})))

    with pytest.raises(GatewayError, match="newer version"):
        draft.put_route("poster", targets({"connection": "openai"}))
    assert draft.document["routes"] == ["of a newer version"]
