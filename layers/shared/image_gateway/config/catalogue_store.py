"""Storage of catalogues in the bucket, and what the configuration's document holds of them.

The document has three fields beside those of the configuration: the hash of the current catalogue, the keys of its
connections, and the key of end users. No route returns them, and updates of the configuration keep them.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any, Final

from image_gateway.aws import Bucket
from image_gateway.config.catalogue import EMPTY, Catalogue
from image_gateway.config.immutable_objects import ImmutableObjects, digest_of
from image_gateway.errors import TooLarge

logger = logging.getLogger(__name__)

CATALOGUE_FIELD: Final = "_catalogue"
KEYS_FIELD: Final = "_connection_keys"
END_USER_KEY_FIELD: Final = "_end_user_key"

MAX_CATALOGUE_BYTES: Final = 1_000_000
"""Largest catalogue. It is read by every new process after a change."""


class CatalogueStore:
    """The catalogues of a deployment.

    Args:
        bucket: the bucket for the configuration's long values.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._objects: ImmutableObjects[Catalogue] = ImmutableObjects(
            bucket,
            "config/catalogue/",
            max_bytes=MAX_CATALOGUE_BYTES,
            parse=lambda content, digest: Catalogue(json.loads(content), digest),
        )

    async def read(self, digest: str) -> Catalogue:
        """Return the catalogue with this hash. It is `lost` if its object is gone or damaged, which is logged.

        Raises:
            AwsError: the bucket does not respond.
        """
        if not digest:
            return EMPTY
        catalogue = await self._objects.read(digest)
        if catalogue is None:
            key = self._objects.key(digest)
            logger.error("the catalogue of connections and routes is lost", extra={"object": key})
            return Catalogue(digest=digest, lost=True)
        return catalogue

    async def write(self, document: Mapping[str, Any]) -> Catalogue:
        """Store a catalogue, if it has any entries, and return it.

        Raises:
            TooLarge: it has more than `MAX_CATALOGUE_BYTES`.
            AwsError: the bucket does not accept it.
        """
        document = {section: entries for section, entries in document.items() if entries}
        if not document:
            return EMPTY
        body = json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
        if len(body) > MAX_CATALOGUE_BYTES:
            raise TooLarge(
                f"Connections, routes and workflows would take {len(body):,} bytes of the {MAX_CATALOGUE_BYTES:,} "
                "that they may have: delete some, or shorten their parameters"
            )
        digest = digest_of(body)
        return await self._objects.write(body, digest, Catalogue(document, digest))


def take_fields(document: dict[str, Any]) -> tuple[str, dict[str, str], str]:
    """Remove the fields that are not the configuration's from a document, and return their values.

    Values that this version cannot read count as a lost catalogue, and as no keys.

    Returns:
        The hash of the catalogue, the keys of its connections, and the key of end users.
    """
    digest, keys = document.pop(CATALOGUE_FIELD, ""), document.pop(KEYS_FIELD, None)
    end_user_key = document.pop(END_USER_KEY_FIELD, "")
    keys = keys if isinstance(keys, dict) else {}
    keys = {name: key for name, key in keys.items() if isinstance(key, str)}
    return str(digest), keys, end_user_key if isinstance(end_user_key, str) else ""


def fields(catalogue: Catalogue, keys: Mapping[str, str], end_user_key: str = "") -> dict[str, Any]:
    """Return the fields of a document for a catalogue, the keys of its connections, and the key of end users."""
    names = {CATALOGUE_FIELD: catalogue.digest, KEYS_FIELD: dict(keys), END_USER_KEY_FIELD: end_user_key}
    return {name: value for name, value in names.items() if value}
