"""Models whose provider has announced their end.

The table is data, `model_ends.json`, with the day for which it was checked. Sources: the providers' pages on retired
models, and for Azure, Google and xAI LiteLLM 1.110's public map of models (MIT).
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

WARNING_DAYS = 180
"""How many days before its end a request for a model gets a warning. Lists of models have the date at any time."""


@dataclass(frozen=True, slots=True)
class ModelEnd:
    """The announced end of a model: its last day or the day after, and the model that its provider names instead."""

    ends_on: date
    successor: str | None = None


def model_end(model: str, provider: str) -> ModelEnd | None:
    """Return the announced end of a model; None if there is none.

    Args:
        model: the name at the server. A proxy may put a provider in front: `azure/gpt-image-1.5`.
        provider: `openai`, `azure` or `gemini`, for a name without one.
    """
    ends = _ends()
    prefix, _, name = model.rpartition("/")
    prefix = prefix.rpartition("/")[2]
    providers = [prefix] if prefix in ends else [provider, "xai"] if provider == "openai" else [provider]
    return next((ends[known][name] for known in providers if name in ends[known]), None)


def end_warnings(model: str | None, provider: str, today: date | None = None) -> list[str]:
    """Return a warning if the end of a model is near or past.

    Args:
        model: as for `model_end`; None for the server's default.
        provider: as for `model_end`.
        today: the current day; by default that of the clock, in UTC.
    """
    end = model_end(model, provider) if model else None
    today = today or datetime.now(UTC).date()
    if end is None or (end.ends_on - today).days > WARNING_DAYS:
        return []
    instead = f": use {end.successor}" if end.successor else ""
    verb = "ends" if end.ends_on >= today else "ended"
    return [f"{model} {verb} on {end.ends_on}, as its provider has announced{instead}"]


@cache
def _ends() -> dict[str, dict[str, ModelEnd]]:
    table = json.loads(Path(__file__).with_suffix(".json").read_text())
    return {
        provider: {
            name: ModelEnd(date.fromisoformat(entry["ends_on"]), entry.get("successor"))
            for name, entry in models.items()
        }
        for provider, models in table.items()
        if isinstance(models, dict)
    }
