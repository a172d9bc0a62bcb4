"""The AUTOMATIC1111 API, as AUTOMATIC1111, Forge, SD.Next and stable-diffusion.cpp speak it.

Facts: AUTOMATIC1111's `modules/api`, and recorded answers of stable-diffusion.cpp's server. The compatible servers
leave things out: `info` may be empty, `n_iter` unknown, a null field an error. The engine asks for nothing that only
one of them has.
"""

import asyncio
import base64
import io
import json
import re
from pathlib import PurePosixPath
from typing import Any

from image_gateway.engines.automatic1111.stop import bring_to_rest
from image_gateway.engines.base64_images import decode_base64
from image_gateway.engines.fanout import gather
from image_gateway.engines.protocol import OPENAI_ONLY, EngineImage, EngineResult, ImageRequest, overlay, unsupported
from image_gateway.engines.server import Connection, EngineServer
from image_gateway.errors import EngineError, EngineUnavailable, InvalidImage, NotConfigured
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from image_gateway.models.images import ModelInfo

_NAME = "automatic1111"
_UNSUPPORTED = ("quality", "background", "style", *OPENAI_ONLY)
_SEED_IN_PNG = re.compile(rb"tEXtparameters\0.*?\nSteps: [^\n]*?\bSeed: (\d+)", re.DOTALL)
_WEIGHTS = (".safetensors", ".ckpt", ".pt", ".pth", ".gguf", ".sft")
_HASH = re.compile(r"\s*\[[0-9a-f]+\]$", re.IGNORECASE)


class Automatic1111Engine:
    """An AUTOMATIC1111-compatible server, made from one configuration; edits go to the same server.

    Its API knows no jobs, so it cannot be told from outside which one to stop. Who waits for images and gives up, by
    the timeout or by being cancelled, leaves the server at rest: the next job's time is not to go by in its queue.
    """

    def __init__(self, config: ImagesConfig, connection: Connection, *, edit: bool = False) -> None:  # noqa: ARG002 - the same fields hold for both
        if not config.AUTOMATIC1111_BASE_URL:
            raise NotConfigured("AUTOMATIC1111_BASE_URL is not set", field="AUTOMATIC1111_BASE_URL")
        self._params = _without_nulls(config.AUTOMATIC1111_PARAMS or {})
        self._server = EngineServer(
            connection, _NAME, config.AUTOMATIC1111_BASE_URL, auth=_credentials(config.AUTOMATIC1111_API_AUTH)
        )
        self._turn = asyncio.Lock()

    async def generate(self, request: ImageRequest) -> EngineResult:
        """`POST /sdapi/v1/txt2img`."""
        return await self._images("/sdapi/v1/txt2img", request, _fields(request, request.size))

    async def edit(self, request: ImageRequest) -> EngineResult:
        """`POST /sdapi/v1/img2img` with the first input, in its own size where none is asked for.

        Raises:
            InvalidImage: there is no input; some servers would answer that with an unrelated image.
            EngineError: as for every engine.
        """
        if not request.images:
            raise InvalidImage(f"{_NAME} needs an image to edit", field="image")
        first, *others = request.images
        body = _fields(request, request.size or Size(first.width, first.height))
        body["init_images"] = [base64.b64encode(first.data).decode()]
        if request.mask:
            mask = await asyncio.to_thread(_white_where_transparent, request.mask.data)
            body["mask"] = base64.b64encode(mask).decode()
        result = await self._images("/sdapi/v1/img2img", request, body)
        if others:
            result.warnings.append(f"{_NAME} edits one image at a time: only the first of {1 + len(others)} was used")
        return result

    async def models(self) -> list[ModelInfo]:
        """`GET /sdapi/v1/sd-models`; the id is the title, by which the server finds its checkpoints."""
        found = await self._server.json("GET", "/sdapi/v1/sd-models")
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise EngineUnavailable(
                f"{_NAME} answered /sdapi/v1/sd-models with something that is not a list of checkpoints; "
                "is it an AUTOMATIC1111 API?"
            )
        named = [(entry.get("title") or entry.get("model_name"), entry) for entry in found]
        return [ModelInfo(id=str(id_), name=str(entry.get("model_name") or id_)) for id_, entry in named if id_]

    async def verify(self) -> None:
        """Ask for the checkpoints: every compatible server has that route, while some lack `/options`."""
        await self.models()

    async def _images(self, path: str, request: ImageRequest, body: dict[str, Any]) -> EngineResult:
        """Ask for all images in one call; where the server gives fewer, ask for the rest one by one.

        `n_iter` makes them one after the other in the memory of one, so no `n` can exhaust a graphics card; who has
        the memory sets `batch_size` in the parameters. A server that knows no `n_iter` answers one image.
        """
        warnings = self._lay_params_over(body, request)
        count = _count(body)
        server = self._server.starting_now()
        first = await self._call(server, path, body, count)
        rest = []
        for number in range(len(first.images), count):
            # A seed that was named gives the same image again: the server itself counts it up within a call.
            seed = body["seed"] + number if isinstance(body["seed"], int) and body["seed"] >= 0 else body["seed"]
            rest.append(self._call(server, path, {**body, "batch_size": 1, "n_iter": 1, "seed": seed}, 1))
        result = await gather([_ready(first), *rest])
        result.warnings[:0] = [*warnings, *unsupported(request, _NAME, *_UNSUPPORTED)]
        return result

    async def _call(self, server: EngineServer, path: str, body: dict[str, Any], count: int) -> EngineResult:
        answer = await self._answer(server, path, body)
        images = answer.get("images") if isinstance(answer, dict) else None
        if not isinstance(images, list) or not images:
            said = server.message(answer) or "no explanation"
            raise EngineUnavailable(f"{_NAME} answered without images: {said}", may_have_cost=True)
        info = _info(answer.get("info"))
        start = _index_of_first(info, len(images), count)
        seeds = info["all_seeds"] if isinstance(info.get("all_seeds"), list) else [info.get("seed")]
        kept = images[start : start + count]
        padded = [*seeds, *[None] * len(kept)]
        result = await gather(_image(*pair) for pair in zip(kept, padded, strict=False))
        result.warnings += _dropped_checkpoint(_checkpoint(body), info)
        return result

    async def _answer(self, server: EngineServer, path: str, body: dict[str, Any]) -> Any:
        """What the server answers. Where nobody waits for that, or it was lost, the server is free before this ends."""
        # Calls that wait inside the server could not be stopped there.
        async with self._turn:
            try:
                return await server.json("POST", path, json=body)
            except asyncio.CancelledError:
                await bring_to_rest(self._server)
                raise
            except EngineError as error:
                if error.outstanding:
                    await bring_to_rest(self._server)
                raise

    def _lay_params_over(self, body: dict[str, Any], request: ImageRequest) -> list[str]:
        """Lay the operator's parameters over `body`, and warn in the form's own terms of what that overrules."""
        before = _in_form_terms(body)
        params = dict(self._params)
        if "batch_size" in params or "n_iter" in params:
            body |= {"batch_size": 1, "n_iter": 1}
        if isinstance(params.get("override_settings"), dict):
            params["override_settings"] = {**body.get("override_settings", {}), **params["override_settings"]}
        warnings = overlay(body, params, request, {})
        if "override_settings" in body:
            body.setdefault("override_settings_restore_afterwards", True)
        return warnings + overlay(before, _in_form_terms(body), request, {})


def _fields(request: ImageRequest, size: Size | None) -> dict[str, Any]:
    """The request's own fields. Nothing is null: stable-diffusion.cpp answers that with a 500."""
    fields: dict[str, Any] = {"prompt": request.prompt, "batch_size": 1, "n_iter": request.n}
    # Named even where nobody asked: not every compatible server's own default is a random seed.
    fields["seed"] = -1 if request.seed is None else request.seed
    if request.negative_prompt is not None:
        fields["negative_prompt"] = request.negative_prompt
    if request.steps is not None:
        fields["steps"] = request.steps
    if size:
        fields |= {"width": size.width, "height": size.height}
    if request.model:
        fields["override_settings"] = {"sd_model_checkpoint": request.model}
    return fields


def _in_form_terms(body: dict[str, Any]) -> dict[str, Any]:
    size = f"{body['width']}x{body['height']}" if "width" in body and "height" in body else None
    terms = {"n": _count(body), "size": size, "model": _checkpoint(body)}
    return {name: value for name, value in terms.items() if value is not None}


def _count(body: dict[str, Any]) -> int:
    factors = [body["batch_size"], body["n_iter"]]
    return max(1, factors[0] * factors[1]) if all(isinstance(factor, int) for factor in factors) else 1


def _checkpoint(body: dict[str, Any]) -> Any:
    settings = body.get("override_settings")
    return settings.get("sd_model_checkpoint") if isinstance(settings, dict) else None


def _credentials(auth: dict[str, Any] | str | None) -> tuple[str, str] | None:
    if isinstance(auth, dict):
        return auth["username"], auth["password"]
    if not auth:
        return None
    username, _, password = auth.partition(":")
    return username, password


def _without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_nulls(value) if isinstance(value, dict) else value
        for name, value in fields.items()
        if value is not None
    }


def _info(text: Any) -> dict[str, Any]:
    """What the server tells about the run: a JSON string on most servers, empty or missing on some."""
    try:
        info = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        info = None
    return info if isinstance(info, dict) else {}


def _index_of_first(info: dict[str, Any], answered: int, count: int) -> int:
    """How many images come before the first image: the grid, where the server adds one."""
    reported = info.get("index_of_first_image")
    if isinstance(reported, int) and 0 <= reported < answered:
        return reported
    return 1 if 1 < count < answered else 0


async def _image(text: object, seed: object) -> EngineResult:
    data = decode_base64(text, _NAME)
    if not isinstance(seed, int) or seed < 0:
        written = _SEED_IN_PNG.search(data[:65_536])
        seed = int(written[1]) if written else None
    return EngineResult([EngineImage(data, seed=seed)])


def _dropped_checkpoint(wanted: Any, info: dict[str, Any]) -> list[str]:
    """A warning where the server made the images with another checkpoint than it was told: it does so in silence."""
    used = info.get("sd_model_name")
    if not isinstance(wanted, str) or not isinstance(used, str) or not used or not wanted:
        return []
    hash_ = info.get("sd_model_hash")
    requested, used_stem = _stem(wanted), _stem(used)
    # The server finds a checkpoint by any part of its title or by its hash, and writes folders with an underscore.
    found = (
        requested in used_stem
        or requested.endswith("_" + used_stem)
        or (isinstance(hash_, str) and requested == hash_.lower())
    )
    return [] if found else [f"model {wanted} is not known to {_NAME}, which used {used}"]


def _stem(checkpoint: str) -> str:
    """A checkpoint's name as `sd_model_name` has it: without folder, file type and hash."""
    path = PurePosixPath(_HASH.sub("", checkpoint).replace("\\", "/").lower())
    return path.stem if path.suffix in _WEIGHTS else path.name


def _white_where_transparent(mask: bytes) -> bytes:
    """Turn a mask whose transparent pixels are edited into one whose white pixels are: a grey PNG."""
    from PIL import Image, ImageChops  # noqa: PLC0415 - only edits with a mask need Pillow

    with Image.open(io.BytesIO(mask)) as image:
        inverted = ImageChops.invert(image.convert("RGBA").getchannel("A"))
    out = io.BytesIO()
    inverted.save(out, "PNG", compress_level=1)
    return out.getvalue()


async def _ready(result: EngineResult) -> EngineResult:
    return result
