"""Names of connections, routes and workflows."""

from typing import Annotated, Final

from pydantic import Field

CONNECTION_NAME: Final = r"^[a-z0-9][a-z0-9-]{0,62}$"
"""Pattern of the names of connections and workflows."""
ROUTE_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
"""Pattern of the names of routes. There is no slash in it, so no name is that of a connection with a model."""

ConnectionName = Annotated[str, Field(pattern=CONNECTION_NAME)]
RouteName = Annotated[str, Field(pattern=ROUTE_NAME)]
WorkflowName = Annotated[str, Field(pattern=CONNECTION_NAME)]

RESERVED_CONNECTIONS: Final = (
    "openai",
    "gemini",
    "comfyui",
    "automatic1111",
    "openai-edit",
    "gemini-edit",
    "comfyui-edit",
    "automatic1111-edit",
)
"""The connections that the configuration's fields are. Those for edits end in `-edit`."""

RESERVED_WORKFLOWS: Final = ("default", "default-edit")
"""The workflows that are fields of the configuration: `COMFYUI_WORKFLOW` and `IMAGES_EDIT_COMFYUI_WORKFLOW`."""
