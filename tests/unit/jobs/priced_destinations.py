"""Destinations with prices, and jobs whose engines have answered."""

import io
from typing import Any

from PIL import Image

from image_gateway.engines.protocol import EngineImage, EngineResult, ImageRequest
from image_gateway.jobs.engine_request import build_engine_request
from image_gateway.jobs.pricing import reserve, set_cost
from image_gateway.models.config import ImagesConfig
from image_gateway.models.forms import CreateImageForm
from image_gateway.models.jobs import Job
from image_gateway.models.prices import PriceRow
from image_gateway.routing.destination import Destination
from image_gateway.routing.plan import Plan
from tests.unit.jobs.job_records import new_job

OPENAI = "https://api.openai.com/v1"


def _png() -> bytes:
    out = io.BytesIO()
    Image.new("L", (1536, 1024)).save(out, "PNG")
    return out.getvalue()


PNG = _png()


def rows(*fields: dict[str, Any]) -> tuple[PriceRow, ...]:
    """Return the operator's rows with these fields, for all models unless they name one."""
    return tuple(PriceRow.model_validate({"model": "*", **row}) for row in fields)


def destination(
    model: str | None = "gpt-image-2",
    *,
    engine: str = "openai",
    url: str = OPENAI,
    prices: tuple[PriceRow, ...] = (),
    edit: bool = False,
    target: int | None = None,
    workflow: str | None = None,
    **config: Any,
) -> Destination:
    """Return a destination whose server has this URL."""
    urls = {
        "IMAGES_OPENAI_API_BASE_URL": url,
        "IMAGES_EDIT_OPENAI_API_BASE_URL": url,
        "IMAGES_GEMINI_API_BASE_URL": "https://generativelanguage.googleapis.com/v1beta",
        "COMFYUI_BASE_URL": "http://10.0.0.7:8188",
        "AUTOMATIC1111_BASE_URL": "http://10.0.0.7:7860",
    }
    return Destination(
        engine=engine,
        model=model,
        config=ImagesConfig.model_validate({**urls, **config}),
        edit=edit,
        price_rows=prices,
        target=target,
        workflow=workflow,
    )


def route(*prices: str, fallback_on: tuple[str, ...] = ("unreachable", "rate_limited")) -> Plan:
    """Return a route to servers whose images have these prices."""
    targets = tuple(
        destination("m", prices=rows({"usd_per_image": price}), target=number) for number, price in enumerate(prices)
    )
    return Plan(destinations=targets, route="best", fallback_on=fallback_on)


def answered(
    to: Destination,
    *,
    images: int = 1,
    measured: float = 1.0,
    job: Job | None = None,
    fields: dict[str, Any] | None = None,
    **result: Any,
) -> Job:
    """Return a job whose engine has answered."""
    form = CreateImageForm(**{"prompt": "a fox", **(fields or {})})
    job = job or new_job(status="running")
    reserve(job, Plan.to(to), form, limited=True)
    request: ImageRequest = build_engine_request(form, to, job.id)
    answer = EngineResult([EngineImage(PNG)] * images, **result)
    job.usage, job.reported = answer.usage, answer.reported
    set_cost(job, to, request, answer, measured)
    return job
