"""Updates of the configuration: one SecureString in Parameter Store with the document of `config.document`.

Every update replaces the whole document. The version of the configuration, and its `ETag`, is the parameter's version.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from image_gateway.aws.locks import Locks
from image_gateway.config.catalogue_draft import CatalogueDraft
from image_gateway.config.merge import merge
from image_gateway.config.reader import ConfigReader
from image_gateway.config.response_size import check_response_size
from image_gateway.config.stored import StoredConfig
from image_gateway.config.timeouts import timeout_problem
from image_gateway.config.versioned import VersionedConfig
from image_gateway.config.workflow_checks import check_node_maps
from image_gateway.errors import InvalidRequest, PreconditionFailed
from image_gateway.models.config import ImagesConfig
from image_gateway.settings import Settings

T = TypeVar("T")

_KEY_BYTES = 32
_TIMEOUT_FIELD = "IMAGE_ENGINE_TIMEOUT"


class ConfigUpdates:
    """Updates the configuration of one deployment.

    Args:
        stored: the configuration as it is stored.
        reader: keeps an updated configuration for the next reads.
        settings: says how long the worker may run, which limits the engines' timeouts.
        locks: serializes updates.
    """

    def __init__(self, stored: StoredConfig, reader: ConfigReader, settings: Settings, locks: Locks) -> None:
        self._stored = stored
        self._reader = reader
        self._worker_seconds = settings.worker_timeout_seconds
        self._locks = locks

    async def update(self, changes: ImagesConfig, *, if_match: frozenset[int] | None = None) -> VersionedConfig:
        """Set the fields that are set in `changes`, and keep all others. Nothing is written if no value changes.

        Stored fields that this version cannot use are kept too, unless they are set. A damaged document is replaced.

        Args:
            changes: the fields to set; a secret with the value `MASK` is unchanged.
            if_match: the versions of which one must be current; None for any.

        Raises:
            PreconditionFailed: another version is current.
            Busy: the lock was not free in time.
            InvalidRequest: the result does not validate, would send a secret to another origin, has an engine timeout
                that is too long for the worker, or a node map that does not match its workflow.
            TooLarge: the document does not fit into a parameter, or the configuration into a response.
            StorageUnavailable: the configuration could not be read or written.
        """
        async with self._locks.hold("config"):
            current = await self._stored.load_or_defaults()
            _check_version(current, if_match)
            config = merge(current.config, changes)
            self._check_timeout(config, changes)
            check_node_maps(current.config, config)
            check_response_size(config)
            unused = current.unused.after(changes, current.config, config)
            if (config, unused) == (current.config, current.unused):
                return self._reader.keep(current)
            return self._reader.keep(await self._stored.save(replace(current, config=config, unused=unused)))

    async def update_catalogue(
        self, change: Callable[[CatalogueDraft], T], *, if_match: frozenset[int] | None = None
    ) -> tuple[VersionedConfig, T]:
        """Change connections, routes and workflows, and keep the fields. Nothing is written if nothing changes.

        The object of the new catalogue is stored first. If the parameter is not stored after that, nobody refers to it.

        Args:
            change: changes the draft; what it raises is raised, and then nothing is stored.
            if_match: the versions of which one must be current; None for any.

        Returns:
            The new configuration, and what `change` has returned.

        Raises:
            PreconditionFailed: another version is current.
            Busy: the lock was not free in time.
            TooLarge: the catalogue is too large, or the keys do not fit into the parameter.
            StorageUnavailable: the configuration could not be read or written, or its catalogue is lost.
        """
        async with self._locks.hold("config"):
            current = await self._stored.load_or_defaults()
            _check_version(current, if_match)
            # A catalogue that cannot be read now is not replaced: it may be readable again later.
            current.catalogue.require()
            draft = CatalogueDraft(current, self._worker_seconds)
            result = change(draft)
            catalogue = await self._stored.save_catalogue(draft.document)
            if (catalogue.digest, draft.keys) == (current.catalogue.digest, current.keys):
                return self._reader.keep(current), result
            saved = await self._stored.save(replace(current, catalogue=catalogue, keys=draft.keys))
            return self._reader.keep(saved), result

    async def make_end_user_key(self) -> None:
        """Make the key of the labels of end users, unless there is one. Of several callers at once, one makes it.

        Raises:
            Busy: the lock was not free in time.
            TooLarge: the key does not fit into the parameter.
            StorageUnavailable: the configuration could not be read or written, or its document is damaged.
        """
        if (await self._reader.read()).end_user_key:
            return
        async with self._locks.hold("config"):
            # Not the defaults: a key is no reason to replace a damaged document.
            current = await self._stored.load()
            if not current.end_user_key:
                current = await self._stored.save(replace(current, end_user_key=secrets.token_urlsafe(_KEY_BYTES)))
            self._reader.keep(current)

    def _check_timeout(self, config: ImagesConfig, changes: ImagesConfig) -> None:
        if not self._worker_seconds or _TIMEOUT_FIELD not in changes.model_fields_set:
            return
        if problem := timeout_problem(config, self._worker_seconds):
            raise InvalidRequest(problem, field=_TIMEOUT_FIELD)


def _check_version(current: VersionedConfig, if_match: frozenset[int] | None) -> None:
    if if_match is not None and current.version not in if_match:
        raise PreconditionFailed(
            f"The configuration is now at version {current.version}: read it again and repeat the change"
        )
