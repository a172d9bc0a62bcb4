"""Decides where requests and jobs go, from the deployment's configuration."""

from image_gateway.aws import Remaining
from image_gateway.config.store import ConfigStore
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job
from image_gateway.routing.destination import Destination, require_enabled
from image_gateway.routing.names import destination_of_job, destination_of_run, find_destination


class Router:
    """Decides where requests and jobs go.

    Args:
        configs: the configuration of the deployment.
    """

    def __init__(self, configs: ConfigStore) -> None:
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
        config = (await self._configs.read(remaining)).config
        require_enabled(config, edit=edit)
        return config

    async def find(
        self, model: str | None, *, edit: bool, allow_engine_prefix: bool, remaining: Remaining | None = None
    ) -> Destination:
        """Return where a request goes that arrives now.

        Args:
            model: the request's model; None or empty for the configured model.
            edit: whether the request is an edit.
            allow_engine_prefix: whether `model` may have the form `engine/model`.
            remaining: returns the seconds that are left for the first read of the configuration.

        Raises:
            Disabled: generation or editing is switched off.
            StorageUnavailable: the configuration cannot be read.
        """
        config = await self.require_enabled(edit=edit, remaining=remaining)
        return find_destination(config, model, edit=edit, allow_engine_prefix=allow_engine_prefix)

    async def of_job(self, job: Job, remaining: Remaining | None = None) -> Destination:
        """Return where a job goes, whether or not its operation is enabled; see `destination_of_job`.

        Raises:
            StorageUnavailable: the configuration cannot be read.
        """
        return destination_of_job(job, (await self._configs.read(remaining)).config)

    async def of_run(self, job: Job, remaining: Remaining | None = None) -> Destination:
        """Return where the last attempt at a job went, or where it is now.

        Raises:
            StorageUnavailable: the configuration cannot be read.
        """
        return destination_of_run(job, (await self._configs.read(remaining)).config)
