"""How the server of a connection is spoken to."""

from dataclasses import dataclass
from typing import Literal

Auth = Literal["auto", "bearer", "api-key", "x-api-key", "basic", "none"]
"""How a key is sent: in `Authorization` as a bearer token or as HTTP Basic, in a header of its own, or not at all."""
Dialect = Literal["auto", "plain", "azure", "xai", "openrouter"]
"""Which of the APIs that call themselves compatible with OpenAI's a server has."""


@dataclass(frozen=True, slots=True)
class ServerAccess:
    """What a connection says of its server beside the configuration's fields.

    Attributes:
        connection: the connection's name.
        auth: how the key is sent.
        dialect: which API the server has; for `openai` only.
    """

    connection: str
    auth: Auth = "auto"
    dialect: Dialect = "auto"
