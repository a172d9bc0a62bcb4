"""owui-client beyond images: the configuration methods of its images resource, and its errors."""

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
    client = OpenWebUIClient(gateway.url, gateway.process.printed("admin token"))
    yield client
    client.close()


@pytest.fixture
def user(client: Callable[[str], Any]) -> OpenWebUIClient:
    """The client with a user's token."""
    return cast("OpenWebUIClient", client("owui-client"))


def test_sending_the_configuration_back_changes_nothing(admin: OpenWebUIClient, user: OpenWebUIClient) -> None:
    """`update_config` with the result of `get_config` changes nothing, and masked keys still work."""
    config = admin.run(admin.images.get_config())

    updated = admin.run(admin.images.update_config(config))

    assert config.IMAGES_OPENAI_API_KEY == MASK
    assert updated == config == admin.run(admin.images.get_config())
    assert user.run(user.images.generate_image(CreateImageForm(prompt="a fox", size="64x64")))


def test_an_update_is_stored(gateway: Gateway, admin: OpenWebUIClient) -> None:
    """An update changes the fields that differ, and no others."""
    config = admin.run(admin.images.get_config())
    changed = config.model_copy(update={"IMAGE_SIZE": "256x256"})

    updated = admin.run(admin.images.update_config(changed))
    # The client itself cannot unset a value, because it omits fields that are None.
    gateway.configure(IMAGE_SIZE=None)

    assert updated == changed
    assert admin.run(admin.images.get_config()) == config


@pytest.mark.parametrize("engine", list(REGISTRY))
def test_every_engine_can_be_verified(gateway: Gateway, admin: OpenWebUIClient, engine: str) -> None:
    """`verify_url` calls the configured engine and returns true."""
    gateway.use(engine)

    assert admin.run(admin.images.verify_url()) is True


def test_verifying_a_failing_engine_is_an_error(
    gateway: Gateway, admin: OpenWebUIClient, engines: dict[str, Engine]
) -> None:
    """`verify_url` with an engine that fails is an error with the engine's error text."""
    gateway.use("automatic1111")
    engines["automatic1111"].set_knobs(faults=[{"status": 500, "body": "out of memory", "times": -1}])

    with pytest.raises(httpx.HTTPStatusError, match="out of memory"):
        admin.run(admin.images.verify_url())

    engines["automatic1111"].reset()


@pytest.mark.parametrize("method", ["get_config", "verify_url"])
def test_the_configuration_requires_an_administrator(user: OpenWebUIClient, method: str) -> None:
    """A user's token is refused with a message that says so."""
    with pytest.raises(httpx.HTTPStatusError, match=r"403 .*Details: .*admin"):
        user.run(getattr(user.images, method)())


def test_all_fields_of_the_forms_are_supported(gateway: Gateway, user: OpenWebUIClient, http: httpx.Client) -> None:
    """The gateway supports all fields of generations and of edits, and returns images as URLs."""
    gateway.use("automatic1111")
    generation = CreateImageForm(
        model="sandbox-painter.safetensors [5a4dbc0001]",
        prompt="a fox",
        size="64x64",
        n=2,
        negative_prompt="snow",
        steps=4,
    )
    images = cast("list[dict[str, Any]]", user.run(user.images.generate_image(generation)))
    edit = EditImageForm(
        image=[text(encoded()), images[0]["url"]], prompt="a hat", size="64x64", n=2, background="opaque"
    )
    edited = cast("list[dict[str, Any]]", user.run(user.images.edit_image(edit)))

    assert [image.get("warnings") for image in images] == [None, None]
    assert len(edited) == 2
    for image in images + edited:
        assert http.get(image["url"]).content.startswith(b"\x89PNG")


def test_an_exception_has_the_gateways_message(user: OpenWebUIClient) -> None:
    """The exception's message contains the gateway's, which says what is wrong."""
    with pytest.raises(httpx.HTTPStatusError, match=r"400 .*Details: .*WIDTHxHEIGHT"):
        user.run(user.images.generate_image(CreateImageForm(prompt="a fox", size="big")))


def test_no_method_is_left_out() -> None:
    """All that the client's images resource can do is called here or for the table."""
    known = {name for name in vars(ImagesClient) if not name.startswith("_")}

    assert known == {"get_config", "update_config", "verify_url", "get_models", "generate_image", "edit_image"}
