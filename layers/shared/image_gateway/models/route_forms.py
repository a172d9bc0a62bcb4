"""Routes in requests and responses."""

from collections.abc import Sequence
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from image_gateway.models.names import RouteName
from image_gateway.models.routes import Route, StoredTarget

MAX_TARGETS: Final = 32


class Target(StoredTarget):
    """A target to store."""

    model_config = ConfigDict(extra="forbid")


class RouteForm(Route):
    """A route to store."""

    model_config = ConfigDict(
        extra="forbid",
        # FastAPI cannot use a body that is built late.
        defer_build=False,
        json_schema_extra={
            "examples": [
                {
                    "description": "Large, slow, dear",
                    "operations": ["generation"],
                    "strategy": "ordered",
                    "targets": [{"connection": "openai", "model": "gpt-image-2", "params": {"quality": "high"}}],
                }
            ]
        },
    )

    targets: Sequence[Target] = Field(min_length=1, max_length=MAX_TARGETS)

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        if self.strategy == "weighted" and not any(target.weight for target in self.targets):
            field, text = "targets", "need a weight above 0 for at least one of them"
            raise PydanticCustomError("route", "{field} {problem}", {"field": field, "problem": text})
        return self

    def stored(self) -> dict[str, Any]:
        """Return the route as JSON for the catalogue, without defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)


class RouteInfo(Route):
    """A route as it is shown."""

    name: RouteName


class RouteList(BaseModel):
    """All routes, by name."""

    model_config = ConfigDict(defer_build=True)

    routes: list[RouteInfo]
    unusable: list[RouteName] = Field(
        [],
        exclude_if=lambda names: not names,
        description="Names of routes that a newer version has stored, and that this one cannot use.",
    )
