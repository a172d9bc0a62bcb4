"""The `If-Match` header of routes that change the configuration."""

from typing import Annotated

from fastapi import Depends, Header

from image_gateway.errors import PreconditionFailed


def versions(if_match: str | None) -> frozenset[int] | None:
    """Parse the versions of an `If-Match` header; None if any version matches.

    Raises:
        PreconditionFailed: the header has no version of a configuration.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    tags = [tag.strip().strip('"') for tag in if_match.split(",")]
    # No version has more than 18 digits, and long numbers are slow to parse.
    if not all(tag.isascii() and tag.isdigit() and len(tag) <= 18 for tag in tags):
        raise PreconditionFailed("If-Match must be the ETag that GET config returned", field="If-Match")
    return frozenset(int(tag) for tag in tags)


async def _versions(
    if_match: Annotated[str | None, Header(description="The ETag that was read; a 412 if it is not current.")] = None,
) -> frozenset[int] | None:
    return versions(if_match)


IfMatchDep = Annotated[frozenset[int] | None, Depends(_versions)]
"""The versions of which one must be current; None for any."""
