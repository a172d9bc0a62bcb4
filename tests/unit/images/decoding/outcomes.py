"""What becomes of files that try to use up memory or CPU time."""

from image_gateway.errors import InvalidImage
from image_gateway.images.decoding.decoder import Decoder
from image_gateway.images.decoding.limits import LARGE_MEMORY, PROCESS_MEMORY
from image_gateway.models.input_image import InputImage
from tests.unit.images.decoding.processes import cpu_seconds_of_children, decoding_processes, peak_memory
from tests.unit.images.input_sources import PNG

MAX_PIXELS = 50_000_000
_MAX_SECONDS = 10.0


async def outcome_within_limits(data: bytes) -> InputImage | InvalidImage:
    """Decode a file, and then a sound one, which succeeds whatever the first has done.

    The file takes less than 10 s of CPU time and 800 MiB of memory. If it is survived, the result has no more pixels
    than an image may have.
    """
    decoder = Decoder()
    used = cpu_seconds_of_children()
    try:
        result: InputImage | InvalidImage = await decoder.normalize(data, "image")
    except InvalidImage as error:
        result = error
    assert cpu_seconds_of_children() - used < _MAX_SECONDS
    # A process that exceeded its memory is not there any more: the operating system gave it no more.
    assert all(peak_memory(pid) <= LARGE_MEMORY + PROCESS_MEMORY for pid in decoding_processes())
    assert (await decoder.normalize(PNG, "image")).width == 3
    if isinstance(result, InvalidImage):
        assert result.field == "image"
    else:
        assert result.width * result.height <= MAX_PIXELS
    return result
