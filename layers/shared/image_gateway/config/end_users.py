"""Labels of end users: what is stored, returned and logged in place of the ids that a chat front end sends.

A label is an HMAC with a key of the deployment. Without the key nobody can find out whose label it is, not even by
trying all addresses of a company. The key is made once, with the first token that forwards users, and is kept beside
the keys of connections: in the SecureString, which every function that submits jobs reads anyway.
"""

import hashlib
import hmac
from typing import Final
from urllib.parse import quote

from image_gateway.aws import Remaining
from image_gateway.config.reader import ConfigReader
from image_gateway.errors import NotConfigured
from image_gateway.models.end_users import LABEL

_LABEL_DIGITS: Final = 32
_MAX_PLAIN_BYTES: Final = 256
"""A longer id is never its own label: keys of the tables hold 1,024 bytes. In bytes of percent-encoding."""


class EndUserLabels:
    """The labels of a deployment's end users.

    Args:
        key: the secret of the deployment; empty if it has none.
        plain: whether an id is its own label.
    """

    def __init__(self, key: str, *, plain: bool) -> None:
        self._key = key.encode()
        self._plain = plain

    def label(self, end_user: str) -> str:
        """Return the label for the id of an end user.

        Raises:
            NotConfigured: it needs the key, and there is none.
        """
        return end_user if self._plain and _can_be_plain(end_user) else self._hashed(end_user)

    def hidden(self, name: str) -> str:
        """Return what is stored, and sent to engines, in place of what a client says about its user.

        Raises:
            NotConfigured: that needs the key, and there is none.
        """
        return name if self._plain else self._hashed(name.strip())

    def meant(self, text: str) -> tuple[str, ...]:
        """Return the labels that somebody means who names an end user by a label or by an id: the current one first.

        An id may also have the label that it had before the configuration's last change. Without a key, nobody has a
        label but plain ids.
        """
        if LABEL.fullmatch(text) or not self._key:
            return (text,)
        if not _can_be_plain(text):
            return (self._hashed(text),)
        return (text, self._hashed(text)) if self._plain else (self._hashed(text), text)

    def _hashed(self, end_user: str) -> str:
        if not self._key:
            raise NotConfigured(
                "The deployment has no key for end users: change a token to forwards_users again, which makes one"
            )
        digest = hmac.digest(self._key, end_user.encode(errors="surrogatepass"), hashlib.sha256).hex()
        return f"eu-{digest[:_LABEL_DIGITS]}"


class EndUsers:
    """The labels of a deployment's end users, as its configuration has them now.

    Args:
        configs: the configuration.
    """

    def __init__(self, configs: ConfigReader) -> None:
        self._configs = configs

    async def labels(self, remaining: Remaining | None = None) -> EndUserLabels:
        """Return the labels of the deployment.

        Args:
            remaining: as of `ConfigReader.read`.

        Raises:
            StorageUnavailable: the configuration cannot be read.
        """
        current = await self._configs.read(remaining)
        if not current.end_user_key:
            # It may have been made after this process read the configuration.
            current = await self._configs.refresh()
        return EndUserLabels(current.end_user_key, plain=current.config.IMAGE_PLAIN_END_USERS)

    async def meant(self, text: str) -> tuple[str, ...]:
        """Return the labels of whom an administrator names by a label or by an id: see `EndUserLabels.meant`.

        Raises:
            StorageUnavailable: the configuration cannot be read.
        """
        return (text,) if LABEL.fullmatch(text) else (await self.labels()).meant(text)


def _can_be_plain(end_user: str) -> bool:
    """Whether an id can be its own label. One that looks like another label cannot."""
    return len(quote(end_user, safe="", errors="surrogatepass")) <= _MAX_PLAIN_BYTES and not LABEL.fullmatch(end_user)
