"""Changes of the catalogue, and the objects that it is stored in."""

from collections.abc import Callable
from typing import Any

from image_gateway.config.catalogue_draft import CatalogueDraft
from image_gateway.models.connection_forms import ConnectionForm
from image_gateway.models.route_forms import RouteForm
from image_gateway.settings import Settings
from tests.aws_clients import aws_client

Change = Callable[[CatalogueDraft], bool]


def connection(name: str, key: str = "", **fields: Any) -> Change:
    """Return the change that stores a connection."""
    form = ConnectionForm(engine="openai", base_url=f"https://{name}.example/v1", key=key or None, **fields)
    return lambda draft: draft.put_connection(name, form)


def route(name: str, *connections: str) -> Change:
    """Return the change that stores a route to these connections."""
    form = RouteForm.model_validate({"targets": [{"connection": target} for target in connections]})
    return lambda draft: draft.put_route(name, form)


def objects(settings: Settings) -> dict[str, bytes]:
    """Return the content of all objects of the bucket, by key."""
    s3 = aws_client("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=settings.bucket).get("Contents", [])]
    return {key: s3.get_object(Bucket=settings.bucket, Key=key)["Body"].read() for key in keys}
