"""Merging of updates, and of credentials to test."""

from typing import Any

import pytest

from image_gateway.config.merge import check_origin, merge, with_credentials
from image_gateway.errors import InvalidRequest
from image_gateway.models.config import MASK, SECRETS, ImagesConfig

URL, OTHER_URL = "https://one.example/v1", "https://other.example/v1"
URL_FIELD, KEY_FIELD = "IMAGES_OPENAI_API_BASE_URL", "IMAGES_OPENAI_API_KEY"


def config(**fields: Any) -> ImagesConfig:
    return ImagesConfig.model_validate(fields)


def with_test_credentials(url: str | None, key: str | dict[str, Any] | None) -> ImagesConfig:
    """Return the configuration to test, where the configured server is `URL` with the key `stored`."""
    return with_credentials(config(**{URL_FIELD: URL, KEY_FIELD: "stored"}), URL_FIELD, KEY_FIELD, url, key)


@pytest.mark.parametrize(
    ("url", "key", "expected"),
    [
        (None, None, (URL, "stored")),
        (None, MASK, (URL, "stored")),
        ("https://one.example/v2", MASK, ("https://one.example/v2", "stored")),
        (None, "new", (URL, "new")),
        (OTHER_URL, "new", (OTHER_URL, "new")),
        (OTHER_URL, "", (OTHER_URL, "")),
    ],
)
def test_null_and_the_mask_stand_for_the_configured_credentials(
    url: str | None, key: str | None, expected: tuple[str, str]
) -> None:
    """Any other value is used itself."""
    tested = with_test_credentials(url, key)

    assert (getattr(tested, URL_FIELD), getattr(tested, KEY_FIELD)) == expected


@pytest.mark.parametrize("key", [None, MASK])
def test_a_stored_key_is_not_sent_to_another_server_to_test_it(key: str | None) -> None:
    """To test another server, its key must be given."""
    with pytest.raises(InvalidRequest, match="moves to another server") as caught:
        with_test_credentials(OTHER_URL, key)

    assert caught.value.field == KEY_FIELD
    assert "stored" not in str(caught.value)


@pytest.mark.parametrize(("url", "key", "field"), [("ftp://one.example", None, "url"), (None, "new\n\x07", "key")])
def test_invalid_credentials_are_an_error_with_the_forms_field(url: str | None, key: str | None, field: str) -> None:
    """The error does not quote the value."""
    with pytest.raises(InvalidRequest, match=f"^{field}: ") as caught:
        with_test_credentials(url, key)

    assert caught.value.field == field
    assert "ftp" not in str(caught.value)
    assert "new" not in str(caught.value)


def test_basic_auth_to_test_can_be_an_object() -> None:
    """AUTOMATIC1111's credentials are a user name and a password."""
    auth = {"username": "u", "password": "p"}

    tested = with_credentials(config(), "AUTOMATIC1111_BASE_URL", "AUTOMATIC1111_API_AUTH", URL, auth)

    assert auth == tested.AUTOMATIC1111_API_AUTH


def test_absent_fields_and_masked_secrets_are_unchanged() -> None:
    """Other fields are replaced."""
    current = config(**{URL_FIELD: URL, KEY_FIELD: "stored", "IMAGE_SIZE": "512x512"})

    merged = merge(current, config(**{KEY_FIELD: MASK, "IMAGE_SIZE": "256x256"}))

    assert (getattr(merged, URL_FIELD), getattr(merged, KEY_FIELD), merged.IMAGE_SIZE) == (URL, "stored", "256x256")


def test_an_update_whose_result_does_not_validate_is_rejected() -> None:
    """The nodes of a node map must exist in the configured workflow."""
    with pytest.raises(InvalidRequest, match="COMFYUI_WORKFLOW_NODES"):
        merge(
            config(COMFYUI_WORKFLOW='{"1": {"class_type": "A", "inputs": {}}}'),
            config(COMFYUI_WORKFLOW_NODES=[{"type": "prompt", "node_ids": ["2"]}]),
        )


@pytest.mark.parametrize("secret", SECRETS)
def test_the_url_of_a_secret_cannot_move_to_another_server_without_it(secret: str) -> None:
    """This holds for every secret, and even if the URL is emptied first."""
    auth = "user:password" if secret == "AUTOMATIC1111_API_AUTH" else "stored"
    current = config(**{SECRETS[secret]: URL, secret: auth})

    with pytest.raises(InvalidRequest) as caught:
        merge(current, config(**{SECRETS[secret]: OTHER_URL}))
    assert caught.value.field == secret
    emptied = merge(current, config(**{SECRETS[secret]: ""}))
    with pytest.raises(InvalidRequest):
        merge(emptied, config(**{SECRETS[secret]: OTHER_URL}))
    check_origin(secret, current, config(**{SECRETS[secret]: f"{URL}/deeper"}))
