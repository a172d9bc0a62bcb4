"""The `Prefer` header (RFC 7240): how long a caller wants to wait for an answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

_PREFERENCE = re.compile(
    # What lies between two of them is not matched, only passed over, and an open quote ends with the header: that takes
    # a time as long as the header.
    r"""(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)             # a token
        (?:\s*=\s*(?P<word>"(?:[^"\\]|\\.)*"|[^\s",;]*))? # its value, which may be quoted
        (?:"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[^",])*            # parameters, which none of ours has
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Preferences:
    """What of a `Prefer` header means something here.

    Attributes:
        respond_async: rather than waiting on, have an answer that says where the job is.
        wait: seconds to wait at most; None: not said.
    """

    respond_async: bool = False
    wait: int | None = None

    @classmethod
    def parse(cls, headers: Sequence[str]) -> Self:
        """Read all `Prefer` headers of a request. What is unknown or malformed is ignored; the first of a name counts.

        Source: RFC 7240, section 2.
        """
        found: dict[str, str] = {}
        for preference in _PREFERENCE.finditer(",".join(headers)):
            found.setdefault(preference["name"].lower(), (preference["word"] or "").strip('"'))
        wait = found.get("wait", "")
        return cls(
            respond_async="respond-async" in found,
            # Nine digits are thirty years: more of them would only be slow to read.
            wait=int(wait[:9]) if wait.isascii() and wait.isdigit() else None,
        )
