"""The node types of the ComfyUI sandbox: their inputs and outputs, declared as in ComfyUI's `/object_info`."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import ImageChops

from sandbox.engines.comfyui_images import (
    Conditioning,
    decode,
    empty_image,
    empty_latent,
    encode,
    fail,
    load,
    load_mask,
    refer,
    sample,
    scale,
)

Spec = list[Any]
"""`["INT", {…}]`, `[[choices], {…}]`, or `["IMAGE", {}]` for a link."""

CHECKPOINTS = ["dreamshaper_8.safetensors", "sd_xl_base_1.0.safetensors"]
DIFFUSION_MODELS = ["flux1-dev.safetensors", "flux1-schnell.safetensors"]


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


def number(kind: str, default: float, low: float, high: float) -> Spec:
    """Return the declaration of an input that takes a number; `kind` is INT or FLOAT."""
    return [kind, {"default": default, "min": low, "max": high}]


def link(kind: str) -> Spec:
    """Return the declaration of an input that is linked."""
    return [kind, {}]


def same(*values: Any) -> Callable[..., tuple[Any, ...]]:
    """Return a loader whose outputs stand for those of a real one."""
    return lambda **_inputs: values


SEED = number("INT", 0, 0, 2**64 - 1)
_BATCH = number("INT", 1, 1, 4096)
STEPS = number("INT", 20, 1, 10_000)
SAMPLERS: Spec = [["euler", "euler_ancestral", "dpmpp_2m", "ddim"], {}]
SCHEDULERS: Spec = [["simple", "normal", "karras", "beta"], {}]
TEXT: Spec = ["STRING", {"multiline": True}]
UPSCALE: Spec = [["nearest-exact", "bilinear", "area", "bicubic", "lanczos"], {}]
LATENT_SIZE = {
    "width": number("INT", 512, 16, 16_384),
    "height": number("INT", 512, 16, 16_384),
    "batch_size": _BATCH,
}
_ENCODERS = ["clip_l.safetensors", "t5xxl_fp16.safetensors", "t5xxl_fp8_e4m3fn.safetensors"]
_FILE: Spec = [[], {"image_upload": True}]

BASIC_NODES: dict[str, NodeClass] = {
    "CheckpointLoaderSimple": NodeClass(
        {"ckpt_name": [CHECKPOINTS, {}]}, ("MODEL", "CLIP", "VAE"), same("model", "clip", "vae")
    ),
    "UNETLoader": NodeClass(
        {"unet_name": [DIFFUSION_MODELS, {}], "weight_dtype": [["default", "fp8_e4m3fn"], {}]},
        ("MODEL",),
        same("model"),
    ),
    "CLIPLoader": NodeClass(
        {"clip_name": [_ENCODERS, {}], "type": [["stable_diffusion", "sd3", "flux"], {}]}, ("CLIP",), same("clip")
    ),
    "DualCLIPLoader": NodeClass(
        {"clip_name1": [_ENCODERS, {}], "clip_name2": [_ENCODERS, {}], "type": [["sdxl", "sd3", "flux"], {}]},
        ("CLIP",),
        same("clip"),
    ),
    "VAELoader": NodeClass({"vae_name": [["ae.safetensors"], {}]}, ("VAE",), same("vae")),
    "CLIPTextEncode": NodeClass(
        {"text": TEXT, "clip": link("CLIP")}, ("CONDITIONING",), lambda text, **_inputs: (Conditioning(text),)
    ),
    "FluxGuidance": NodeClass(
        {"conditioning": link("CONDITIONING"), "guidance": number("FLOAT", 3.5, 0, 100)},
        ("CONDITIONING",),
        lambda conditioning, **_inputs: (conditioning,),
    ),
    "ConditioningZeroOut": NodeClass(
        {"conditioning": link("CONDITIONING")}, ("CONDITIONING",), lambda **_inputs: (Conditioning(""),)
    ),
    "ReferenceLatent": NodeClass(
        {"conditioning": link("CONDITIONING")}, ("CONDITIONING",), refer, {"latent": link("LATENT")}
    ),
    "EmptyLatentImage": NodeClass(LATENT_SIZE, ("LATENT",), empty_latent),
    "EmptySD3LatentImage": NodeClass(LATENT_SIZE, ("LATENT",), empty_latent),
    "RepeatLatentBatch": NodeClass(
        {"samples": link("LATENT"), "amount": number("INT", 1, 1, 64)},
        ("LATENT",),
        lambda samples, amount: (replace(samples, batch=samples.batch * amount),),
    ),
    "SetLatentNoiseMask": NodeClass(
        {"samples": link("LATENT"), "mask": link("MASK")},
        ("LATENT",),
        lambda samples, mask: (replace(samples, mask=mask),),
    ),
    "KSampler": NodeClass(
        {
            "model": link("MODEL"),
            "seed": SEED,
            "steps": STEPS,
            "cfg": number("FLOAT", 8.0, 0, 100),
            "sampler_name": SAMPLERS,
            "scheduler": SCHEDULERS,
            "positive": link("CONDITIONING"),
            "negative": link("CONDITIONING"),
            "latent_image": link("LATENT"),
            "denoise": number("FLOAT", 1.0, 0, 1),
        },
        ("LATENT",),
        lambda latent_image, positive, seed, **_inputs: sample(latent_image, positive, seed),
    ),
    "RandomNoise": NodeClass({"noise_seed": SEED}, ("NOISE",), lambda noise_seed: (noise_seed,)),
    "KSamplerSelect": NodeClass({"sampler_name": SAMPLERS}, ("SAMPLER",), same("sampler")),
    "BasicScheduler": NodeClass(
        {
            "model": link("MODEL"),
            "scheduler": SCHEDULERS,
            "steps": STEPS,
            "denoise": number("FLOAT", 1.0, 0, 1),
        },
        ("SIGMAS",),
        same("sigmas"),
    ),
    "BasicGuider": NodeClass(
        {"model": link("MODEL"), "conditioning": link("CONDITIONING")},
        ("GUIDER",),
        lambda conditioning, **_inputs: (conditioning,),
    ),
    "SamplerCustomAdvanced": NodeClass(
        {
            "noise": link("NOISE"),
            "guider": link("GUIDER"),
            "sampler": link("SAMPLER"),
            "sigmas": link("SIGMAS"),
            "latent_image": link("LATENT"),
        },
        ("LATENT", "LATENT"),
        lambda latent_image, guider, noise, **_inputs: sample(latent_image, guider, noise) * 2,
    ),
    "VAEDecode": NodeClass({"samples": link("LATENT"), "vae": link("VAE")}, ("IMAGE",), decode),
    "VAEEncode": NodeClass(
        {"pixels": link("IMAGE"), "vae": link("VAE")},
        ("LATENT",),
        encode,
    ),
    "LoadImage": NodeClass({"image": _FILE}, ("IMAGE", "MASK"), load),
    "LoadImageMask": NodeClass(
        {"image": _FILE, "channel": [["alpha", "red", "green", "blue"], {}]}, ("MASK",), load_mask
    ),
    "EmptyImage": NodeClass(
        {
            "width": number("INT", 512, 1, 16_384),
            "height": number("INT", 512, 1, 16_384),
            "batch_size": _BATCH,
            "color": number("INT", 0, 0, 0xFFFFFF),
        },
        ("IMAGE",),
        empty_image,
    ),
    "ImageScale": NodeClass(
        {
            "image": link("IMAGE"),
            "upscale_method": UPSCALE,
            "width": number("INT", 512, 0, 16_384),
            "height": number("INT", 512, 0, 16_384),
            "crop": [["disabled", "center"], {}],
        },
        ("IMAGE",),
        scale,
    ),
    "ImageInvert": NodeClass(
        {"image": link("IMAGE")},
        ("IMAGE",),
        lambda image: ([ImageChops.invert(frame.convert("RGB")) for frame in image],),
    ),
    "SandboxFail": NodeClass({"image": link("IMAGE"), "message": ["STRING", {}]}, ("IMAGE",), fail),
    "SaveImage": NodeClass({"images": link("IMAGE"), "filename_prefix": ["STRING", {"default": "ComfyUI"}]}, ()),
    "SaveAnimatedWEBP": NodeClass(
        {
            "images": link("IMAGE"),
            "filename_prefix": ["STRING", {"default": "ComfyUI"}],
            "fps": number("FLOAT", 6.0, 0.01, 1000.0),
            "lossless": ["BOOLEAN", {"default": True}],
            "quality": number("INT", 80, 0, 100),
            "method": [["default", "fastest", "slowest"], {}],
        },
        (),
    ),
    "SaveWEBM": NodeClass(
        {
            "images": link("IMAGE"),
            "filename_prefix": ["STRING", {"default": "ComfyUI"}],
            "codec": [["vp9", "av1"], {}],
            "fps": number("FLOAT", 24.0, 0.01, 1000.0),
            "crf": number("FLOAT", 32.0, 0, 63.0),
        },
        (),
    ),
    "SaveImageAdvanced": NodeClass(
        {
            "images": link("IMAGE"),
            "filename_prefix": ["STRING", {"default": "ComfyUI"}],
            "format": [["png", "exr"], {}],
        },
        (),
    ),
    "PreviewImage": NodeClass({"images": link("IMAGE")}, ()),
}
"""Node types by name. `SandboxFail` raises its message; the others are ComfyUI's."""

FILE_INPUTS = {"LoadImage": "image", "LoadImageMask": "image"}
"""Node types with an input that names an uploaded file, and that input."""
