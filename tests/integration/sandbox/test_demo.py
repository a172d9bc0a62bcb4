"""`python -m sandbox demo` as a process: it writes an image, or says why not."""

import random
from pathlib import Path

import pytest
from PIL import Image

from sandbox.__main__ import Photo, make_image
from sandbox.client import GatewayClient
from sandbox.errors import SandboxError
from tests.integration.sandbox.processes import Spawn, command_line, descendants, eventually, running
from tests.integration.sandbox_process import MAX_WAIT_SECONDS

pytestmark = pytest.mark.xdist_group("sandbox")


def test_a_demonstration(spawned: Spawn, tmp_path: Path) -> None:
    """The demo writes a PNG of the size asked for, says where it was stored, and ends."""
    out = tmp_path / "image.png"

    process = spawned("demo", "--size", "640x384", "--prompt", 'it\'s a "fox"', "--out", str(out))
    printed, err = process.communicate(timeout=MAX_WAIT_SECONDS)

    assert process.returncode == 0, err
    with Image.open(out) as image:
        assert (image.format, image.size) == ("PNG", (640, 384))
    assert f"wrote {out} (640x384, image/png) from\nhttp://127.0.0.1:" in printed
    assert "X-Amz-Signature=" in printed


@pytest.mark.parametrize(("side", "way"), [(64, "/images/edit"), (1300, "too large for the API")])
@pytest.mark.anyio
async def test_a_demonstration_of_an_edit(
    client: GatewayClient, capsys: pytest.CaptureFixture[str], tmp_path: Path, side: int, way: str
) -> None:
    """The demo edits a photo, which it sends in the request or, where that is too small for it, uploads."""
    photo, out = tmp_path / "photo.png", tmp_path / "image.png"
    Image.frombytes("RGB", (side, side), random.Random(1).randbytes(side * side * 3)).save(photo)

    await make_image(client, "a hat", out, engine="openai", size="1024x1024", photo=await Photo.read(photo))

    assert way in capsys.readouterr().out
    with Image.open(out) as image:
        assert image.size == (1024, 1024)


def test_a_photo_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A photo that cannot be read is named, with the reason, before anything starts."""
    with pytest.raises(SystemExit) as ended:
        command_line(monkeypatch, "demo", "--edit", str(tmp_path / "none.jpg"))

    assert ended.value.code == f"{tmp_path}/none.jpg cannot be read: No such file or directory"
    assert capsys.readouterr().out == ""


@pytest.mark.anyio
async def test_a_demonstration_that_fails(client: GatewayClient, tmp_path: Path) -> None:
    """A size that is none is refused with the gateway's words; nothing is written."""
    with pytest.raises(SandboxError, match=r"^The gateway responded with 400: \{.*invalid_size"):
        await make_image(client, "a fox", tmp_path / "image.png", engine="openai", size="big", photo=None)

    assert not (tmp_path / "image.png").exists()


def test_a_demonstration_can_be_interrupted(spawned: Spawn, tmp_path: Path) -> None:
    """SIGTERM ends the demo with a status that is not 0, and every process that it has started."""
    process = spawned("demo", "--out", str(tmp_path / "image.png"))
    eventually(lambda: bool(descendants(process.pid)))
    started = descendants(process.pid)

    process.terminate()

    _said, err = process.communicate(timeout=MAX_WAIT_SECONDS)
    assert (process.returncode, err) == (1, "interrupted\n")
    assert not [pid for pid in started if running(pid)]
