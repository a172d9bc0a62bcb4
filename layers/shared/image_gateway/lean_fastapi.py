"""Imports FastAPI as Lambda needs it. The package of each function that uses FastAPI imports this before anything else.

FastAPI comes with some sixty pydantic models of the OpenAPI document, which no request needs: to build them is a fifth
of a cold start. Here they are left to be built when first used.
"""

from pydantic import BaseModel

BaseModel.model_config["defer_build"] = True
try:
    import fastapi.openapi.models
finally:
    del BaseModel.model_config["defer_build"]

__all__ = ["fastapi"]
