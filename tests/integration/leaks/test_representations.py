"""The representations of models contain no secret, link or prompt."""

import json
from typing import Any

import httpx
import pytest

from image_gateway.api.multipart import Part
from image_gateway.aws.signing import Credentials
from image_gateway.config.catalogue_draft import CatalogueDraft
from image_gateway.config.versioned import VersionedConfig
from image_gateway.engines.connection import Connection
from image_gateway.engines.protocol import EngineImage, EngineResult, ImageRequest, InputImage
from image_gateway.engines.response import EngineResponse
from image_gateway.engines.server import EngineServer
from image_gateway.images.decoding.decoder import Decoder
from image_gateway.models.config import ImagesConfig
from image_gateway.models.connection_forms import ConnectionForm, ConnectionInfo
from image_gateway.models.envelopes import ENVELOPE
from image_gateway.models.forms import CreateImageForm, EditImageForm, VerifyForm
from image_gateway.models.images import ImageInfo, JobInfo, JobProblem, Problem, Upload
from image_gateway.models.jobs import Job, JobError, JobImage
from image_gateway.models.openai import ImageEditParams, ImageGenerateParams, OpenAIImage
from image_gateway.models.servers import ServerAccess
from image_gateway.models.tokens import NewToken
from image_gateway.worker.messages import Message
from tests.integration.leaks.planted_values import (
    AUTH,
    ENGINE_SECRETS,
    KEYS,
    PRESIGNED,
    PROMPT,
    SIGNATURE,
    TOKENS,
    USER_TOKEN,
    WRONG_KEY,
)
from tests.integration.leaks.search import find_planted

pytestmark = [pytest.mark.xdist_group("leaks"), pytest.mark.timeout(300)]
FORM: dict[str, Any] = {"prompt": f"{PROMPT} in a repr", "negative_prompt": f"{PROMPT} not"}

CONFIG = {
    "IMAGES_OPENAI_API_KEY": KEYS["openai"],
    "IMAGES_EDIT_OPENAI_API_KEY": KEYS["openai"],
    "IMAGES_GEMINI_API_KEY": KEYS["gemini"],
    "IMAGES_EDIT_GEMINI_API_KEY": KEYS["gemini"],
    "COMFYUI_API_KEY": KEYS["comfyui"],
    "IMAGES_EDIT_COMFYUI_API_KEY": KEYS["comfyui"],
    "AUTOMATIC1111_API_AUTH": AUTH,
}

ERROR_TEXT = f"openai said {PROMPT}"

JOB = Job(
    id="1",
    kind="generation",
    owner="event:sqs",
    request=FORM,
    warnings=[ERROR_TEXT],
    error=JobError(status=400, code="engine_rejected", title="Refused", detail=ERROR_TEXT),
    images=[JobImage(key="images/1/0.png", content_type="image/png", revised_prompt=PROMPT)],
)

IMAGE = ImageInfo(
    url=PRESIGNED,
    id="1-0",
    name="1-0.png",
    content_type="image/png",
    expires_at=JOB.created_at,
    revised_prompt=PROMPT,
    warnings=[ERROR_TEXT],
)


async def no_fetch(_url: str) -> bytes:
    return b""


CONNECTION = Connection(
    httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200))),
    no_fetch,
    timeout=1,
    secrets=tuple(KEYS.values()),
    convert_image=Decoder().convert_image,
)


@pytest.mark.parametrize(
    "model",
    [
        ImagesConfig.model_validate(CONFIG),
        VerifyForm(engine="openai", key=KEYS["openai"]),
        CreateImageForm.model_validate(FORM),
        EditImageForm.model_validate({**FORM, "image": PRESIGNED, "mask": PRESIGNED}),
        ImageGenerateParams.model_validate(FORM),
        ImageEditParams.model_validate({**FORM, "image": PRESIGNED, "mask": PRESIGNED}),
        ENVELOPE.validate_python({"kind": "generation", "request": FORM}),
        ENVELOPE.validate_python({"kind": "edit", "request": {**FORM, "image": PRESIGNED}}),
        JOB,
        IMAGE,
        JobInfo(
            id="1",
            kind="generation",
            status="failed",
            created_at=JOB.created_at,
            attempts=1,
            request=FORM,
            images=[IMAGE],
            warnings=[ERROR_TEXT],
            error=JobProblem(code="engine_rejected", title="Refused", status=400, detail=ERROR_TEXT),
        ),
        Upload(id="1", url="https://bucket.example", fields={"signature": SIGNATURE}, expires_at=JOB.created_at),
        Problem(
            title="Refused",
            status=400,
            detail=ERROR_TEXT,
            code="invalid_request",
            request_id="1",
            errors=[{"a": ERROR_TEXT}],
        ),
        OpenAIImage(url=PRESIGNED, revised_prompt=PROMPT),
        ImageRequest(job_id="1", images=(InputImage(PROMPT.encode(), "image/png", 1, 1),), **FORM),
        EngineResult(images=[EngineImage(PROMPT.encode(), revised_prompt=PROMPT)], warnings=[ERROR_TEXT]),
        Message("1", json.dumps({"request": FORM}), JOB.created_at),
        Part("prompt", PROMPT.encode(), is_file=False),
        EngineResponse(400, "Bad Request", httpx.Headers(), ERROR_TEXT.encode(), {"mark": PROMPT.encode()}),
        NewToken(
            id="1",
            name="stranger",
            role="user",
            created_at=JOB.created_at,
            expires_at=None,
            last_used_at=None,
            engines=None,
            models=None,
            token=USER_TOKEN,
        ),
        Credentials("AKIA", WRONG_KEY, SIGNATURE),
        CONNECTION,
        EngineServer(
            CONNECTION,
            "engine",
            "http://engine.example",
            headers={"authorization": KEYS["openai"]},
            params={"key": KEYS["gemini"]},
        ),
        ConnectionForm.model_validate(
            {"engine": "comfyui", "base_url": "http://gpu-1:8188", "auth": "basic", "key": AUTH}
        ),
        ConnectionInfo(engine="openai", name="azure-eu", key=KEYS["openai"]),
        VersionedConfig(
            ImagesConfig().with_access(ServerAccess("azure-eu"), {"IMAGES_OPENAI_API_KEY": KEYS["openai"]}),
            1,
            keys={"azure-eu": KEYS["openai"]},
        ),
        CatalogueDraft(VersionedConfig(ImagesConfig(), 1, keys={"azure-eu": KEYS["openai"]})),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_models_representation_contains_no_secret_link_or_prompt(model: object) -> None:
    """They must not appear in a traceback or a log line that shows a model."""
    for representation in (repr(model), str(model), f"{[model]}"):
        assert find_planted(representation, *ENGINE_SECRETS, *TOKENS, SIGNATURE, PROMPT) == set()
