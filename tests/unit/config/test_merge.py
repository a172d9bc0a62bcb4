"""What a configuration becomes: from the environment, by an update, for a try, and for an edit."""

from typing import Any

import pytest

from image_gateway.config.merge import check_origin, fallback, merge, with_credentials, with_edit_fallbacks
from image_gateway.errors import InvalidRequest, NotConfigured
from image_gateway.models.config import MASK, SECRETS, ImagesConfig

ONE, OTHER = "https://one.example/v1", "https://other.example/v1"

SERVERS = [
    (f"{name}_BASE_URL", f"{name}_KEY", f"{edit}_BASE_URL", f"{edit}_KEY")
    for name, edit in (
        ("IMAGES_OPENAI_API", "IMAGES_EDIT_OPENAI_API"),
        ("IMAGES_GEMINI_API", "IMAGES_EDIT_GEMINI_API"),
    )
] + [("COMFYUI_BASE_URL", "COMFYUI_API_KEY", "IMAGES_EDIT_COMFYUI_BASE_URL", "IMAGES_EDIT_COMFYUI_API_KEY")]
"""URL and key for generation, URL and key for edits."""

Server = tuple[str, str, str, str]


def config(**fields: Any) -> ImagesConfig:
    return ImagesConfig.model_validate(fields)


@pytest.fixture(params=SERVERS, ids=["openai", "gemini", "comfyui"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.param
    return found


def for_edits(server: Server, *values: str) -> tuple[str, str]:
    """URL and key that an edit uses, where the four fields of `server` have these values."""
    found = with_edit_fallbacks(config(**dict(zip(server, values, strict=True))))
    return getattr(found, server[2]), getattr(found, server[3])


def test_an_empty_url_for_edits_means_the_one_for_generation(server: Server) -> None:
    """URL and key come together."""
    assert for_edits(server, ONE, "key", "", "") == (ONE, "key")


def test_a_key_for_edits_without_a_url_goes_nowhere(server: Server) -> None:
    """It was given for another server than the one for generation."""
    assert for_edits(server, ONE, "key", "", "edit-key") == (ONE, "key")


def test_the_same_server_needs_no_second_key(server: Server) -> None:
    """Scheme, host and port decide, not the path."""
    url = "https://ONE.example:443/edits"

    assert for_edits(server, ONE, "key", url, "") == (url, "key")


@pytest.mark.parametrize(
    "url", [OTHER, "http://one.example/v1", "https://one.example:8443/v1", "https://one.example.other.example/v1"]
)
def test_another_server_gets_no_key_of_this_one(server: Server, url: str) -> None:
    """A key goes to the server it was given for, and to no other."""
    assert for_edits(server, ONE, "key", url, "") == (url, "")


def test_a_key_for_edits_holds(server: Server) -> None:
    """What is set for edits is used for edits, also on the same server."""
    assert for_edits(server, ONE, "key", ONE, "edit-key") == (ONE, "edit-key")
    assert for_edits(server, ONE, "key", OTHER, "edit-key") == (OTHER, "edit-key")


@pytest.mark.parametrize(("url", "version"), [("", "2026-01-01"), (ONE, "")])
def test_the_version_comes_with_the_url(url: str, version: str) -> None:
    """An `api-version` belongs to a URL, so only a URL that is taken over brings its own."""
    found = with_edit_fallbacks(
        config(
            IMAGES_OPENAI_API_BASE_URL=ONE,
            IMAGES_OPENAI_API_VERSION="2026-01-01",
            IMAGES_EDIT_OPENAI_API_BASE_URL=url,
        )
    )

    assert version == found.IMAGES_EDIT_OPENAI_API_VERSION


def test_fallbacks_change_nothing_else() -> None:
    """Fields for generation, and the configuration that was given, stay as they are."""
    given = config(IMAGES_OPENAI_API_BASE_URL=ONE, IMAGES_OPENAI_API_KEY="key", IMAGES_EDIT_OPENAI_API_BASE_URL="")
    before = given.model_dump()

    found = with_edit_fallbacks(given).model_dump()

    assert given.model_dump() == before
    assert {name for name in found if found[name] != before[name]} == {
        "IMAGES_EDIT_OPENAI_API_BASE_URL",
        "IMAGES_EDIT_OPENAI_API_KEY",
    }


def test_every_key_that_a_fallback_uses_is_known_as_a_secret() -> None:
    """Messages are cleaned of it."""
    given = config(IMAGES_OPENAI_API_BASE_URL=ONE, IMAGES_OPENAI_API_KEY="key", IMAGES_EDIT_OPENAI_API_BASE_URL="")

    assert "key" in with_edit_fallbacks(given).secrets()


@pytest.mark.parametrize("auth", ["ann:secret", {"username": "ann", "password": "secret"}])
def test_basic_auth_is_a_secret_in_all_its_forms(auth: object) -> None:
    """Password, pair and what a header makes of it are kept out of messages; the longest are looked for first."""
    given = config(AUTOMATIC1111_API_AUTH=auth, IMAGES_OPENAI_API_KEY="sk")

    assert given.secrets() == ["YW5uOnNlY3JldA==", "ann:secret", "secret", "sk"]


URL, KEY = SERVERS[0][:2]


def tried(url: str | None, key: str | dict[str, Any] | None, **fields: Any) -> ImagesConfig:
    """What is tried where the server is `ONE` with the key `stored`."""
    return with_credentials(config(**{URL: ONE, KEY: "stored", **fields}), URL, KEY, url, key)


@pytest.mark.parametrize(
    ("url", "key", "wanted"),
    [
        (None, None, (ONE, "stored")),
        (None, MASK, (ONE, "stored")),
        ("https://one.example/v2", MASK, ("https://one.example/v2", "stored")),
        (None, "new", (ONE, "new")),
        (OTHER, "new", (OTHER, "new")),
        (OTHER, "", (OTHER, "")),
    ],
)
def test_a_try_takes_what_it_is_given(url: str | None, key: str | None, wanted: tuple[str, str]) -> None:
    """Null and the mask stand for what is configured, anything else for itself."""
    found = tried(url, key)

    assert (getattr(found, URL), getattr(found, KEY)) == wanted


@pytest.mark.parametrize("key", [None, MASK])
def test_a_try_sends_a_stored_key_to_no_other_server(key: str | None) -> None:
    """Whoever tries another server names its key."""
    with pytest.raises(InvalidRequest, match="moves to another server") as caught:
        tried(OTHER, key)

    assert caught.value.field == KEY
    assert "stored" not in str(caught.value)


@pytest.mark.parametrize(("url", "key", "field"), [("ftp://one.example", None, "url"), (None, "new\n\x07", "key")])
def test_a_try_that_does_not_validate_names_its_field(url: str | None, key: str | None, field: str) -> None:
    """The field is the form's, and what was sent is not repeated."""
    with pytest.raises(InvalidRequest, match=f"^{field}: ") as caught:
        tried(url, key)

    assert caught.value.field == field
    assert "ftp" not in str(caught.value)
    assert "new" not in str(caught.value)


def test_a_try_takes_basic_auth_as_an_object() -> None:
    """AUTOMATIC1111's credentials are two words."""
    auth = {"username": "u", "password": "p"}

    found = with_credentials(config(), "AUTOMATIC1111_BASE_URL", "AUTOMATIC1111_API_AUTH", ONE, auth)

    assert auth == found.AUTOMATIC1111_API_AUTH


def test_an_update_keeps_what_it_does_not_name() -> None:
    """Absent fields and masked secrets keep their value; others are replaced."""
    current = config(**{URL: ONE, KEY: "stored", "IMAGE_SIZE": "512x512"})

    merged = merge(current, config(**{KEY: MASK, "IMAGE_SIZE": "256x256"}))

    assert (getattr(merged, URL), getattr(merged, KEY), merged.IMAGE_SIZE) == (ONE, "stored", "256x256")


def test_an_update_whose_outcome_does_not_validate_is_refused() -> None:
    """Nodes have to be in the workflow that is there already."""
    with pytest.raises(InvalidRequest, match="COMFYUI_WORKFLOW_NODES"):
        merge(
            config(COMFYUI_WORKFLOW='{"1": {"class_type": "A", "inputs": {}}}'),
            config(COMFYUI_WORKFLOW_NODES=[{"type": "prompt", "node_ids": ["2"]}]),
        )


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_follows_its_url(secret: str) -> None:
    """Of every secret: its URL cannot move to another server without it, but may be emptied."""
    auth = "user:password" if secret == "AUTOMATIC1111_API_AUTH" else "stored"
    current = config(**{SECRETS[secret]: ONE, secret: auth})

    with pytest.raises(InvalidRequest) as caught:
        merge(current, config(**{SECRETS[secret]: OTHER}))
    assert caught.value.field == secret
    emptied = merge(current, config(**{SECRETS[secret]: ""}))
    with pytest.raises(InvalidRequest):
        merge(emptied, config(**{SECRETS[secret]: OTHER}))
    check_origin(secret, current, config(**{SECRETS[secret]: f"{ONE}/deeper"}))


def test_the_environment_gives_fields_of_their_names() -> None:
    """Text as it is, node maps from JSON; empty variables and other names say nothing."""
    environ = {
        "IMAGE_SIZE": "512x512",
        "IMAGE_STEPS": "",
        "COMFYUI_WORKFLOW_NODES": '[{"type": "prompt", "node_ids": []}]',
        "PATH": "/bin",
    }

    assert fallback(environ) == {
        "IMAGE_SIZE": "512x512",
        "COMFYUI_WORKFLOW_NODES": [{"type": "prompt", "node_ids": []}],
    }


@pytest.mark.parametrize(
    ("environ", "field"),
    [
        ({"IMAGE_SIZE": "big"}, "IMAGE_SIZE"),
        ({"COMFYUI_WORKFLOW_NODES": "[not json"}, "COMFYUI_WORKFLOW_NODES"),
        (
            {
                "COMFYUI_WORKFLOW": '{"1": {"class_type": "A", "inputs": {}}}',
                "COMFYUI_WORKFLOW_NODES": '[{"type": "prompt", "node_ids": ["2"]}]',
            },
            "COMFYUI_WORKFLOW_NODES",
        ),
    ],
)
def test_a_bad_environment_variable_is_named(environ: dict[str, str], field: str) -> None:
    """The operator is told which one."""
    with pytest.raises(NotConfigured, match=field) as caught:
        fallback(environ)

    assert caught.value.field == field
