"""A destination: the server, engine and model that a job goes to, with the configuration that is valid there."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from image_gateway.config.fallbacks import with_edit_fallbacks
from image_gateway.config.timeouts import max_engine_seconds
from image_gateway.engines import REGISTRY, EngineEntry, default_connection, field_for, input_copies
from image_gateway.errors import Disabled, GatewayError
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job
from image_gateway.models.names import RESERVED_WORKFLOWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from image_gateway.models.prices import PriceRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a job goes.

    Attributes:
        engine: the name of the engine; empty if that is not known.
        model: the name that the model has at the engine; None for the engine's default.
        config: the configuration that is valid there.
        deployment: the configuration of the deployment, if that is another one.
        edit: whether the job is an edit.
        named: whether the request named the engine. If so, a later change of the configuration does not change it.
        price_rows: the operator's prices.
        stored_connection: the name of a connection of the catalogue; empty for the fields of the configuration.
        slots: how many jobs the connection allows on its server at once; None for the engine's default.
        target: the number of the target in its route, from 0; None if there is no route.
        workflow: the name of the workflow; None for the configured one.
        workflow_digest: the hash of its content; None for the configured ones.
        weight: the share of a route's requests.
        refuses_masks: whether an edit with a mask does not go there, because other targets of the route take masks.
        repeats: whether a request that failed at no cost is sent there again.
        problem: why no request can go there; None if one can.
    """

    engine: str
    model: str | None
    config: ImagesConfig = field(repr=False)
    deployment: ImagesConfig | None = field(default=None, repr=False)
    edit: bool = False
    named: bool = False
    price_rows: "Sequence[PriceRow]" = ()
    stored_connection: str = ""
    slots: int | None = None
    target: int | None = None
    workflow: str | None = None
    workflow_digest: str | None = None
    weight: int = 1
    refuses_masks: bool = False
    repeats: bool = True
    problem: GatewayError | None = None

    @property
    def connection(self) -> str:
        """The name of the server's connection."""
        return self.stored_connection or default_connection(self.engine, edit=self.edit)

    @property
    def key(self) -> str:
        """What has failed if requests fail there: the connection, with the model or workflow."""
        detail = self.model or self.workflow
        return f"{self.connection}/{detail}" if detail else self.connection

    @property
    def entry(self) -> EngineEntry:
        """The engine's entry in the registry.

        Raises:
            KeyError: this version does not know the engine.
        """
        return REGISTRY[self.engine]

    @property
    def max_concurrent(self) -> int | None:
        """How many jobs the server runs at once; None: no limit."""
        return self.entry.max_concurrent if self.slots is None else self.slots

    @property
    def server(self) -> str:
        """The server's identity for its slots: all connections to the same server share them."""
        return f"{self.engine}#{self.url}"

    @property
    def url(self) -> str:
        """The base URL of the server."""
        config = with_edit_fallbacks(self.config) if self.edit else self.config
        return f"{getattr(config, field_for(self.entry.url_field, edit=self.edit))}"

    @property
    def input_copies(self) -> int:
        """How many copies of its input images an edit holds in memory."""
        return input_copies(self.engine, self.config.access, self.url)

    @property
    def max_seconds(self) -> float:
        """How long a job may take there, in seconds, including the rewriting of its prompt."""
        return max_engine_seconds(self.config)

    @property
    def for_all(self) -> ImagesConfig:
        """The configuration of the deployment: what does not depend on the server."""
        return self.deployment or self.config

    def record_in(self, job: Job) -> None:
        """Record in a job that it goes, or went, to this destination."""
        job.engine, job.model = self.engine, self.model or ""
        job.connection, job.target = self.stored_connection, self.target
        job.workflow = self.workflow or ""

    def explained(self, text: str) -> str:
        """Return an engine's text with the name of a named workflow in the place of the configuration's fields."""
        if self.workflow is None or self.workflow in RESERVED_WORKFLOWS:
            return text
        for name in ("IMAGES_EDIT_COMFYUI_WORKFLOW", "COMFYUI_WORKFLOW"):
            text = text.replace(f"{name}_NODES", f"the node map of the workflow {self.workflow}")
            text = text.replace(name, f"the workflow {self.workflow}")
        return text

    def require_enabled(self) -> None:
        """Check that the configuration enables the operation.

        Raises:
            Disabled: generation or editing is switched off.
        """
        require_enabled(self.for_all, edit=self.edit)


def configured_engine(config: ImagesConfig, *, edit: bool) -> str:
    """Return the configured engine for generation or for edits."""
    return config.IMAGE_EDIT_ENGINE if edit else config.IMAGE_GENERATION_ENGINE


def configured_model(config: ImagesConfig, *, edit: bool) -> str:
    """Return the configured model for generation or for edits, which may be the name of a route; empty if unset."""
    return config.IMAGE_EDIT_MODEL if edit else config.IMAGE_GENERATION_MODEL


def configured_destination(config: ImagesConfig, *, edit: bool) -> Destination:
    """Return where requests go that name no model, unless the configured model is a route."""
    model = configured_model(config, edit=edit) or None
    return Destination(engine=configured_engine(config, edit=edit), model=model, config=config, edit=edit)


def require_enabled(config: ImagesConfig, *, edit: bool) -> None:
    """Check that a configuration enables generation or, with `edit`, editing.

    Raises:
        Disabled: it is switched off.
    """
    if edit and not config.ENABLE_IMAGE_EDIT:
        raise Disabled("Image editing is switched off (ENABLE_IMAGE_EDIT)")
    if not edit and not config.ENABLE_IMAGE_GENERATION:
        raise Disabled("Image generation is switched off (ENABLE_IMAGE_GENERATION)")


def connection_of(job: Job) -> str:
    """Return the connection that a job has used last or uses; empty if none has been chosen yet."""
    if job.route and not job.attempts:
        return ""
    if job.connection or not job.engine:
        return job.connection
    return default_connection(job.engine, edit=job.kind == "edit")
