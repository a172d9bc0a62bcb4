"""`python -m sandbox demo` as a process: it writes an image, or says why not."""

import random
from pathlib import Path

import pytest
from PIL import Image

from sandbox.__main__ import Photo, make_image
from sandbox.client import GatewayClient
from sandbox.errors import SandboxError
from tests.integration.sandbox.processes import StartProcess, command_line, descendants, is_running
from tests.integration.sandbox_process import MAX_WAIT_SECONDS
from tests.polling import wait_until

pytestmark = pytest.mark.xdist_group("sandbox")


def test_the_demo_writes_a_png_of_the_requested_size(start_process: StartProcess, tmp_path: Path) -> None:
    """It prints where the image was stored, and ends."""
    out = tmp_path / "image.png"

    process = start_process("demo", "--size", "640x384", "--prompt", 'it\'s a "fox"', "--out", str(out))
    output, err = process.communicate(timeout=MAX_WAIT_SECONDS)

    assert process.returncode == 0, err
    with Image.open(out) as image:
        assert (image.format, image.size) == ("PNG", (640, 384))
    assert f"wrote {out} (640x384, image/png) from\nhttp://127.0.0.1:" in output
    assert "X-Amz-Signature=" in output


@pytest.mark.parametrize(("side", "expected_output"), [(64, "/images/edit"), (1300, "too large for the API")])
@pytest.mark.anyio
async def test_the_demo_edits_a_photo(
    client: GatewayClient, capsys: pytest.CaptureFixture[str], tmp_path: Path, side: int, expected_output: str
) -> None:
    """The photo is sent in the request, or uploaded if it is too large for it."""
    photo, out = tmp_path / "photo.png", tmp_path / "image.png"
    Image.frombytes("RGB", (side, side), random.Random(1).randbytes(side * side * 3)).save(photo)

    await make_image(client, "a hat", out, engine="openai", size="1024x1024", photo=await Photo.read(photo))

    assert expected_output in capsys.readouterr().out
    with Image.open(out) as image:
        assert image.size == (1024, 1024)


def test_a_missing_photo_is_an_error_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The error names the file and the reason."""
    with pytest.raises(SystemExit) as ended:
        command_line(monkeypatch, "demo", "--edit", str(tmp_path / "none.jpg"))

    assert ended.value.code == f"{tmp_path}/none.jpg cannot be read: No such file or directory"
    assert capsys.readouterr().out == ""


@pytest.mark.anyio
async def test_a_failing_demo_prints_the_gateways_error(client: GatewayClient, tmp_path: Path) -> None:
    """An invalid size is refused, and no file is written."""
    with pytest.raises(SandboxError, match=r"^The gateway responded with 400: \{.*invalid_size"):
        await make_image(client, "a fox", tmp_path / "image.png", engine="openai", size="big", photo=None)

    assert not (tmp_path / "image.png").exists()


def test_a_signal_interrupts_the_demo_and_ends_its_processes(start_process: StartProcess, tmp_path: Path) -> None:
    """SIGTERM ends it with a status other than 0."""
    process = start_process("demo", "--out", str(tmp_path / "image.png"))
    wait_until(lambda: bool(descendants(process.pid)))
    started = descendants(process.pid)

    process.terminate()

    _said, err = process.communicate(timeout=MAX_WAIT_SECONDS)
    assert (process.returncode, err) == (1, "interrupted\n")
    assert not [pid for pid in started if is_running(pid)]
