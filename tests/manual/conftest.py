"""One sandbox for the blocks of all pages, and the folder that a reader has before them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from sandbox.template import ROOT
from tests.manual.sandbox_process import SandboxProcess, running_sandbox

PHOTO_SIZE = (640, 480)
"""Width and height of `photo.jpg`, in pixels."""


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[SandboxProcess]:
    """A running sandbox. Tests that use it are in the xdist group `manual`, so that there is one."""
    with running_sandbox() as process:
        yield process


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess) -> Iterator[SandboxProcess]:
    """The sandbox; its configuration is restored afterwards, so that no block depends on another."""
    yield sandbox_process
    sandbox_process.restore_config()


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo. It is smooth, because noise takes engines long to encode."""
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    Image.radial_gradient("L").resize(PHOTO_SIZE).convert("RGB").save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path, photo: Path) -> Path:
    """A set-up clone of the repository, with a photo in it."""
    (tmp_path / "sandbox").symlink_to(ROOT / "sandbox")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / photo.name).symlink_to(photo)
    return tmp_path
