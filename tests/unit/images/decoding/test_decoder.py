"""Decoding in child processes: what they may know, when they end, and that images do not wait for each other."""

import asyncio
import io
import os
import signal
import zlib
from pathlib import Path

import pytest
from PIL import Image

from image_gateway.errors import Busy, GatewayError, InvalidImage
from image_gateway.images.decoding import process as decoding_process
from image_gateway.images.decoding.decoder import Decoder, DecodingError
from image_gateway.images.decoding.limits import LARGE_MEMORY, PROCESS_MEMORY, SMALL_MEMORY, TOTAL_MEMORY
from image_gateway.models.input_image import InputImage
from tests.polling import until
from tests.unit.images.crafted_png import crafted_png, png_chunk
from tests.unit.images.decoding.bombs import BOMBS, slow_image
from tests.unit.images.decoding.processes import decoding_processes, is_decoding
from tests.unit.images.input_sources import PNG, png

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc"),
]


@pytest.fixture
def decoder() -> Decoder:
    """A decoder without processes."""
    decoding_process.end_all()
    return Decoder()


async def until_ended(pid: int) -> None:
    """Wait until a process has ended. Nobody has noticed that yet."""
    await until(lambda: " Z " in Path(f"/proc/{pid}/stat").read_text())


async def started_process() -> int:
    """Return the id of the process that was started.

    It has no command line yet when `Popen` returns: the kernel sets that later in `exec` than it wakes the parent.
    """
    await until(decoding_processes)
    (pid,) = decoding_processes()
    return pid


async def test_images_are_decoded_by_the_same_process(decoder: Decoder) -> None:
    """Only the first image waits for a process to start."""
    await decoder.normalize(PNG, "image")
    pids = decoding_processes()

    await decoder.reencode(PNG, "webp")

    assert len(pids) == 1
    assert decoding_processes() == pids


async def test_a_process_has_none_of_the_environment(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function's credentials are environment variables."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")
    decoder.warm_up()
    pid = await started_process()

    await decoder.normalize(PNG, "image")

    environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert {variable.partition(b"=")[0] for variable in environment.split(b"\0") if variable} <= {
        b"MALLOC_ARENA_MAX",
        b"MALLOC_TRIM_THRESHOLD_",
        b"LD_LIBRARY_PATH",
    }


async def test_a_process_inherits_no_open_files(decoder: Decoder) -> None:
    """It has its two pipes, and nowhere to write errors to."""
    inherited = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(inherited, True)  # noqa: FBT003 - positional only
    decoder.warm_up()
    os.close(inherited)
    pid = await started_process()

    await decoder.normalize(PNG, "image")

    # The fourth is a copy of the second: what libraries print goes nowhere.
    assert len(list(Path(f"/proc/{pid}/fd").iterdir())) == 4


async def test_a_process_can_write_no_files_and_ends_first_if_there_is_no_memory(decoder: Decoder) -> None:
    """The kernel ends the process with the highest value of `oom_score_adj`, not the one that runs the jobs."""
    await decoder.normalize(PNG, "image")
    (pid,) = decoding_processes()

    (files,) = [
        line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith("Max file size")
    ]
    assert files.split()[3:5] == ["0", "0"]
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000"


async def test_warming_up_starts_one_process(decoder: Decoder) -> None:
    """It is used for the next image."""
    decoder.warm_up()
    decoder.warm_up()
    pid = await started_process()

    await decoder.normalize(PNG, "image")

    assert decoding_processes() == {pid}


async def test_an_idle_process_that_has_ended_is_replaced(decoder: Decoder) -> None:
    """The next image is not blamed for it."""
    await decoder.normalize(PNG, "image")
    (pid,) = decoding_processes()
    os.kill(pid, signal.SIGKILL)
    await until_ended(pid)

    assert (await decoder.normalize(PNG, "image")).width == 3
    assert pid not in decoding_processes()


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGKILL, Busy), (signal.SIGSEGV, InvalidImage), (signal.SIGPROF, InvalidImage)]
)
async def test_the_end_of_a_process_at_work_is_an_error(
    decoder: Decoder, number: signal.Signals, error: type[GatewayError]
) -> None:
    """Only the kernel sends SIGKILL, because it has no memory left: then another attempt may succeed."""
    decoding = asyncio.create_task(decoder.normalize(slow_image(), "image"))
    await until(is_decoding)
    (pid,) = decoding_processes()

    os.kill(pid, number)

    with pytest.raises(error) as caught:
        await decoding
    assert caught.value.should_retry == (number == signal.SIGKILL)


async def test_a_process_that_cannot_be_started_is_a_temporary_error(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda limits the number of processes, for example."""
    monkeypatch.setattr("sys.executable", "/nonexistent/python")

    decoder.warm_up()
    with pytest.raises(Busy):
        await decoder.normalize(PNG, "image")


async def test_a_process_whose_image_has_taken_it_over_is_ended(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it sends is no response, so it is treated as one that crashed, and the next image gets another process."""
    program = "import sys; sys.stdin.buffer.read(9); sys.stdout.write('GET / HTTP/1.1'); sys.stdout.flush(); input()"
    with monkeypatch.context() as patched:
        patched.setattr(decoding_process, "_PROGRAM", program)
        with pytest.raises(InvalidImage, match="its decoder failed"):
            await decoder.normalize(PNG, "image")

    assert decoding_processes() == set()
    assert (await decoder.normalize(PNG, "image")).width == 3


async def test_a_thread_that_cannot_be_started_is_a_temporary_error(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda limits the number of processes and threads together."""

    async def no_thread(*_args: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(asyncio, "to_thread", no_thread)

    with pytest.raises(Busy):
        await decoder.normalize(PNG, "image")
    assert decoding_processes() == set()


async def test_no_pipes_and_no_ended_processes_are_left(decoder: Decoder) -> None:
    """However processes end: hundreds of images may be decoded in the life of a function."""
    await decoder.normalize(PNG, "image")
    before = len(list(Path("/proc/self/fd").iterdir()))

    used = set[int]()
    for _ in range(3):
        (pid,) = decoding_processes()
        used.add(pid)
        os.kill(pid, signal.SIGKILL)
        await until_ended(pid)
        await decoder.normalize(PNG, "image")
        with pytest.raises(InvalidImage):
            await decoder.normalize(BOMBS["tiff: a tile of 46,336 x 46,336 pixels"](), "image")
        await decoder.normalize(PNG, "image")

    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert len(decoding_processes()) == 1
    assert [pid for pid in used - decoding_processes() if Path(f"/proc/{pid}").exists()] == []


async def test_a_process_that_ends_by_itself_is_the_gateways_failure(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment without Pillow does not blame the images."""
    monkeypatch.setattr("sys.path", [])

    with pytest.raises(GatewayError) as caught:
        await decoder.normalize(PNG, "image")
    assert caught.value.code == "internal_error"


async def test_a_canceled_operation_ends_its_process(decoder: Decoder) -> None:
    """Nothing goes on for a request whose time is up."""
    decoding = asyncio.create_task(decoder.normalize(slow_image(), "image"))
    await until(is_decoding)

    decoding.cancel()
    await asyncio.wait([decoding])

    assert decoding_processes() == set()
    assert (await decoder.normalize(PNG, "image")).width == 3


async def test_a_hanging_process_is_ended(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped process uses no CPU time, as one that waits for a lock for ever."""
    monkeypatch.setattr("image_gateway.images.decoding.decoder._MAX_SECONDS", 0.2)
    decoder.warm_up()
    pid = await started_process()
    os.kill(pid, signal.SIGSTOP)

    with pytest.raises(InvalidImage, match="CPU time"):
        await decoder.normalize(PNG, "image")

    assert decoding_processes() == set()


async def test_a_large_image_delays_no_small_ones(decoder: Decoder) -> None:
    """Images that need less memory are decoded beside it."""
    finished: list[str] = []

    async def decode(name: str, data: bytes) -> None:
        await decoder.normalize(data, "image")
        finished.append(name)

    rows = zlib.compress(bytes(8_001 * 6_000), 1)
    large = crafted_png(8_000, 6_000, png_chunk(b"IDAT", rows))
    decoding = asyncio.create_task(decode("large", large))
    await until(decoding_processes)
    await asyncio.gather(*(decode("small", PNG) for _ in range(5)))
    await decoding

    assert finished == ["small"] * 5 + ["large"]


async def test_large_images_wait_for_each_other(decoder: Decoder) -> None:
    """However many images are decoded at once, there are two processes, so memory is limited."""
    large = crafted_png(4_100, 4_100, png_chunk(b"IDAT", zlib.compress(bytes(4_101 * 4_100), 1)))
    most = 0

    async def count() -> None:
        nonlocal most
        while True:
            most = max(most, len(decoding_processes()))
            await asyncio.sleep(0.005)

    counting = asyncio.create_task(count())
    await asyncio.gather(*(decoder.normalize(data, "image") for data in (large, large, PNG, PNG)))
    counting.cancel()

    assert most == 2
    assert TOTAL_MEMORY == SMALL_MEMORY + LARGE_MEMORY + 2 * PROCESS_MEMORY


async def test_an_idle_process_uses_the_documented_memory(decoder: Decoder) -> None:
    """It is counted for each of the two."""
    await decoder.normalize(PNG, "image")
    (pid,) = decoding_processes()

    status = Path(f"/proc/{pid}/status").read_text()

    assert int(status.partition("VmRSS:")[2].split()[0]) * 1024 <= PROCESS_MEMORY


async def test_an_image_that_cannot_be_converted_is_an_error_with_the_reason(decoder: Decoder) -> None:
    """The reason goes on after a colon."""
    with pytest.raises(DecodingError, match=r"^it is damaged$"):
        await decoder.reencode(PNG[:-30], "webp")


async def test_masks_are_converted(decoder: Decoder) -> None:
    """An image gets the alpha of its mask."""
    image = InputImage(png(3, 2), "image/jpeg", 3, 2)
    mask = InputImage(png(3, 2, "#00000000", "RGBA"), "image/png", 3, 2)

    masked = await decoder.convert_image("as_alpha", image, mask)

    assert (masked.content_type, masked.width, masked.height) == ("image/png", 3, 2)
    assert Image.open(io.BytesIO(masked.data)).getpixel((1, 1)) == (255, 0, 0, 0)


async def test_an_image_that_exceeds_the_limits_is_not_converted(decoder: Decoder) -> None:
    """No engine was called, so nothing was paid."""
    bomb = InputImage(BOMBS["jpeg: 20,000 scans"](), "image/jpeg", 500, 500)

    with pytest.raises(InvalidImage, match="CPU time") as caught:
        await decoder.convert_image("with_colors", bomb)

    assert caught.value.field == "image"
