"""How long an engine may take for a job, and whether that fits into the worker's time limit."""

from image_gateway.models.config import ImagesConfig

REWRITE_TIMEOUT_SECONDS = 15
"""How long a language model may take to rewrite a prompt. After that, the original prompt is used."""
WORKER_RESERVE_SECONDS = 30
"""What a worker needs in addition to its engine's timeout: to start, to store images, and to record the completion."""


def max_engine_seconds(config: ImagesConfig) -> float:
    """Return how long engines may take for a job, in seconds, including the rewriting of its prompt."""
    is_rewritten = config.ENABLE_IMAGE_PROMPT_GENERATION and config.IMAGE_PROMPT_GENERATION_MODEL
    return config.IMAGE_ENGINE_TIMEOUT + (REWRITE_TIMEOUT_SECONDS if is_rewritten else 0)


def timeout_problem(config: ImagesConfig, worker_seconds: float) -> str | None:
    """Check that the engine's timeout fits into the worker's time limit.

    Returns:
        A message for the operator with what to do, or None if the timeout fits.
    """
    reserve = WORKER_RESERVE_SECONDS + max_engine_seconds(config) - config.IMAGE_ENGINE_TIMEOUT
    max_timeout = worker_seconds - reserve
    if max_timeout >= config.IMAGE_ENGINE_TIMEOUT:
        return None
    return (
        f"IMAGE_ENGINE_TIMEOUT must be {max_timeout:g} s at most, {reserve:g} s less than a worker may run: "
        "lower it, or deploy with a longer WorkerTimeoutSeconds"
    )
