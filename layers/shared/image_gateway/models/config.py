"""The configuration of a deployment: the fields of Open WebUI's `ImagesConfig`, and some that only this gateway has."""

import base64
import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from image_gateway.models.fields import Engine, ExtraFields, HttpUrlText, Params
from image_gateway.models.input_image import MAX_SIDE
from image_gateway.models.servers import ServerAccess
from image_gateway.models.sizes import SizeText
from image_gateway.models.workflow import WorkflowNode, WorkflowText, check_nodes

MASK = "********"
"""Replaces every secret that is set, wherever the configuration is returned."""

MAX_SECRET_LENGTH = 1_000
"""Longest secret in characters. All secrets together must fit into one parameter (8 KB); the bucket holds none."""

SECRETS: Mapping[str, str] = MappingProxyType(
    {
        "IMAGES_OPENAI_API_KEY": "IMAGES_OPENAI_API_BASE_URL",
        "AUTOMATIC1111_API_AUTH": "AUTOMATIC1111_BASE_URL",
        "COMFYUI_API_KEY": "COMFYUI_BASE_URL",
        "IMAGES_GEMINI_API_KEY": "IMAGES_GEMINI_API_BASE_URL",
        "IMAGES_EDIT_OPENAI_API_KEY": "IMAGES_EDIT_OPENAI_API_BASE_URL",
        "IMAGES_EDIT_GEMINI_API_KEY": "IMAGES_EDIT_GEMINI_API_BASE_URL",
        "IMAGES_EDIT_COMFYUI_API_KEY": "IMAGES_EDIT_COMFYUI_BASE_URL",
    }
)
"""Name of each secret field → name of the field with the URL that the secret is sent to."""


def header_safe(value: str) -> str:
    """Return a secret without spaces around it.

    Raises:
        PydanticCustomError: it cannot be sent in a header.
    """
    if not value.isascii() or not value.isprintable():
        raise PydanticCustomError("secret", "must be printable ASCII, because it is sent in a header")
    return value.strip()


def _user_header(value: str) -> str:
    value = value.strip()
    if value and not _HEADER_NAME.fullmatch(value):
        raise PydanticCustomError("header", "must be the name of a header, such as X-OpenWebUI-User-Id")
    if _CREDENTIALS.search(value):
        raise PydanticCustomError("header", "must not be a header with credentials, because engines get its value")
    return value


def _basic_auth(value: dict[str, Any] | str | None) -> dict[str, Any] | str | None:
    if not value or value == MASK:
        return value or None
    if isinstance(value, str):
        if ":" not in value:
            raise PydanticCustomError("auth", "must be username:password, or an object with username and password")
        return value
    if not (isinstance(value.get("username"), str) and isinstance(value.get("password"), str)):
        raise PydanticCustomError("auth", "must be an object with username and password, both strings")
    if len(json.dumps(value)) > MAX_SECRET_LENGTH:
        raise PydanticCustomError("auth", "must not be longer than {limit} characters", {"limit": MAX_SECRET_LENGTH})
    return value


_HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
_CREDENTIALS = re.compile(r"auth|cookie|key|token|secret|password", re.IGNORECASE)

Key = Annotated[str, Field(max_length=MAX_SECRET_LENGTH, repr=False), AfterValidator(header_safe)]
ModelName = Annotated[str, Field(min_length=1, max_length=256)]
BasicAuth = Annotated[
    dict[str, Any] | Annotated[str, Field(max_length=MAX_SECRET_LENGTH)] | None,
    Field(repr=False),
    AfterValidator(_basic_auth),
]
UserHeader = Annotated[str, Field(max_length=64), AfterValidator(_user_header)]
Method = Literal["generateContent", "predict", ""]
Provenance = Literal["mark", "keep", "off"]


class ImagesConfig(BaseModel):
    """Which engine generates and edits images, and how. The defaults are the configuration of a new deployment.

    Names and types come from Open WebUI's images router. No `repr` shows a secret.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, validate_default=False)

    ENABLE_IMAGE_GENERATION: bool = Field(default=False, description="Enables generation.")
    ENABLE_IMAGE_PROMPT_GENERATION: bool = Field(
        default=False, description="Rewrites the prompt with a language model before generation."
    )
    IMAGE_PROMPT_GENERATION_MODEL: str = Field(
        "",
        description="The language model that rewrites prompts; empty: prompts are not changed, and a warning says so.",
    )
    IMAGE_GENERATION_ENGINE: Engine = Field("openai", description="The engine that generates; empty: automatic1111.")
    IMAGE_GENERATION_MODEL: str = Field(
        "", description="Model of requests that name none; empty: the engine's default."
    )
    IMAGE_MODEL_ALIASES: dict[ModelName, ModelName] = Field(
        {},
        description="Names that requests may use for models: name → model, or engine/model.",
        examples=[{"dall-e-3": "gpt-image-2"}],
    )
    IMAGE_RESPONSE_FORMAT: Literal["b64_json", "url"] = Field(
        "b64_json", description="Format of responses under /v1 to requests that name none."
    )
    IMAGE_SIZE: SizeText | None = Field(
        None, description="Default size: WIDTHxHEIGHT in pixels, a ratio such as 16:9, 1K, 2K, 4K or auto."
    )
    IMAGE_STEPS: int | None = Field(
        None, ge=0, le=10_000, description="Default number of diffusion steps, for engines that have them."
    )
    IMAGE_ENGINE_TIMEOUT: int = Field(
        240,
        ge=1,
        le=870,
        description="Seconds that an engine may take for one request; "
        "the maximum is the longest timeout of a Lambda function less 30 s.",
    )
    IMAGE_PROVENANCE: Provenance = Field(
        "mark",
        description="mark: images without a mark of their engine get one that says that AI made them; keep: engines' "
        "marks are kept, and a warning says if a conversion removes one; off: no marks and no warnings.",
    )
    IMAGE_USER_HEADER: UserHeader = Field(
        "",
        description="Header whose value is the user of requests that name none, such as X-OpenWebUI-User-Id; "
        "empty: no header is.",
    )
    IMAGE_PLAIN_END_USERS: bool = Field(
        default=False,
        description="Keeps the ids of end users as they are. By default they are replaced by labels.",
    )

    IMAGES_OPENAI_API_BASE_URL: HttpUrlText = Field(
        "https://api.openai.com/v1", description="Base URL of an OpenAI-compatible image API."
    )
    IMAGES_OPENAI_API_KEY: Key = Field("", description="Its API key. Returned masked.")
    IMAGES_OPENAI_API_VERSION: str = Field("", description="Sent as `?api-version=` (Azure) if set.")
    IMAGES_OPENAI_API_PARAMS: Params = Field(
        None, description="Extra body fields, which override those of every request, n and size included."
    )

    IMAGES_OPENAI_API_EXTRA_FIELDS: ExtraFields = Field(
        {},
        description="Fields beyond OpenAI's own that the server takes: `seed`, `steps`, `negative_prompt` and "
        "`aspect_ratio`, each with its name there, or as a list.",
        examples=[{"seed": "seed", "steps": "num_inference_steps"}],
    )

    AUTOMATIC1111_BASE_URL: HttpUrlText = Field("", description="Base URL of the AUTOMATIC1111 API.")
    AUTOMATIC1111_API_AUTH: BasicAuth = Field(
        None, description="`{username, password}` or `username:password`, sent as HTTP Basic. Returned masked."
    )
    AUTOMATIC1111_PARAMS: Params = Field(None, description="Extra txt2img and img2img fields, sent unchanged.")

    COMFYUI_BASE_URL: HttpUrlText = Field("", description="Base URL of the ComfyUI API.")
    COMFYUI_API_KEY: Key = Field("", description="Bearer token, and API key of paid partner nodes. Returned masked.")
    COMFYUI_WORKFLOW: WorkflowText = Field(
        "", description="Workflow in ComfyUI's API format, as a JSON string of at most 1 MB."
    )
    COMFYUI_WORKFLOW_NODES: list[WorkflowNode] = Field([], description="The node inputs that take values of a request.")

    IMAGES_GEMINI_API_BASE_URL: HttpUrlText = Field(
        "https://generativelanguage.googleapis.com/v1beta", description="Base URL of the Gemini API."
    )
    IMAGES_GEMINI_API_KEY: Key = Field("", description="Its API key. Returned masked.")
    IMAGES_GEMINI_ENDPOINT_METHOD: Method = Field(
        "generateContent", description="generateContent or predict; empty: chosen by the model's name."
    )

    ENABLE_IMAGE_EDIT: bool = Field(default=False, description="Enables editing.")
    IMAGE_EDIT_ENGINE: Engine = Field("openai", description="The engine that edits; empty: automatic1111.")
    IMAGE_EDIT_MODEL: str = Field("", description="Default model for edits.")
    IMAGE_EDIT_SIZE: SizeText | None = Field(None, description="Default size for edits.")
    IMAGE_EDIT_MAX_PIXELS: int | None = Field(
        None,
        ge=0,
        le=MAX_SIDE**2,
        description="Input images of automatic1111 with more pixels are reduced, if no size is named; "
        "empty: 1,048,576; 0: never.",
    )
    IMAGES_EDIT_OPENAI_API_BASE_URL: HttpUrlText = Field("https://api.openai.com/v1", description="For edits.")
    IMAGES_EDIT_OPENAI_API_KEY: Key = Field("", description="For edits. Returned masked.")
    IMAGES_EDIT_OPENAI_API_VERSION: str = Field("", description="For edits: sent as `?api-version=` if set.")
    IMAGES_EDIT_GEMINI_API_BASE_URL: HttpUrlText = Field(
        "https://generativelanguage.googleapis.com/v1beta", description="For edits."
    )
    IMAGES_EDIT_GEMINI_API_KEY: Key = Field("", description="For edits. Returned masked.")
    IMAGES_EDIT_COMFYUI_BASE_URL: HttpUrlText = Field("", description="For edits.")
    IMAGES_EDIT_COMFYUI_API_KEY: Key = Field("", description="For edits. Returned masked.")
    IMAGES_EDIT_COMFYUI_WORKFLOW: WorkflowText = Field(
        "", description="Workflow for edits in ComfyUI's API format, as a JSON string of at most 1 MB."
    )
    IMAGES_EDIT_COMFYUI_WORKFLOW_NODES: list[WorkflowNode] = Field(
        [], description="As COMFYUI_WORKFLOW_NODES; nodes of type image take the input images in order."
    )

    _access: ServerAccess | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _check_workflow_nodes(self) -> Self:
        for prefix in ("COMFYUI", "IMAGES_EDIT_COMFYUI"):
            nodes = getattr(self, f"{prefix}_WORKFLOW_NODES")
            if problem := check_nodes(getattr(self, f"{prefix}_WORKFLOW"), nodes):
                field = f"{prefix}_WORKFLOW_NODES"
                raise PydanticCustomError("workflow_nodes", "{field} {problem}", {"field": field, "problem": problem})
        return self

    @property
    def access(self) -> ServerAccess | None:
        """What a connection says of its server, if the fields are those of a connection. Never stored or shown."""
        return self._access

    def with_access(self, access: ServerAccess, fields: Mapping[str, Any]) -> Self:
        """Return a copy with a connection's values in the fields of its engine. They are not validated again."""
        copy = self.model_copy(update=dict(fields))
        copy._access = access  # noqa: SLF001 - the copy is of this class
        return copy

    def masked(self) -> Self:
        """Return a copy with `MASK` in place of every secret that is set; other secrets stay empty."""
        return self.model_copy(update={name: MASK for name in SECRETS if getattr(self, name)})

    def secrets(self) -> list[str]:
        """Return every secret string of the configuration, the longest first, for redaction.

        Of Basic auth these are the pair `username:password`, the password, and the pair in base64.
        """
        secrets = {getattr(self, name) for name in SECRETS if name != "AUTOMATIC1111_API_AUTH"}
        auth = self.AUTOMATIC1111_API_AUTH
        pairs = {f"{auth['username']}:{auth['password']}" if isinstance(auth, dict) else auth} if auth else set()
        if self._access and self._access.auth == "basic":
            pairs |= {secret for secret in secrets if ":" in secret}
        for pair in pairs:
            secrets |= {pair, pair.partition(":")[2], base64.b64encode(pair.encode()).decode()}
        return sorted(secrets - {""}, key=len, reverse=True)


class UpdatedConfig(ImagesConfig):
    """The configuration after an update. `warnings` is left out where there are none."""

    warnings: list[str] = Field(
        [], exclude_if=lambda warnings: not warnings, description="What will not work as one may expect."
    )
