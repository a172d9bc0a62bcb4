"""Imports FastAPI in the way that is fastest on Lambda.

The package of every function that uses FastAPI imports this module before anything else. It shortens the
start in four ways:

- Python's garbage collector is paused. Nearly all objects of a start live as long as the process, so collections during
  the start find nothing. `lambda_handler` enables the collector when the handler is made.
- Pydantic does not search the installed packages for plugins, because the layer contains none. An environment that sets
  `PYDANTIC_DISABLE_PLUGINS` decides for itself: https://docs.pydantic.dev/latest/concepts/plugins/
- FastAPI's 60 or so models of the OpenAPI document are built when they are first used. No request needs them, and
  building them takes a fifth of a cold start.
- FastAPI imports Pydantic's first version, only to recognize and refuse its models. There are none here, so it gets a
  class without any: the import takes a twenty-fifth of a cold start.
"""

import gc
import os
import sys
from types import ModuleType

gc.disable()
# Pydantic reads the variable when it builds its first model, so it is set before pydantic is imported.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from pydantic import BaseModel  # noqa: E402 - after the variable is set

_first_version = ModuleType("pydantic.v1", "A stand-in for Pydantic's first version: see `cold_start`.")
_first_version.__dict__["BaseModel"] = type("BaseModel", (), {})
sys.modules.setdefault(_first_version.__name__, _first_version)

BaseModel.model_config["defer_build"] = True
try:
    import fastapi.openapi.models
finally:
    del BaseModel.model_config["defer_build"]

__all__ = ["fastapi"]
