"""What single Gemini models support: aspect ratios, size classes and thinking levels.

Sources: Google's page on image generation, and the SDK's types (`google-genai` 3.4), which list every value and not
which model takes it. A model that is not listed here gets what all of them support.
"""

from dataclasses import dataclass

_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_ALL_RATIOS = (*_RATIOS, "1:4", "4:1", "1:8", "8:1")
_LEVELS = ("minimal", "low", "medium", "high", "xhigh")


@dataclass(frozen=True, slots=True)
class ModelFeatures:
    """What a model supports.

    Attributes:
        ratios: aspect ratios.
        sizes: size classes.
        takes_size: whether a size class may be sent. A model with one size only refuses the field.
        thinking: thinking levels, in rising order; empty for a model without them.
    """

    ratios: tuple[str, ...] = _RATIOS
    sizes: tuple[str, ...] = ("1K", "2K", "4K")
    takes_size: bool = True
    thinking: tuple[str, ...] = ()

    def thinking_level(self, complexity: str) -> str | None:
        """Return the level for a request's `complexity`: the lowest one that is not below it; None if there is none."""
        wanted = complexity.strip().lower()
        if wanted not in _LEVELS:
            return None
        # A model without a level between has "minimal" for "low".
        wanted = "minimal" if wanted == "low" and "LOW" not in self.thinking else wanted
        order = {level.upper(): number for number, level in enumerate(_LEVELS)}
        return next((level for level in self.thinking if order[level] >= order[wanted.upper()]), None)


_MODELS = {
    "gemini-2.5-flash-image": ModelFeatures(sizes=("1K",), takes_size=False),
    "gemini-3.1-flash-lite-image": ModelFeatures(ratios=_ALL_RATIOS, sizes=("1K",)),
    "gemini-3.1-flash-image": ModelFeatures(
        ratios=_ALL_RATIOS, sizes=("512", "1K", "2K", "4K"), thinking=("MINIMAL", "HIGH")
    ),
    "gemini-nano-banana-2.1": ModelFeatures(ratios=_ALL_RATIOS, thinking=("MINIMAL", "MEDIUM", "HIGH")),
}
"""Beginning of a model's name → its features; versions such as `-preview` have the same ones."""


def features_of(model: str) -> ModelFeatures:
    """Return what a model supports."""
    return next((features for name, features in _MODELS.items() if model.startswith(name)), ModelFeatures())
