"""What the nodes of the ComfyUI sandbox do.

A latent is an image that is not painted yet, an image is a list of Pillow images, and a mask is a gray image whose
white pixels are edited.
"""

import io
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image, ImageChops

from sandbox.engines.painter import paint


@dataclass(frozen=True)
class Latent:
    """An image that is not painted yet. `background` is the image to paint on, `mask` where to paint."""

    width: int
    height: int
    batch: int = 1
    background: Image.Image | None = None
    mask: Image.Image | None = None
    prompt: str = ""
    seed: int = 0
    references: tuple[Image.Image, ...] = ()


@dataclass(frozen=True)
class Conditioning:
    """A prompt and its reference images."""

    text: str
    references: tuple[Image.Image, ...] = ()


def sample(latent: Latent, positive: Conditioning, seed: int) -> tuple[Latent]:
    """Give a latent the prompt, the references and the seed with which it will be painted."""
    return (replace(latent, prompt=positive.text, seed=seed, references=positive.references),)


def decode(samples: Latent, **_inputs: Any) -> tuple[list[Image.Image]]:
    """Paint the images of a latent."""
    backgrounds = [] if samples.background is None else [samples.background]
    inputs = [_png(image) for image in [*backgrounds, *samples.references]]
    mask = None
    if samples.mask is not None:
        alpha = ImageChops.invert(samples.mask)
        mask = _png(Image.merge("RGBA", (alpha, alpha, alpha, alpha)))
    painted = [
        paint(samples.prompt, samples.width, samples.height, seed=samples.seed + place, inputs=inputs, mask=mask)
        for place in range(samples.batch)
    ]
    return ([Image.open(io.BytesIO(data)) for data in painted],)


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def load(image: bytes) -> tuple[list[Image.Image], Image.Image]:
    """Return an uploaded image, and the mask that its alpha channel is."""
    opened = Image.open(io.BytesIO(image))
    alpha = opened.convert("RGBA").getchannel("A")
    return [opened.convert("RGB")], ImageChops.invert(alpha)


def load_mask(image: bytes, channel: str) -> tuple[Image.Image]:
    """Return a channel of an uploaded image as a mask."""
    band = Image.open(io.BytesIO(image)).convert("RGBA").getchannel(channel[0].upper())
    return (ImageChops.invert(band) if channel == "alpha" else band,)


def scale(image: list[Image.Image], width: int, height: int, **_inputs: Any) -> tuple[list[Image.Image]]:
    """Return an image in another size; a side of zero stays as it is."""
    if not width and not height:
        return (image,)
    return ([frame.resize((width or frame.width, height or frame.height)) for frame in image],)


def encode(pixels: list[Image.Image], **_inputs: Any) -> tuple[Latent]:
    """Return a latent that is painted on an image."""
    first = pixels[0]
    return (Latent(first.width, first.height, len(pixels), first),)


def refer(conditioning: Conditioning, latent: Latent | None = None) -> tuple[Conditioning]:
    """Return a prompt with one more reference image."""
    background = latent.background if latent else None
    more = () if background is None or background in conditioning.references else (background,)
    return (replace(conditioning, references=(*conditioning.references, *more)),)


def fail(message: str, **_inputs: Any) -> tuple[Any, ...]:
    """Fail with a message."""
    raise RuntimeError(message)


def empty_latent(width: int, height: int, batch_size: int) -> tuple[Latent]:
    """Return a latent of a size."""
    return (Latent(width, height, batch_size),)


def empty_image(width: int, height: int, batch_size: int, color: int) -> tuple[list[Image.Image]]:
    """Return images of one color."""
    rgb = (color >> 16 & 255, color >> 8 & 255, color & 255)
    return ([Image.new("RGB", (width, height), rgb)] * batch_size,)
