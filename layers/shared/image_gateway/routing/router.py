"""Decides where requests and jobs go, from the deployment's configuration and its catalogue.

A name that requests use as a model is, in this order: a route; on the OpenAI channel a connection or an engine with a
model behind a slash; an alias; a model of the configured engine.
"""

from dataclasses import replace

from image_gateway.aws import Remaining
from image_gateway.config.catalogue import Catalogue
from image_gateway.config.metering import Metering
from image_gateway.config.reader import ConfigReader
from image_gateway.config.versioned import VersionedConfig
from image_gateway.errors import InvalidRequest, NotConfigured, NotFound
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job
from image_gateway.models.names import RESERVED_CONNECTIONS, RESERVED_WORKFLOWS
from image_gateway.routing.destination import Destination, configured_model, require_enabled
from image_gateway.routing.names import destination_of_job, destination_of_run, find_destination, stays_at_its_engine
from image_gateway.routing.plan import Plan


class Router:
    """Decides where requests and jobs go.

    Args:
        configs: the configuration of the deployment.
    """

    def __init__(self, configs: ConfigReader) -> None:
        self._configs = configs

    async def require_enabled(self, *, edit: bool = False, remaining: Remaining | None = None) -> ImagesConfig:
        """Return the configuration, provided that it enables generation or, with `edit`, editing.

        Args:
            edit: whether editing is required.
            remaining: returns the seconds that are left for the first read of the configuration.

        Raises:
            Disabled: generation or editing is switched off.
            StorageUnavailable: the configuration cannot be read.
        """
        return (await self._read(edit=edit, remaining=remaining)).config

    async def find(
        self, model: str | None, *, edit: bool, allow_prefix: bool, remaining: Remaining | None = None
    ) -> Plan:
        """Return where a request goes that arrives now.

        Args:
            model: the request's model; None or empty for the configured model.
            edit: whether the request is an edit.
            allow_prefix: whether `model` may have the form `connection/model`.
            remaining: returns the seconds that are left for the first read of the configuration.

        Raises:
            Disabled: generation or editing is switched off.
            InvalidRequest: the model is a route that does not do this.
            NotConfigured: this version cannot use the route or the connection.
            StorageUnavailable: the configuration cannot be read.
        """
        versioned = await self._read(edit=edit, remaining=remaining)
        plan = _find(versioned, model, edit=edit, allow_prefix=allow_prefix) or Plan.to(
            find_destination(versioned.config, model, edit=edit, allow_engine_prefix=allow_prefix)
        )
        return plan.metered(versioned.catalogue.metering())

    async def try_workflow(self, name: str, connection: str, *, remaining: Remaining | None = None) -> Plan:
        """Return where a request goes that tries a workflow on a connection.

        Raises:
            Disabled: generation is switched off.
            NotFound: there is no such workflow.
            InvalidRequest: the connection is none of ComfyUI, or cannot be used.
            StorageUnavailable: the configuration cannot be read.
        """
        from image_gateway.routing.targets import destination_of  # noqa: PLC0415 - most requests name no connection

        versioned = await self._read(edit=False, remaining=remaining)
        catalogue = versioned.catalogue
        if name not in RESERVED_WORKFLOWS and catalogue.workflow(name) is None:
            raise NotFound(f"There is no workflow {name}")
        destination = destination_of(versioned, catalogue, connection, None, edit=False, workflow=name)
        if destination.problem or destination.engine != "comfyui":
            reason = destination.problem.detail if destination.problem else f"{connection} is none of ComfyUI"
            raise InvalidRequest(f"connection: {reason}", field="connection")
        # The job keeps the workflow with the name of the connection, also if that is the configuration's own.
        return Plan.to(replace(destination, stored_connection=connection), catalogue=catalogue.digest)

    async def accept(self, job: Job, model: str | None) -> None:
        """Record in a new job which route it will be done by, if its model names one.

        Raises:
            StorageUnavailable: the configuration cannot be read.
        """
        versioned = await self._configs.read()
        if route := _route_name(versioned, model, edit=job.kind == "edit"):
            job.route, job.catalogue = route, versioned.catalogue.digest

    async def metering(self) -> Metering:
        """Return how requests are priced and limited.

        Raises:
            StorageUnavailable: the configuration cannot be read.
        """
        return (await self._configs.read()).catalogue.metering()

    async def of_job(self, job: Job, remaining: Remaining | None = None) -> Plan:
        """Return where a job goes, whether or not its operation is enabled.

        A job that was accepted with a route or a connection keeps them as they were then. One that must not be moved,
        because a server may have been paid for it, stays there.

        Raises:
            InvalidRequest: the job's route does not do this.
            NotConfigured: this version cannot use the route or the connection.
            StorageUnavailable: the configuration cannot be read.
        """
        versioned = await self._configs.read(remaining)
        return (await self._of_job(job, versioned)).metered(versioned.catalogue.metering())

    async def _of_job(self, job: Job, versioned: VersionedConfig) -> Plan:
        edit = job.kind == "edit"
        if job.route:
            plan = _route(versioned, await self._catalogue(job, versioned), job.route, edit=edit)
            stays = job.pinned or job.status == "running"
            return plan.only(job.target) if stays and job.target is not None else plan
        if job.connection:
            catalogue = await self._catalogue(job, versioned)
            workflow = job.workflow or None
            destination = _connection(
                versioned, catalogue, job.connection, job.model or None, edit=edit, workflow=workflow
            )
            return Plan.to(destination, catalogue=catalogue.digest)
        if stays_at_its_engine(job, versioned.config):
            return Plan.to(destination_of_run(job, versioned.config))
        found = _find(versioned, job.request.get("model"), edit=edit, allow_prefix=False)
        return found or Plan.to(destination_of_job(job, versioned.config))

    async def of_run(self, job: Job, remaining: Remaining | None = None) -> Destination:
        """Return where the last attempt at a job went, or where it is now. Raises as `of_job`."""
        if job.route or job.connection:
            plan = await self.of_job(job, remaining)
            destination = plan.first if job.target is None else plan.only(job.target).first
            if destination.problem:
                raise destination.problem
            return destination
        return destination_of_run(job, (await self._configs.read(remaining)).config)

    async def _read(self, *, edit: bool, remaining: Remaining | None) -> VersionedConfig:
        versioned = await self._configs.read(remaining)
        require_enabled(versioned.config, edit=edit)
        return versioned

    async def _catalogue(self, job: Job, versioned: VersionedConfig) -> Catalogue:
        if job.catalogue in ("", versioned.catalogue.digest):
            return versioned.catalogue
        return await self._configs.catalogue(job.catalogue)


def _find(versioned: VersionedConfig, model: str | None, *, edit: bool, allow_prefix: bool) -> Plan | None:
    """Return where a name leads that is a route, or a connection with a model; None if it is neither."""
    if route := _route_name(versioned, model, edit=edit):
        return _route(versioned, versioned.catalogue, route, edit=edit)
    alias = versioned.config.IMAGE_MODEL_ALIASES.get(model or "")
    name, slash, rest = (alias or model or "").partition("/")
    if not slash or not (alias or allow_prefix) or name in RESERVED_CONNECTIONS:
        return None
    if versioned.catalogue.connection(name) is None:
        return None
    destination = _connection(versioned, versioned.catalogue, name, rest or None, edit=edit)
    return Plan.to(destination, catalogue=versioned.catalogue.digest)


def _route_name(versioned: VersionedConfig, model: str | None, *, edit: bool) -> str | None:
    """Return the route that a name leads to, itself or as an alias; None if it is none."""
    name = model or configured_model(versioned.config, edit=edit)
    names = (name, versioned.config.IMAGE_MODEL_ALIASES.get(model or ""))
    return next((each for each in names if each and versioned.catalogue.has_route(each)), None)


def _route(versioned: VersionedConfig, catalogue: Catalogue, name: str, *, edit: bool) -> Plan:
    from image_gateway.routing.targets import plan_of_route  # noqa: PLC0415 - most requests name no route

    route = catalogue.route(name)
    if route is None:
        raise NotConfigured(f"There is no route {name}", field="model")
    if not route.can(edit=edit):
        operation = "edits" if edit else "generations"
        raise InvalidRequest(f"The route {name} is not for {operation}", field="model")
    return plan_of_route(versioned, catalogue, name, route, edit=edit)


def _connection(
    versioned: VersionedConfig,
    catalogue: Catalogue,
    name: str,
    model: str | None,
    *,
    edit: bool,
    workflow: str | None = None,
) -> Destination:
    """Return the destination of a request that names a stored connection.

    Raises:
        NotConfigured: the connection cannot be used.
    """
    from image_gateway.routing.targets import destination_of  # noqa: PLC0415 - most requests name no connection

    destination = destination_of(versioned, catalogue, name, model, edit=edit, workflow=workflow)
    if destination.problem:
        raise destination.problem
    # A later attempt needs the name of the configuration's own connection, too, to find the workflow again.
    return replace(destination, stored_connection=name) if workflow else destination
