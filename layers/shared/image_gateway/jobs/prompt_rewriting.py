"""Rewriting of prompts by a language model, where the operator has switched it on."""

from collections.abc import Callable
from dataclasses import dataclass, field

from image_gateway.engines.protocol import PromptWriter
from image_gateway.engines.usage import TokenCounts
from image_gateway.errors import GatewayError
from image_gateway.models.config import ImagesConfig
from image_gateway.models.forms import MAX_PROMPT

SYSTEM_PROMPT = (
    "You write prompts for an image model. Rewrite the user's text as one vivid, concrete prompt in the same language, "
    "keeping everything it asks for: subject, style, words to be shown. Answer with the prompt alone."
)

_MAX_REMEMBERED = 16
"""How many rewritten prompts are remembered: more than the jobs that a process runs at the same time."""

PromptWriterFactory = Callable[[str, ImagesConfig], PromptWriter]
"""Creates the prompt writer for an engine's name and a configuration."""


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What became of a prompt.

    Attributes:
        text: the new prompt; None if there is none.
        warning: why there is none.
        usage: the tokens that it took, where the language model reports them.
        called: whether a language model was called, and may have charged for it.
    """

    text: str | None = field(default=None, repr=False)
    warning: str | None = field(default=None, repr=False)
    usage: TokenCounts | None = None
    called: bool = False


class PromptRewriter:
    """Rewrites the prompts of jobs, each once, though a route may pass the job on to other targets.

    Args:
        create_writer: creates the engine's prompt writer.
    """

    def __init__(self, create_writer: PromptWriterFactory) -> None:
        self._create_writer = create_writer
        self._rewritten: dict[str, str] = {}

    async def rewrite(self, job_id: str, prompt: str, config: ImagesConfig) -> Rewriting:
        """Rewrite the prompt of a job, as `rewrite_prompt`."""
        if text := self._rewritten.get(job_id):
            return Rewriting(text)
        rewriting = await rewrite_prompt(prompt, config, self._create_writer)
        if rewriting.text:
            while len(self._rewritten) >= _MAX_REMEMBERED:
                self._rewritten.pop(next(iter(self._rewritten)))
            self._rewritten[job_id] = rewriting.text
        return rewriting


async def rewrite_prompt(prompt: str, config: ImagesConfig, create_writer: PromptWriterFactory) -> Rewriting:
    """Rewrite a prompt with `IMAGE_PROMPT_GENERATION_MODEL`, on the engine configured for generation.

    Args:
        prompt: the caller's prompt.
        config: names the model and the engine.
        create_writer: creates the engine's prompt writer.

    Returns:
        The new prompt, or a warning that says why the prompt was not rewritten.
    """
    model = config.IMAGE_PROMPT_GENERATION_MODEL
    if not model:
        return Rewriting(warning="The prompt was not rewritten: IMAGE_PROMPT_GENERATION_MODEL is not set")
    try:
        writer = create_writer(config.IMAGE_GENERATION_ENGINE, config)
        answer = await writer.complete(model=model, system=SYSTEM_PROMPT, user=prompt)
    except GatewayError as error:
        return Rewriting(warning=f"The prompt was not rewritten: {error.detail}", called=error.may_have_cost)
    text = answer.text.strip()
    if not text or len(text) > MAX_PROMPT:
        warning = f"The prompt was not rewritten: {model} returned {len(text)} characters"
        return Rewriting(warning=warning, usage=answer.usage, called=True)
    return Rewriting(text, usage=answer.usage, called=True)
