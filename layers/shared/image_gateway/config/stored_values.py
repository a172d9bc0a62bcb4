"""The stored values that this version can use. After a rollback, a newer version may have stored others.

What cannot be used is unset, and stays in the document until an update sets it: fields of a newer version, values that
do not validate, and long values whose object is lost or damaged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

from pydantic import ValidationError

from image_gateway.models.config import MASK, SECRETS, ImagesConfig
from image_gateway.models.fields import origin

_UNITS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # A key must not be sent to the default server instead of its own.
        **{url: tuple(secret for secret in SECRETS if SECRETS[secret] == url) for url in SECRETS.values()},
        # No other engine must be used, and paid, in place of the configured one.
        "IMAGE_GENERATION_ENGINE": ("ENABLE_IMAGE_GENERATION",),
        "IMAGE_EDIT_ENGINE": ("ENABLE_IMAGE_EDIT",),
        # Without its nodes, a workflow would run without the prompt.
        "COMFYUI_WORKFLOW_NODES": ("COMFYUI_WORKFLOW",),
        "IMAGES_EDIT_COMFYUI_WORKFLOW_NODES": ("IMAGES_EDIT_COMFYUI_WORKFLOW",),
    }
)
"""Name of a field → the fields that have their defaults if its stored value cannot be used."""


@dataclass(frozen=True, slots=True)
class UnusedFields:
    """The fields whose stored values are not used.

    Attributes:
        names: the fields, with those that depend on them, even where the latter are not stored.
        document: those that are stored, as they are in the document. They may be secrets.
    """

    names: frozenset[str] = frozenset()
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def after(self, changes: ImagesConfig, before: ImagesConfig, merged: ImagesConfig) -> Self:
        """Return what an update leaves unused: the fields that it does not set.

        A masked secret is not set. A secret is removed if its URL moves to another server, or if it is unknown which
        server its URL was.

        Args:
            changes: the update.
            before: the configuration before the update.
            merged: the configuration after the update.
        """
        replaced = {name for name in changes.model_fields_set if name not in SECRETS or getattr(changes, name) != MASK}
        for secret, url in SECRETS.items():
            moved = origin(getattr(before, url)) != origin(getattr(merged, url))
            if moved or (url in self.names and url in replaced):
                replaced.add(secret)
        kept = {name: value for name, value in self.document.items() if name not in replaced}
        return type(self)(self.names - replaced, kept)


def usable_config(
    defaults: Mapping[str, Any], values: Mapping[str, Any], document: Mapping[str, Any]
) -> tuple[ImagesConfig, UnusedFields]:
    """Return the configuration of the stored values that can be used, and the fields that are not used.

    Args:
        defaults: values of fields that are not stored, which validate.
        values: the stored values that could be read.
        document: all stored values, as they are in the document.
    """
    unused = set(document.keys() - values.keys())
    while True:
        dependent = {name for unusable in unused for name in _UNITS.get(unusable, ())}
        unused |= dependent
        used = {name: value for name, value in values.items() if name not in unused}
        # Fields that depend on unused ones do not even have the values of environment variables.
        available = {name: value for name, value in defaults.items() if name not in dependent}
        try:
            config = ImagesConfig.model_validate({**available, **used})
        except ValidationError as error:
            # The defaults validate, so there is always a stored value to blame.
            unused |= (_invalid_fields(error) & used.keys()) or used.keys()
        else:
            names = frozenset(unused)
            return config, UnusedFields(names, {name: document[name] for name in document if name in names})


def _invalid_fields(error: ValidationError) -> set[str]:
    """Return the fields that do not validate: of an error about nodes, the nodes and the workflow."""
    names = {str(item["loc"][0]) for item in error.errors(include_input=False) if item["loc"]}
    nodes = {str(item["ctx"]["field"]) for item in error.errors(include_input=False) if not item["loc"]}
    return names | nodes | {name.removesuffix("_NODES") for name in nodes}
