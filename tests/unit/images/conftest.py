"""An `ImageInputs` whose stored images and URLs the test controls."""

import pytest

from image_gateway.images.decoding.decoder import Decoder
from image_gateway.images.inputs import ImageInputs
from tests.unit.images.input_sources import FakeStoredImages, FakeWeb


@pytest.fixture
def stored() -> FakeStoredImages:
    return FakeStoredImages()


@pytest.fixture
def web() -> FakeWeb:
    return FakeWeb()


@pytest.fixture
def inputs(stored: FakeStoredImages, web: FakeWeb) -> ImageInputs:
    return ImageInputs(web.fetch, stored, Decoder())
