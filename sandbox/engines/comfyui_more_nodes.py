"""Further node types of the ComfyUI sandbox, so that workflows of many kinds run there.

Loaders and settings of models do nothing here. Sizes, texts, masks and images are passed on as by ComfyUI.
"""

from dataclasses import replace
from typing import Any

from PIL import Image, ImageChops

from sandbox.engines.comfyui_images import Conditioning, Latent, decode, empty_latent, encode, sample
from sandbox.engines.comfyui_nodes import (
    BASIC_NODES,
    LATENT_SIZE,
    SAMPLERS,
    SCHEDULERS,
    SEED,
    STEPS,
    TEXT,
    UPSCALE,
    NodeClass,
    link,
    number,
    same,
)

_MODEL, _CLIP, _CONDITIONING, _IMAGE, _LATENT, _MASK = map(
    link, ("MODEL", "CLIP", "CONDITIONING", "IMAGE", "LATENT", "MASK")
)
_ANY_NAME: list[Any] = ["STRING", {}]
_STRENGTH = number("FLOAT", 1.0, -100, 100)


def _encode_texts(clip: Any, **texts: Any) -> tuple[Conditioning]:  # noqa: ARG001 - as the node's inputs are named
    return (Conditioning(next((text for text in texts.values() if isinstance(text, str) and text), "")),)


def _inpaint(positive: Any, negative: Any, pixels: Any, mask: Any, **_inputs: Any) -> tuple[Any, Any, Latent]:
    return positive, negative, replace(encode(pixels)[0], mask=mask)


def _to_mask(image: list[Image.Image], channel: str) -> tuple[Image.Image]:
    return (image[0].convert("RGBA").getchannel(channel[0].upper()),)


def _upscale(samples: Latent, width: int, height: int, **_inputs: Any) -> tuple[Latent]:
    return (replace(samples, width=width, height=height, background=None),)


def _join(string_a: str, string_b: str, delimiter: str) -> tuple[str]:
    return (f"{string_a}{delimiter}{string_b}",)


def _model_setting(**inputs: list[Any]) -> NodeClass:
    return NodeClass({"model": _MODEL, **inputs}, ("MODEL",), lambda model, **_inputs: (model,))


def _conditioning_setting(**inputs: list[Any]) -> NodeClass:
    return NodeClass(
        {"conditioning": _CONDITIONING, **inputs}, ("CONDITIONING",), lambda conditioning, **_inputs: (conditioning,)
    )


def _encoder(*texts: str, **inputs: list[Any]) -> NodeClass:
    return NodeClass({"clip": _CLIP, **dict.fromkeys(texts, TEXT), **inputs}, ("CONDITIONING",), _encode_texts)


def _value(kind: str, **options: Any) -> NodeClass:
    return NodeClass({"value": [kind, options]}, (kind,), lambda value: (value,))


_INTEGER = number("INT", 0, -(2**53), 2**53)
_SIZE = {name: number("INT", 1024, 0, 16_384) for name in ("width", "height")}

NODES: dict[str, NodeClass] = BASIC_NODES | {
    "LoraLoader": NodeClass(
        {
            "model": _MODEL,
            "clip": _CLIP,
            "lora_name": _ANY_NAME,
            "strength_model": _STRENGTH,
            "strength_clip": _STRENGTH,
        },
        ("MODEL", "CLIP"),
        same("model", "clip"),
    ),
    "LoraLoaderModelOnly": _model_setting(lora_name=_ANY_NAME, strength_model=_STRENGTH),
    "CLIPSetLastLayer": NodeClass(
        {"clip": _CLIP, "stop_at_clip_layer": number("INT", -1, -24, -1)}, ("CLIP",), same("clip")
    ),
    "TripleCLIPLoader": NodeClass(
        dict.fromkeys(("clip_name1", "clip_name2", "clip_name3"), _ANY_NAME), ("CLIP",), same("clip")
    ),
    "ModelSamplingFlux": _model_setting(max_shift=_STRENGTH, base_shift=_STRENGTH, **_SIZE),
    "ModelSamplingSD3": _model_setting(shift=_STRENGTH),
    "ModelSamplingAuraFlow": _model_setting(shift=_STRENGTH),
    "CFGNorm": _model_setting(strength=_STRENGTH),
    "CLIPTextEncodeFlux": _encoder("clip_l", "t5xxl", guidance=number("FLOAT", 3.5, 0, 100)),
    "CLIPTextEncodeSD3": _encoder("clip_l", "clip_g", "t5xxl", empty_padding=[["none", "empty_prompt"], {}]),
    "ConditioningCombine": NodeClass(
        {"conditioning_1": _CONDITIONING, "conditioning_2": _CONDITIONING},
        ("CONDITIONING",),
        lambda conditioning_1, **_inputs: (conditioning_1,),
    ),
    "ConditioningSetArea": _conditioning_setting(x=_INTEGER, y=_INTEGER, strength=_STRENGTH, **_SIZE),
    "ConditioningSetTimestepRange": _conditioning_setting(start=_STRENGTH, end=_STRENGTH),
    "InpaintModelConditioning": NodeClass(
        {
            "positive": _CONDITIONING,
            "negative": _CONDITIONING,
            "vae": link("VAE"),
            "pixels": _IMAGE,
            "mask": _MASK,
            "noise_mask": ["BOOLEAN", {"default": True}],
        },
        ("CONDITIONING", "CONDITIONING", "LATENT"),
        _inpaint,
    ),
    "VAEEncodeForInpaint": NodeClass(
        {"pixels": _IMAGE, "vae": link("VAE"), "mask": _MASK, "grow_mask_by": _INTEGER},
        ("LATENT",),
        lambda pixels, mask, **_inputs: (replace(encode(pixels)[0], mask=mask),),
    ),
    "GrowMask": NodeClass(
        {"mask": _MASK, "expand": _INTEGER, "tapered_corners": ["BOOLEAN", {}]},
        ("MASK",),
        lambda mask, **_inputs: (mask,),
    ),
    "ImageToMask": NodeClass(
        {"image": _IMAGE, "channel": [["red", "green", "blue", "alpha"], {}]}, ("MASK",), _to_mask
    ),
    "ImageCompositeMasked": NodeClass(
        {
            "destination": _IMAGE,
            "source": _IMAGE,
            "x": _INTEGER,
            "y": _INTEGER,
            "resize_source": ["BOOLEAN", {"default": False}],
        },
        ("IMAGE",),
        lambda source, **_inputs: (source,),
        {"mask": _MASK},
    ),
    "ControlNetLoader": NodeClass({"control_net_name": _ANY_NAME}, ("CONTROL_NET",), same("control_net")),
    "ControlNetApplyAdvanced": NodeClass(
        {
            "positive": _CONDITIONING,
            "negative": _CONDITIONING,
            "control_net": link("CONTROL_NET"),
            "image": _IMAGE,
            "strength": _STRENGTH,
            "start_percent": _STRENGTH,
            "end_percent": _STRENGTH,
        },
        ("CONDITIONING", "CONDITIONING"),
        lambda positive, negative, **_inputs: (positive, negative),
    ),
    "Canny": NodeClass(
        {"image": _IMAGE, "low_threshold": _STRENGTH, "high_threshold": _STRENGTH},
        ("IMAGE",),
        lambda image, **_inputs: ([ImageChops.invert(frame.convert("RGB")) for frame in image],),
    ),
    "KSamplerAdvanced": NodeClass(
        {
            "model": _MODEL,
            "add_noise": [["enable", "disable"], {}],
            "noise_seed": SEED,
            "steps": STEPS,
            "cfg": number("FLOAT", 8.0, 0, 100),
            "sampler_name": SAMPLERS,
            "scheduler": SCHEDULERS,
            "positive": _CONDITIONING,
            "negative": _CONDITIONING,
            "latent_image": _LATENT,
            "start_at_step": number("INT", 0, 0, 10_000),
            "end_at_step": number("INT", 10_000, 0, 10_000),
            "return_with_leftover_noise": [["disable", "enable"], {}],
        },
        ("LATENT",),
        lambda latent_image, positive, noise_seed, **_inputs: sample(latent_image, positive, noise_seed),
    ),
    "LatentUpscale": NodeClass(
        {"samples": _LATENT, "upscale_method": UPSCALE, "crop": [["disabled", "center"], {}], **_SIZE},
        ("LATENT",),
        _upscale,
    ),
    "EmptyFlux2LatentImage": NodeClass(LATENT_SIZE, ("LATENT",), empty_latent),
    "Flux2Scheduler": NodeClass({"steps": STEPS, **_SIZE}, ("SIGMAS",), same("sigmas")),
    "ImageScaleToTotalPixels": NodeClass(
        {"image": _IMAGE, "upscale_method": UPSCALE, "megapixels": _STRENGTH},
        ("IMAGE",),
        lambda image, **_inputs: (image,),
    ),
    "FluxKontextImageScale": NodeClass({"image": _IMAGE}, ("IMAGE",), lambda image: (image,)),
    "TextEncodeQwenImageEditPlus": NodeClass(
        {"clip": _CLIP, "prompt": TEXT},
        ("CONDITIONING",),
        lambda prompt, **_inputs: (Conditioning(prompt),),
        {"vae": link("VAE"), "image1": _IMAGE, "image2": _IMAGE, "image3": _IMAGE},
    ),
    "UpscaleModelLoader": NodeClass({"model_name": _ANY_NAME}, ("UPSCALE_MODEL",), same("upscale_model")),
    "ImageUpscaleWithModel": NodeClass(
        {"upscale_model": link("UPSCALE_MODEL"), "image": _IMAGE},
        ("IMAGE",),
        lambda image, **_inputs: ([frame.resize((frame.width * 2, frame.height * 2)) for frame in image],),
    ),
    "VAEDecodeTiled": NodeClass({"samples": _LATENT, "vae": link("VAE"), "tile_size": _INTEGER}, ("IMAGE",), decode),
    "PrimitiveInt": _value("INT", min=-(2**53), max=2**53),
    "PrimitiveString": _value("STRING"),
    "PrimitiveStringMultiline": _value("STRING", multiline=True),
    "StringConcatenate": NodeClass(
        {"string_a": TEXT, "string_b": TEXT, "delimiter": ["STRING", {}]}, ("STRING",), _join
    ),
}
"""All node types by name."""
