"""What will be sent to an engine, as far as that decides the price: the request after the operator's parameters.

Each engine's module with that knowledge is imported for its own requests only.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from image_gateway.engines.protocol import ImageRequest
from image_gateway.engines.result_limits import MAX_IMAGES
from image_gateway.jobs.engine_request import build_engine_request
from image_gateway.metering.prices import size_names
from image_gateway.models.fields import Size
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.routing.destination import Destination


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedRequest:
    """What decides the price of a request.

    Attributes:
        model: the model's name at the engine; empty for the engine's default.
        images: how many images are requested.
        pixels: their width and height; None if the engine chooses them.
        sizes: all names of their size; empty if the engine chooses it.
        quality: their quality, in lower case; None if the engine chooses it.
    """

    model: str
    images: int
    pixels: tuple[int, int] | None = None
    sizes: frozenset[str] = frozenset()
    quality: str | None = None


def expected_request(destination: Destination, form: CreateImageForm | EditImageForm) -> ExpectedRequest:
    """Return what will be sent to an engine. It may refuse that, and get something else afterwards."""
    request = build_engine_request(form, destination, job_id="")
    # Of a size class without a ratio, the input image's ratio is not known yet; the square one is the dearest.
    expected = _READERS[destination.engine](request, destination) if destination.engine in _READERS else _plain(request)
    size = expected.pop("size", None)
    quality = priced_quality(expected.pop("quality", request.quality))
    return ExpectedRequest(
        model=expected.pop("model", None) or destination.model or "",
        images=min(expected.pop("images", request.n), MAX_IMAGES),
        pixels=(size.width, size.height) if size else None,
        sizes=expected.pop("sizes", None) or (size_names(size.width, size.height) if size else frozenset()),
        quality=quality,
    )


def priced_quality(quality: Any) -> str | None:
    """Return a quality as price lists have it; None for `auto`, and for what is none."""
    text = quality.strip().lower() if isinstance(quality, str) else ""
    return None if text in ("", "auto") else text


def deployment_name(base_url: str) -> str:
    """Return the name of the Azure deployment that a base URL is; empty if it is none."""
    from image_gateway.engines.openai.dialects import DEPLOYMENT  # noqa: PLC0415 - for this engine only

    match = DEPLOYMENT.fullmatch(base_url)
    return unquote(match["name"]) if match else ""


def _plain(request: ImageRequest) -> dict[str, Any]:
    return {"size": request.size}


def _openai(request: ImageRequest, destination: Destination) -> dict[str, Any]:
    from image_gateway.engines.openai.request_body import count_of, options  # noqa: PLC0415 - for this engine only

    body: dict[str, Any] = {**options(request, {}), **(destination.config.IMAGES_OPENAI_API_PARAMS or {})}
    model = body.get("model")
    # The frames of an animation are made on one sheet, whose size is the model's choice.
    size = None if body.get("frame_count") else Size.find(body.get("size"))
    return {
        "model": model if isinstance(model, str) else deployment_name(destination.url),
        "images": count_of(body),
        "size": size,
        "quality": body.get("quality"),
    }


def _gemini(request: ImageRequest, destination: Destination) -> dict[str, Any]:
    from image_gateway.engines.gemini.model_features import features_of  # noqa: PLC0415 - for this engine only
    from image_gateway.engines.gemini.sizes import nearest_size  # noqa: PLC0415

    features = features_of((destination.model or "").removeprefix("models/"))
    nearest = nearest_size(request.size, features.ratios, features.sizes) if request.size else None
    # Without a size, Google's models make images of 1K.
    sizes = {nearest.image_size, str(nearest.pixels)} if nearest else {"1K"}
    return {
        "model": (destination.model or "").removeprefix("models/"),
        "sizes": frozenset(sizes),
        "size": nearest.pixels if nearest else None,
        "quality": None,
    }


def _automatic1111(request: ImageRequest, destination: Destination) -> dict[str, Any]:
    params = destination.config.AUTOMATIC1111_PARAMS or {}
    counts = {"batch_size": 1, "n_iter": 1, **params} if {"batch_size", "n_iter"} & params.keys() else {}
    factors = [counts.get("batch_size", 1), counts.get("n_iter", request.n)]
    size = request.size
    if isinstance(params.get("width"), int) and isinstance(params.get("height"), int):
        size = Size.find(f"{params['width']}x{params['height']}")
    images = factors[0] * factors[1] if all(isinstance(factor, int) for factor in factors) else 1
    return {"images": max(1, images), "size": size}


_READERS = {"openai": _openai, "gemini": _gemini, "automatic1111": _automatic1111}
