"""Parses the `Prefer` header (RFC 7240): how long a caller wants to wait for a response."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

_PREFERENCE = re.compile(
    # Text between two preferences is skipped without being matched, and an open quote extends to the end of the header.
    # So the time is linear in the length of the header.
    r"""(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)             # a token
        (?:\s*=\s*(?P<word>"(?:[^"\\]|\\.)*"|[^\s",;]*))? # its value, which may be quoted
        (?:"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[^",])*            # parameters; the supported preferences have none
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Preferences:
    """The supported preferences of a `Prefer` header.

    Attributes:
        respond_async: whether the caller prefers a response with the job's location to further waiting.
        wait: maximum seconds to wait; None if the header has no `wait`.
    """

    respond_async: bool = False
    wait: int | None = None

    @classmethod
    def parse(cls, headers: Sequence[str]) -> Self:
        """Parse all `Prefer` headers of a request.

        Unknown and malformed preferences are ignored. If a preference occurs more than once, the first one counts.

        Source: RFC 7240, section 2.
        """
        values: dict[str, str] = {}
        for preference in _PREFERENCE.finditer(",".join(headers)):
            values.setdefault(preference["name"].lower(), (preference["word"] or "").strip('"'))
        wait = values.get("wait", "")
        return cls(
            respond_async="respond-async" in values,
            # Nine digits are thirty years. More digits would only be slow to parse.
            wait=int(wait[:9]) if wait.isascii() and wait.isdigit() else None,
        )
