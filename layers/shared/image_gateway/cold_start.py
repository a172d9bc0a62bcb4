"""Imports FastAPI as Lambda needs it. The package of each function that uses FastAPI imports this before anything else.

FastAPI comes with some sixty pydantic models of the OpenAPI document, which no request needs: to build them is a fifth
of a cold start. Here they are left to be built when first used. Nor is there anything that extends pydantic, for which
it would look through all packages before it builds its first model.
"""

import gc
import sys
from types import ModuleType

from pydantic import BaseModel

# Of what is made during a start nearly all stays: to look through it for garbage again and again is of no use. It goes
# on when the handler is made (`lambda_handler`).
gc.disable()
_no_plugins = ModuleType("pydantic.plugin._loader")
_no_plugins.get_plugins = tuple  # type: ignore[attr-defined]  # a module that is put together
sys.modules.setdefault(_no_plugins.__name__, _no_plugins)
BaseModel.model_config["defer_build"] = True
try:
    import fastapi.openapi.models
finally:
    del BaseModel.model_config["defer_build"]

__all__ = ["fastapi"]
