"""What the rewriting of prompts costs, where a row of the operator's prices names its model."""

from typing import Final

from image_gateway.engines import PROMPT_WRITER, REGISTRY, default_connection
from image_gateway.jobs.prompt_rewriting import SYSTEM_PROMPT, Rewriting
from image_gateway.metering.cost import cost_of_text, reservation_for
from image_gateway.metering.prices import find_text_price
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job
from image_gateway.models.money import to_micros
from image_gateway.models.prices import PriceRow
from image_gateway.routing.destination import Destination

_OVERHEAD: Final = 100
"""Tokens around the two texts."""
_USUAL_ANSWER: Final = 2_000
"""How many tokens a rewritten prompt and the thoughts before it are expected to take at most."""


def prompt_reservation(destination: Destination, prompt: str) -> int:
    """Return what is held for rewriting a prompt, in millionths of a dollar; 0 if it is not done, or has no price.

    Args:
        destination: where the job goes first.
        prompt: the prompt. No token is shorter than a byte of it.
    """
    row = _price(destination)
    if row is None:
        return 0
    text_in = len(f"{SYSTEM_PROMPT}{prompt}".encode(errors="replace")) + _OVERHEAD
    held = reservation_for(row, 1, tokens={"text_in": text_in, "text_out": _USUAL_ANSWER})
    return to_micros(held) if held else 0


def charge_rewriting(job: Job, destination: Destination, rewriting: Rewriting) -> None:
    """Add to a job what the rewriting of its prompt has cost, or may have cost if its tokens are not known."""
    held, job.prompt_reserved = job.prompt_reserved, 0
    row = _price(destination)
    if row is None or not rewriting.called:
        return
    usd = cost_of_text(row, rewriting.usage)
    if usd is None:
        job.at_risk += held
    else:
        job.charged += to_micros(usd)


def _price(destination: Destination) -> PriceRow | None:
    config = destination.for_all
    model = config.IMAGE_PROMPT_GENERATION_MODEL
    if not (config.ENABLE_IMAGE_PROMPT_GENERATION and model):
        return None
    return find_text_price(destination.price_rows, default_connection(_writer(config), edit=False), model)


def _writer(config: ImagesConfig) -> str:
    """Return the engine that rewrites: see `engines.create_prompt_writer`."""
    engine = config.IMAGE_GENERATION_ENGINE
    return engine if engine in REGISTRY and REGISTRY[engine].rewrites_prompts else PROMPT_WRITER
