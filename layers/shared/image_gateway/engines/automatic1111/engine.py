"""The AUTOMATIC1111 API, as implemented by AUTOMATIC1111, Forge, SD.Next and stable-diffusion.cpp.

Facts: AUTOMATIC1111's `modules/api`, and recorded responses of stable-diffusion.cpp's server. The compatible servers
implement only part of it: `info` may be empty, `n_iter` unknown, a null field an error. The engine uses nothing that
only one of them has.
"""

import asyncio
import base64
import re
from contextlib import suppress
from typing import Any

from image_gateway.engines.automatic1111.checkpoints import checkpoint_warnings
from image_gateway.engines.automatic1111.run_info import index_of_first, parse_info
from image_gateway.engines.automatic1111.sizes import DEFAULT_MAX_PIXELS, reduced_size, size_warnings
from image_gateway.engines.automatic1111.stop import interrupt_and_wait, is_busy
from image_gateway.engines.base64_images import decode_base64
from image_gateway.engines.connection import Connection
from image_gateway.engines.credentials import basic, credentials
from image_gateway.engines.fanout import gather_results
from image_gateway.engines.protocol import (
    OPENAI_ONLY_FIELDS,
    EngineImage,
    EngineResult,
    ImageRequest,
    SentRequest,
    overlay,
    unsupported_warnings,
)
from image_gateway.engines.result_limits import MAX_IMAGES
from image_gateway.engines.server import EngineServer
from image_gateway.errors import EngineError, EngineUnavailable, InvalidImage
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from image_gateway.models.images import ModelInfo

_NAME = "automatic1111"
_UNSUPPORTED = ("quality", "background", "style", *OPENAI_ONLY_FIELDS)
_SEED_IN_PNG = re.compile(rb"tEXtparameters\0.*?\nSteps: [^\n]*?\bSeed: (\d{1,20})\b", re.DOTALL)


class Automatic1111Engine:
    """An AUTOMATIC1111-compatible server, created from one configuration; edits go to the same server.

    Its API has no job ids, so a job cannot be stopped from outside. If the call that waits for images times out or is
    canceled, it interrupts the server first, so that the next job does not spend its time in the server's queue.
    """

    def __init__(self, config: ImagesConfig, connection: Connection, *, edit: bool = False) -> None:  # noqa: ARG002 - edits use the same fields
        if not config.AUTOMATIC1111_BASE_URL:
            raise connection.not_set("AUTOMATIC1111_BASE_URL", "base_url")
        pair = _pair(config.AUTOMATIC1111_API_AUTH)
        limit = config.IMAGE_EDIT_MAX_PIXELS
        self._max_pixels = DEFAULT_MAX_PIXELS if limit is None else limit
        self._params = _without_nulls(config.AUTOMATIC1111_PARAMS or {})
        self._server = EngineServer(
            connection,
            _NAME,
            config.AUTOMATIC1111_BASE_URL,
            headers=credentials(connection, pair, basic(pair)),
        )
        self._call_lock = asyncio.Lock()

    async def generate(self, request: ImageRequest) -> EngineResult:
        """`POST /sdapi/v1/txt2img`."""
        return await self._images("/sdapi/v1/txt2img", request, _fields(request, request.size))

    async def edit(self, request: ImageRequest) -> EngineResult:
        """`POST /sdapi/v1/img2img` with the first input image, in its own size if the request has none.

        Without a size, an image with more than `IMAGE_EDIT_MAX_PIXELS` is reduced.

        Raises:
            InvalidImage: there is no input image; some servers would return an unrelated image.
            EngineError: as for every engine.
        """
        if not request.images:
            raise InvalidImage(f"{_NAME} needs an image to edit", field="image")
        first, *others = request.images
        mask, warnings = request.mask, []
        convert = self._server.connection.convert_image
        if request.size is None and (smaller := reduced_size(first, self._max_pixels)):
            warnings.append(
                f"the image of {first.width}x{first.height} was reduced to {smaller}: "
                "name a size, or see IMAGE_EDIT_MAX_PIXELS"
            )
            first = await convert("resized", first, size=smaller)
            mask = await convert("resized", mask, size=smaller) if mask else None
        body = _fields(request, request.size or Size(first.width, first.height))
        body["init_images"] = [base64.b64encode(first.data).decode()]
        if mask:
            white = await convert("white_where_transparent", mask)
            body["mask"] = base64.b64encode(white.data).decode()
        result = await self._images("/sdapi/v1/img2img", request, body)
        result.warnings[:0] = warnings
        if others:
            result.warnings.append(f"{_NAME} edits one image at a time: only the first of {1 + len(others)} was used")
        return result

    async def models(self) -> list[ModelInfo]:
        """`GET /sdapi/v1/sd-models`. A model's id is the title, by which the server finds its checkpoints."""
        entries = await self._server.json("GET", "/sdapi/v1/sd-models")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise EngineUnavailable(
                f"{_NAME} answered /sdapi/v1/sd-models with something that is not a list of checkpoints; "
                "is it an AUTOMATIC1111 API?"
            )
        by_id = [(entry.get("title") or entry.get("model_name"), entry) for entry in entries]
        return [ModelInfo(id=str(id_), name=str(entry.get("model_name") or id_)) for id_, entry in by_id if id_]

    async def verify(self) -> None:
        """Request the checkpoints: every compatible server has that route, while some lack `/options`."""
        await self.models()

    async def is_busy(self) -> bool:
        """`GET /sdapi/v1/progress`."""
        with suppress(EngineError):
            return await is_busy(self._server)
        return False

    async def _images(self, path: str, request: ImageRequest, body: dict[str, Any]) -> EngineResult:
        """Request all images in one call; if the server returns fewer, request the rest one by one.

        With `n_iter` the server makes them one after the other in the memory of a single image, so no `n` can exhaust a
        graphics card. Operators with enough memory set `batch_size` in the parameters. A server that does not support
        `n_iter` returns one image.
        """
        warnings = self._apply_params(body, request)
        count = min(_count(body), MAX_IMAGES)
        if _count(body) > MAX_IMAGES:
            warnings.append(f"AUTOMATIC1111_PARAMS make {_count(body)} images: the first {MAX_IMAGES} are kept")
        server = self._server.with_operation_deadline()
        first = await self._call(server, path, body, count)
        rest = []
        for number in range(len(first.images), count):
            # The same seed would give the same image. Within one call the server increments it itself.
            seed = body["seed"] + number if isinstance(body["seed"], int) and body["seed"] >= 0 else body["seed"]
            rest.append(self._call(server, path, {**body, "batch_size": 1, "n_iter": 1, "seed": seed}, 1))
        result = await gather_results(rest, done=first)
        checkpoint = _checkpoint(body)
        result.sent = SentRequest(
            model=checkpoint if isinstance(checkpoint, str) else None,
            size=_by_form_field(body).get("size"),
            quality=request.quality,
        )
        warnings += size_warnings([image.data for image in result.images], body)
        result.warnings[:0] = [*warnings, *unsupported_warnings(request, _NAME, *_UNSUPPORTED)]
        return result

    async def _call(self, server: EngineServer, path: str, body: dict[str, Any], count: int) -> EngineResult:
        response = await self._post_exclusively(server, path, body)
        images = response.get("images") if isinstance(response, dict) else None
        if not isinstance(images, list) or not images:
            reason = server.message(response) or "no explanation"
            raise EngineUnavailable(f"{_NAME} answered without images: {reason}", may_have_cost=True)
        info = parse_info(response.get("info"))
        start = index_of_first(info, len(images), count)
        seeds = info["all_seeds"] if isinstance(info.get("all_seeds"), list) else [info.get("seed")]
        kept = images[start : start + count]
        padded = [*seeds, *[None] * len(kept)]
        result = await gather_results(_image(*pair) for pair in zip(kept, padded, strict=False))
        # Fewer of them may be a grid, or the maps that extensions add.
        if len(images) > MAX_IMAGES + 1:
            result.warnings.append(f"{_NAME} returned {len(images)} images, and all but {len(kept)} were left out")
        result.warnings += checkpoint_warnings(_checkpoint(body), info)
        return result

    async def _post_exclusively(self, server: EngineServer, path: str, body: dict[str, Any]) -> Any:
        """Send one call at a time. If it is canceled or its response is lost, interrupt the server before leaving."""
        # One at a time, since a call that waits inside the server cannot be stopped there.
        async with self._call_lock:
            try:
                return await server.json("POST", path, json=body)
            except asyncio.CancelledError:
                await interrupt_and_wait(self._server)
                raise
            except EngineError as error:
                if error.outstanding:
                    await interrupt_and_wait(self._server)
                raise

    def _apply_params(self, body: dict[str, Any], request: ImageRequest) -> list[str]:
        """Apply the operator's parameters to `body`; return warnings, by form field, about what they change."""
        before = _by_form_field(body)
        params = dict(self._params)
        if "batch_size" in params or "n_iter" in params:
            body |= {"batch_size": 1, "n_iter": 1}
        if isinstance(params.get("override_settings"), dict):
            params["override_settings"] = {**body.get("override_settings", {}), **params["override_settings"]}
        warnings = overlay(body, params, request, {})
        if "override_settings" in body:
            body.setdefault("override_settings_restore_afterwards", True)
        return warnings + overlay(before, _by_form_field(body), request, {})


def _fields(request: ImageRequest, size: Size | None) -> dict[str, Any]:
    """Return the request's fields. None of them is null: stable-diffusion.cpp answers that with a 500."""
    fields: dict[str, Any] = {"prompt": request.prompt, "batch_size": 1, "n_iter": request.n}
    # Always sent: not every compatible server has a random seed as its default.
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


def _by_form_field(body: dict[str, Any]) -> dict[str, Any]:
    size = f"{body['width']}x{body['height']}" if "width" in body and "height" in body else None
    fields = {"n": _count(body), "size": size, "model": _checkpoint(body)}
    return {name: value for name, value in fields.items() if value is not None}


def _count(body: dict[str, Any]) -> int:
    factors = [body["batch_size"], body["n_iter"]]
    return max(1, factors[0] * factors[1]) if all(isinstance(factor, int) for factor in factors) else 1


def _checkpoint(body: dict[str, Any]) -> Any:
    settings = body.get("override_settings")
    return settings.get("sd_model_checkpoint") if isinstance(settings, dict) else None


def _pair(auth: dict[str, Any] | str | None) -> str:
    """Return the user name and the password as `username:password`; empty without them."""
    return f"{auth['username']}:{auth['password']}" if isinstance(auth, dict) else auth or ""


def _without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_nulls(value) if isinstance(value, dict) else value
        for name, value in fields.items()
        if value is not None
    }


async def _image(text: object, seed: object) -> EngineResult:
    data = decode_base64(text, _NAME)
    if not isinstance(seed, int) or seed < 0:
        match = _SEED_IN_PNG.search(data[:65_536])
        seed = int(match[1]) if match else None
    return EngineResult([EngineImage(data, seed=seed)])
