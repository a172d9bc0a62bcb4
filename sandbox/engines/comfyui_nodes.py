"""The node types of the ComfyUI sandbox: their inputs, outputs and functions.

Inputs are declared as in ComfyUI's `/object_info`. Values passed between nodes: a latent is an image not yet painted,
an image is a list of Pillow images, a mask is a gray image whose white pixels are edited.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image, ImageChops

from sandbox.engines.painter import paint

Spec = list[Any]
"""`["INT", {…}]`, `[[choices], {…}]`, or `["IMAGE", {}]` for a link."""

CHECKPOINTS = ["dreamshaper_8.safetensors", "sd_xl_base_1.0.safetensors"]
DIFFUSION_MODELS = ["flux1-dev.safetensors", "flux1-schnell.safetensors"]


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


@dataclass(frozen=True)
class NodeClass:
    """A node type. `run` takes the inputs by name and returns one value for each output; None for output nodes."""

    inputs: dict[str, Spec]
    outputs: tuple[str, ...]
    run: Callable[..., tuple[Any, ...]] | None = None
    optional: dict[str, Spec] = field(default_factory=dict)

    def info(self, name: str) -> dict[str, Any]:
        """Return the node type as in `/object_info`."""
        groups = {"required": self.inputs} | ({"optional": self.optional} if self.optional else {})
        return {
            "input": groups,
            "input_order": {group: list(inputs) for group, inputs in groups.items()},
            "output": list(self.outputs),
            "output_is_list": [False] * len(self.outputs),
            "output_name": list(self.outputs),
            "name": name,
            "display_name": name,
            "description": "",
            "python_module": "nodes",
            "category": "sandbox",
            "output_node": self.run is None,
        }


def _number(kind: str, default: float, low: float, high: float) -> Spec:
    return [kind, {"default": default, "min": low, "max": high}]


def _link(kind: str) -> Spec:
    return [kind, {}]


def _same(*values: Any) -> Callable[..., tuple[Any, ...]]:
    """Return a loader whose outputs stand for those of a real one."""
    return lambda **_inputs: values


def _sample(latent: Latent, positive: Conditioning, seed: int) -> tuple[Latent]:
    return (replace(latent, prompt=positive.text, seed=seed, references=positive.references),)


def _decode(samples: Latent, **_inputs: Any) -> tuple[list[Image.Image]]:
    backgrounds = [] if samples.background is None else [samples.background]
    inputs = [_png(image) for image in [*backgrounds, *samples.references]]
    mask = None
    if samples.mask is not None:
        alpha = ImageChops.invert(samples.mask)
        mask = _png(Image.merge("RGBA", (alpha, alpha, alpha, alpha)))
    painted = [
        paint(samples.prompt, samples.width, samples.height, seed=samples.seed + number, inputs=inputs, mask=mask)
        for number in range(samples.batch)
    ]
    return ([Image.open(io.BytesIO(data)) for data in painted],)


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _load(image: bytes) -> tuple[list[Image.Image], Image.Image]:
    opened = Image.open(io.BytesIO(image))
    alpha = opened.convert("RGBA").getchannel("A")
    return [opened.convert("RGB")], ImageChops.invert(alpha)


def _load_mask(image: bytes, channel: str) -> tuple[Image.Image]:
    band = Image.open(io.BytesIO(image)).convert("RGBA").getchannel(channel[0].upper())
    return (ImageChops.invert(band) if channel == "alpha" else band,)


def _scale(image: list[Image.Image], width: int, height: int, **_inputs: Any) -> tuple[list[Image.Image]]:
    if not width and not height:
        return (image,)
    return ([frame.resize((width or frame.width, height or frame.height)) for frame in image],)


def _encode(pixels: list[Image.Image], **_inputs: Any) -> tuple[Latent]:
    first = pixels[0]
    return (Latent(first.width, first.height, len(pixels), first),)


def _refer(conditioning: Conditioning, latent: Latent | None = None) -> tuple[Conditioning]:
    background = latent.background if latent else None
    more = () if background is None or background in conditioning.references else (background,)
    return (replace(conditioning, references=(*conditioning.references, *more)),)


def _fail(message: str, **_inputs: Any) -> tuple[Any, ...]:
    raise RuntimeError(message)


def _empty(width: int, height: int, batch_size: int) -> tuple[Latent]:
    return (Latent(width, height, batch_size),)


def _empty_image(width: int, height: int, batch_size: int, color: int) -> tuple[list[Image.Image]]:
    rgb = (color >> 16 & 255, color >> 8 & 255, color & 255)
    return ([Image.new("RGB", (width, height), rgb)] * batch_size,)


_SEED = _number("INT", 0, 0, 2**64 - 1)
_BATCH = _number("INT", 1, 1, 4096)
_STEPS = _number("INT", 20, 1, 10_000)
_SAMPLERS: Spec = [["euler", "euler_ancestral", "dpmpp_2m", "ddim"], {}]
_SCHEDULERS: Spec = [["simple", "normal", "karras", "beta"], {}]
_TEXT: Spec = ["STRING", {"multiline": True}]
_UPSCALE: Spec = [["nearest-exact", "bilinear", "area", "bicubic", "lanczos"], {}]
_LATENT_SIZE = {
    "width": _number("INT", 512, 16, 16_384),
    "height": _number("INT", 512, 16, 16_384),
    "batch_size": _BATCH,
}
_ENCODERS = ["clip_l.safetensors", "t5xxl_fp16.safetensors", "t5xxl_fp8_e4m3fn.safetensors"]
_FILE: Spec = [[], {"image_upload": True}]

NODES: dict[str, NodeClass] = {
    "CheckpointLoaderSimple": NodeClass(
        {"ckpt_name": [CHECKPOINTS, {}]}, ("MODEL", "CLIP", "VAE"), _same("model", "clip", "vae")
    ),
    "UNETLoader": NodeClass(
        {"unet_name": [DIFFUSION_MODELS, {}], "weight_dtype": [["default", "fp8_e4m3fn"], {}]},
        ("MODEL",),
        _same("model"),
    ),
    "CLIPLoader": NodeClass(
        {"clip_name": [_ENCODERS, {}], "type": [["stable_diffusion", "sd3", "flux"], {}]}, ("CLIP",), _same("clip")
    ),
    "DualCLIPLoader": NodeClass(
        {"clip_name1": [_ENCODERS, {}], "clip_name2": [_ENCODERS, {}], "type": [["sdxl", "sd3", "flux"], {}]},
        ("CLIP",),
        _same("clip"),
    ),
    "VAELoader": NodeClass({"vae_name": [["ae.safetensors"], {}]}, ("VAE",), _same("vae")),
    "CLIPTextEncode": NodeClass(
        {"text": _TEXT, "clip": _link("CLIP")}, ("CONDITIONING",), lambda text, **_inputs: (Conditioning(text),)
    ),
    "FluxGuidance": NodeClass(
        {"conditioning": _link("CONDITIONING"), "guidance": _number("FLOAT", 3.5, 0, 100)},
        ("CONDITIONING",),
        lambda conditioning, **_inputs: (conditioning,),
    ),
    "ConditioningZeroOut": NodeClass(
        {"conditioning": _link("CONDITIONING")}, ("CONDITIONING",), lambda **_inputs: (Conditioning(""),)
    ),
    "ReferenceLatent": NodeClass(
        {"conditioning": _link("CONDITIONING")}, ("CONDITIONING",), _refer, {"latent": _link("LATENT")}
    ),
    "EmptyLatentImage": NodeClass(_LATENT_SIZE, ("LATENT",), _empty),
    "EmptySD3LatentImage": NodeClass(_LATENT_SIZE, ("LATENT",), _empty),
    "RepeatLatentBatch": NodeClass(
        {"samples": _link("LATENT"), "amount": _number("INT", 1, 1, 64)},
        ("LATENT",),
        lambda samples, amount: (replace(samples, batch=samples.batch * amount),),
    ),
    "SetLatentNoiseMask": NodeClass(
        {"samples": _link("LATENT"), "mask": _link("MASK")},
        ("LATENT",),
        lambda samples, mask: (replace(samples, mask=mask),),
    ),
    "KSampler": NodeClass(
        {
            "model": _link("MODEL"),
            "seed": _SEED,
            "steps": _STEPS,
            "cfg": _number("FLOAT", 8.0, 0, 100),
            "sampler_name": _SAMPLERS,
            "scheduler": _SCHEDULERS,
            "positive": _link("CONDITIONING"),
            "negative": _link("CONDITIONING"),
            "latent_image": _link("LATENT"),
            "denoise": _number("FLOAT", 1.0, 0, 1),
        },
        ("LATENT",),
        lambda latent_image, positive, seed, **_inputs: _sample(latent_image, positive, seed),
    ),
    "RandomNoise": NodeClass({"noise_seed": _SEED}, ("NOISE",), lambda noise_seed: (noise_seed,)),
    "KSamplerSelect": NodeClass({"sampler_name": _SAMPLERS}, ("SAMPLER",), _same("sampler")),
    "BasicScheduler": NodeClass(
        {
            "model": _link("MODEL"),
            "scheduler": _SCHEDULERS,
            "steps": _STEPS,
            "denoise": _number("FLOAT", 1.0, 0, 1),
        },
        ("SIGMAS",),
        _same("sigmas"),
    ),
    "BasicGuider": NodeClass(
        {"model": _link("MODEL"), "conditioning": _link("CONDITIONING")},
        ("GUIDER",),
        lambda conditioning, **_inputs: (conditioning,),
    ),
    "SamplerCustomAdvanced": NodeClass(
        {
            "noise": _link("NOISE"),
            "guider": _link("GUIDER"),
            "sampler": _link("SAMPLER"),
            "sigmas": _link("SIGMAS"),
            "latent_image": _link("LATENT"),
        },
        ("LATENT", "LATENT"),
        lambda latent_image, guider, noise, **_inputs: _sample(latent_image, guider, noise) * 2,
    ),
    "VAEDecode": NodeClass({"samples": _link("LATENT"), "vae": _link("VAE")}, ("IMAGE",), _decode),
    "VAEEncode": NodeClass(
        {"pixels": _link("IMAGE"), "vae": _link("VAE")},
        ("LATENT",),
        _encode,
    ),
    "LoadImage": NodeClass({"image": _FILE}, ("IMAGE", "MASK"), _load),
    "LoadImageMask": NodeClass(
        {"image": _FILE, "channel": [["alpha", "red", "green", "blue"], {}]}, ("MASK",), _load_mask
    ),
    "EmptyImage": NodeClass(
        {
            "width": _number("INT", 512, 1, 16_384),
            "height": _number("INT", 512, 1, 16_384),
            "batch_size": _BATCH,
            "color": _number("INT", 0, 0, 0xFFFFFF),
        },
        ("IMAGE",),
        _empty_image,
    ),
    "ImageScale": NodeClass(
        {
            "image": _link("IMAGE"),
            "upscale_method": _UPSCALE,
            "width": _number("INT", 512, 0, 16_384),
            "height": _number("INT", 512, 0, 16_384),
            "crop": [["disabled", "center"], {}],
        },
        ("IMAGE",),
        _scale,
    ),
    "ImageInvert": NodeClass(
        {"image": _link("IMAGE")},
        ("IMAGE",),
        lambda image: ([ImageChops.invert(frame.convert("RGB")) for frame in image],),
    ),
    "SandboxFail": NodeClass({"image": _link("IMAGE"), "message": ["STRING", {}]}, ("IMAGE",), _fail),
    "SaveImage": NodeClass({"images": _link("IMAGE"), "filename_prefix": ["STRING", {"default": "ComfyUI"}]}, ()),
    "SaveAnimatedWEBP": NodeClass(
        {
            "images": _link("IMAGE"),
            "filename_prefix": ["STRING", {"default": "ComfyUI"}],
            "fps": _number("FLOAT", 6.0, 0.01, 1000.0),
            "lossless": ["BOOLEAN", {"default": True}],
            "quality": _number("INT", 80, 0, 100),
            "method": [["default", "fastest", "slowest"], {}],
        },
        (),
    ),
    "SaveWEBM": NodeClass(
        {
            "images": _link("IMAGE"),
            "filename_prefix": ["STRING", {"default": "ComfyUI"}],
            "codec": [["vp9", "av1"], {}],
            "fps": _number("FLOAT", 24.0, 0.01, 1000.0),
            "crf": _number("FLOAT", 32.0, 0, 63.0),
        },
        (),
    ),
    "SaveImageAdvanced": NodeClass(
        {
            "images": _link("IMAGE"),
            "filename_prefix": ["STRING", {"default": "ComfyUI"}],
            "format": [["png", "exr"], {}],
        },
        (),
    ),
    "PreviewImage": NodeClass({"images": _link("IMAGE")}, ()),
}
"""All node types by name. `SandboxFail` raises its message; the others are ComfyUI's."""

FILE_INPUTS = {"LoadImage": "image", "LoadImageMask": "image"}
"""Node types with an input that names an uploaded file, and that input."""
