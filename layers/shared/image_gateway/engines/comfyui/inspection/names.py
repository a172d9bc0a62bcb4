"""What the name of an input says about the value that it takes. Classes of extensions follow the names of ComfyUI."""

import re
from typing import Literal

Kind = Literal["conditioning", "latent", "image", "model", "text"]
Role = Literal["positive", "negative"]

_PATTERNS: dict[Kind, re.Pattern[str]] = {
    "conditioning": re.compile(r"(^|_)(positive|negative|pos|neg|cond|conditioning)_?\d*(_|$)"),
    "latent": re.compile(r"latent|(^|_)samples"),
    "image": re.compile(r"image|pixels|frames|^img|^video$|^(destination|source)$"),
    "model": re.compile(r"(^|_)(model|unet)_?\d*(_|$)"),
    "text": re.compile(
        r"text|prompt|string|positive|negative|caption|wildcard|tags|lyrics|(^|_)str\d*$|^value$|^any|^input"
        r"|prefix|suffix|^part|^[a-d]$|content"
    ),
}
_OTHER: dict[Kind, re.Pattern[str]] = {
    "conditioning": re.compile(r"style|image|control_net|text$|empty"),
    "latent": re.compile(r"model|noise_mask"),
    "image": re.compile(r"model|vision|mask|output|proj|(^|_)ref(_|erence)|source_|face"),
    "model": re.compile(
        r"upscale|vision|control|style|vae|clip|bbox|segm|sam|caption|llm|patch|audio|face|pulid|insight|ipadapter|name"
    ),
    "text": re.compile(
        r"delim|separat|mode|style|name|type|format|language|filename|model|action|index|regex|find|system"
        r"|device|embeds|encoding|path|mask|image|width|height|normali[sz]ation|interpretation|weight"
    ),
}
_HELPERS = re.compile(r"(^|_)(pipe|ctx|context|tuple|guider|config|settings|conds)(_|\d|$)|_embeds$")
_PASSING = re.compile(r"^$|^\*$|any|^value|^input|^source$|^in$|^data$|^int$|^number$")
_POSITIVE, _NEGATIVE = re.compile(r"(^|_)(positive|pos)"), re.compile(r"(^|_)(negative|neg)")

ENCODER_TEXTS = frozenset(
    {"text", "prompt", "text_g", "text_l", "clip_l", "clip_g", "t5xxl", "llama", "bert", "mt5xl", "user_prompt"}
)
"""Inputs of text encoders that take the prompt. A node with several of them encodes one prompt in several ways."""

MODEL_NAMES = (
    *("ckpt_name", "unet_name", "base_ckpt_name", "gguf_name", "model_name", "model_path", "checkpoint"),
    *("checkpoint_name", "diffusion_model", "diffusion_name", "unet", "base_model", "model"),
)
"""Inputs of loaders that name the model, the usual ones first."""

NUMBER_NAMES: dict[str, tuple[str, ...]] = {
    "seed": ("seed", "noise_seed"),
    "steps": ("steps",),
    "width": ("width", "empty_latent_width"),
    "height": ("height", "empty_latent_height"),
    "n": ("batch_size", "amount"),
}
"""Inputs that take a number of each type."""


def carries(name: str, kind: Kind) -> bool:
    """Return whether an input of this name takes a value of this kind."""
    name = name.lower()
    return bool(_PATTERNS[kind].search(name)) and not _OTHER[kind].search(name)


def passes_on(name: str) -> bool:
    """Return whether the only input of a node may be what the node passes on: the name says nothing of the value."""
    return bool(_PASSING.search(name.lower()))


def carries_all(name: str) -> bool:
    """Return whether an input takes many values as one: a pipe or context of an extension, a guider, both prompts."""
    return bool(_HELPERS.search(name.lower()))


def role_of(name: str) -> Role | None:
    """Return whether an input's name says that it is for the positive or the negative prompt."""
    name = name.lower()
    if _NEGATIVE.search(name):
        return "negative"
    return "positive" if _POSITIVE.search(name) else None


def of_role(names: list[str], role: Role) -> list[str]:
    """Leave out the names for the other prompt. A name without a role is for the positive one if there are others."""
    negative = [name for name in names if role_of(name) == "negative"]
    if role == "negative":
        return negative or [name for name in names if role_of(name) is None] or names
    return [name for name in names if name not in negative] or names
