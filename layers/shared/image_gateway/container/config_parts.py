"""What only the config function needs: it changes the configuration, workflows and tokens, and forgets end users."""

from functools import cached_property
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from image_gateway.access.token_registry import TokenRegistry
    from image_gateway.config.updates import ConfigUpdates
    from image_gateway.config.workflow_catalogue import WorkflowCatalogue
    from image_gateway.config.workflow_inspector import WorkflowInspector
    from image_gateway.container.gateway import Gateway
    from image_gateway.engines.comfyui.engine import ComfyUIEngine
    from image_gateway.jobs.forgetting import Forgetting
    from image_gateway.models.config import ImagesConfig

_INSPECTION_SECONDS = 15.0
"""How long a server may take to declare all node classes of a workflow: API Gateway responds after 30 s."""


class ConfigParts:
    """The parts of the config function. Most of its requests need none or one of them.

    Args:
        gateway: the other parts of the deployment.
    """

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway

    @cached_property
    def updates(self) -> "ConfigUpdates":
        """Updates the configuration."""
        from image_gateway.aws.locks import Locks
        from image_gateway.config.updates import ConfigUpdates

        gateway = self._gateway
        locks = Locks(gateway.aws, gateway.settings)
        return ConfigUpdates(gateway.stored_config, gateway.configs, gateway.settings, locks)

    @cached_property
    def workflow_catalogue(self) -> "WorkflowCatalogue":
        """Named workflows of ComfyUI."""
        from image_gateway.config.workflow_catalogue import WorkflowCatalogue

        return WorkflowCatalogue(self.updates, self._gateway.workflow_contents)

    @cached_property
    def workflow_inspector(self) -> "WorkflowInspector":
        """Inspects ComfyUI workflows."""
        from image_gateway.config.workflow_inspector import WorkflowInspector
        from image_gateway.engines.comfyui.inspection.server_classes import ServerClasses

        engines = self._gateway.engines

        def create_server(config: "ImagesConfig", edit: bool) -> "ComfyUIEngine":
            return cast("ComfyUIEngine", engines.create("comfyui", config, edit=edit, timeout=_INSPECTION_SECONDS))

        return WorkflowInspector(create_server, ServerClasses())

    @cached_property
    def token_registry(self) -> "TokenRegistry":
        """Creates, lists and revokes tokens."""
        from image_gateway.access.token_registry import TokenRegistry

        return TokenRegistry(self._gateway.aws, self._gateway.settings)

    @cached_property
    def forgetting(self) -> "Forgetting":
        """Forgets end users."""
        from image_gateway.jobs.forgetting import Forgetting

        return Forgetting(self._gateway.aws, self._gateway.settings, self._gateway.forgotten)
