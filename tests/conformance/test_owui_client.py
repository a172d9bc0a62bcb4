"""owui-client beyond images: the settings' methods of its images resource, and its errors."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import httpx
import pytest
from owui_client.models.images import CreateImageForm, EditImageForm
from owui_client.routers.images import ImagesClient

from image_gateway.engines import REGISTRY
from image_gateway.models.config import MASK
from tests.conformance.clients import OpenWebUIClient
from tests.conformance.conftest import Engine, Gateway
from tests.integration.sample_images import encoded, text

pytestmark = pytest.mark.xdist_group("conformance")


@pytest.fixture
def admin(gateway: Gateway) -> Iterator[OpenWebUIClient]:
    """The client with an administrator's token."""
    client = OpenWebUIClient(gateway.url, gateway.running.printed("admin token"))
    yield client
    client.close()


@pytest.fixture
def user(client: Callable[[str], Any]) -> OpenWebUIClient:
    """The client with a user's token."""
    return cast("OpenWebUIClient", client("owui-client"))


def test_sending_back_what_was_got_changes_nothing(admin: OpenWebUIClient, user: OpenWebUIClient) -> None:
    """`update_config` with what `get_config` gave: the same configuration, and masked keys still work."""
    got = admin.run(admin.images.get_config())

    updated = admin.run(admin.images.update_config(got))

    assert got.IMAGES_OPENAI_API_KEY == MASK
    assert updated == got == admin.run(admin.images.get_config())
    assert user.run(user.images.generate_image(CreateImageForm(prompt="a fox", size="64x64")))


def test_an_update_is_stored(gateway: Gateway, admin: OpenWebUIClient) -> None:
    """A field that is changed in what was got is changed; nothing else is."""
    got = admin.run(admin.images.get_config())
    wanted = got.model_copy(update={"IMAGE_SIZE": "256x256"})

    updated = admin.run(admin.images.update_config(wanted))
    # The client itself has no way to take a value back: it leaves out what is None.
    gateway.configure(IMAGE_SIZE=None)

    assert updated == wanted
    assert admin.run(admin.images.get_config()) == got


@pytest.mark.parametrize("engine", list(REGISTRY))
def test_every_engine_is_verified(gateway: Gateway, admin: OpenWebUIClient, engine: str) -> None:
    """`verify_url` asks the engine that is configured: true."""
    gateway.use(engine)

    assert admin.run(admin.images.verify_url()) is True


def test_an_engine_that_fails_is_not_verified(
    gateway: Gateway, admin: OpenWebUIClient, engines: dict[str, Engine]
) -> None:
    """An error with the engine's words."""
    gateway.use("automatic1111")
    engines["automatic1111"].set(faults=[{"status": 500, "body": "out of memory", "times": -1}])

    with pytest.raises(httpx.HTTPStatusError, match="out of memory"):
        admin.run(admin.images.verify_url())

    engines["automatic1111"].afresh()


@pytest.mark.parametrize("method", ["get_config", "verify_url"])
def test_settings_are_for_administrators(user: OpenWebUIClient, method: str) -> None:
    """Another token is told so."""
    with pytest.raises(httpx.HTTPStatusError, match=r"403 .*Details: .*admin"):
        user.run(getattr(user.images, method)())


def test_all_fields_of_the_forms_are_understood(gateway: Gateway, user: OpenWebUIClient, http: httpx.Client) -> None:
    """Those of a generation and those of an edit; images come with URLs."""
    gateway.use("automatic1111")
    made = CreateImageForm(
        model="sandbox-painter.safetensors [5a4dbc0001]",
        prompt="a fox",
        size="64x64",
        n=2,
        negative_prompt="snow",
        steps=4,
    )
    images = cast("list[dict[str, Any]]", user.run(user.images.generate_image(made)))
    edit = EditImageForm(
        image=[text(encoded()), images[0]["url"]], prompt="a hat", size="64x64", n=2, background="opaque"
    )
    edited = cast("list[dict[str, Any]]", user.run(user.images.edit_image(edit)))

    assert [image.get("warnings") for image in images] == [None, None]
    assert len(edited) == 2
    for image in images + edited:
        assert http.get(image["url"]).content.startswith(b"\x89PNG")


def test_errors_are_in_words(user: OpenWebUIClient) -> None:
    """The message of the exception says what is wrong."""
    with pytest.raises(httpx.HTTPStatusError, match=r"400 .*Details: .*WIDTHxHEIGHT"):
        user.run(user.images.generate_image(CreateImageForm(prompt="a fox", size="big")))


def test_no_method_is_left_out() -> None:
    """All that the client's images resource can do is called here or for the table."""
    known = {name for name in vars(ImagesClient) if not name.startswith("_")}

    assert known == {"get_config", "update_config", "verify_url", "get_models", "generate_image", "edit_image"}
