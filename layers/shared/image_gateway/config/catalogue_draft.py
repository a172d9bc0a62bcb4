"""Changes of the catalogue: what may be stored and deleted, and what refers to what."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from image_gateway.config.timeouts import timeout_problem
from image_gateway.config.versioned import VersionedConfig
from image_gateway.errors import Conflict, InvalidRequest, NotFound, TooLarge
from image_gateway.models.config import MASK
from image_gateway.models.fields import origin
from image_gateway.models.names import RESERVED_CONNECTIONS, RESERVED_WORKFLOWS

if TYPE_CHECKING:
    from image_gateway.models.connection_forms import ConnectionForm
    from image_gateway.models.price_forms import Prices
    from image_gateway.models.route_forms import RouteForm, Target

MAX_ENTRIES: Final = 500
"""Most entries of each section of a catalogue, so that a list of them fits into a response."""
_WITH_PARAMS: Final = ("openai", "automatic1111")


class CatalogueDraft:
    """A copy of the current catalogue and its keys, to be changed and then stored.

    Args:
        current: the current configuration.
        worker_seconds: how long a worker may run; 0: timeouts are not checked.

    Attributes:
        document: the content of the catalogue.
        keys: connection → its key.
    """

    def __init__(self, current: VersionedConfig, worker_seconds: float = 0) -> None:
        self.document: dict[str, Any] = copy.deepcopy(dict(current.catalogue.document))
        self.keys = dict(current.keys)
        self._config = current.config
        self._worker_seconds = worker_seconds

    def put_connection(self, name: str, form: "ConnectionForm") -> bool:
        """Store a connection under a name, in place of the one that has it, and return whether it is new.

        Raises:
            Conflict: the name is reserved, or a route refers to what the connection has no longer.
            InvalidRequest: the key would be sent to another server, is missing, or cannot be sent as `auth` says; or
                the timeout is too long for a worker.
        """
        if name in RESERVED_CONNECTIONS:
            raise _reserved("connection", name)
        self._check_timeout(form.timeout_seconds)
        for route, target in self._targets():
            if target.get("connection") == name and (problem := _target_problem(form.engine, target)):
                raise Conflict(f"The route {route} refers to the connection {name} and {problem}: change it first")
        key = self._key(name, form)
        created = self._put("connections", name, form.stored())
        self.keys.pop(name, None)
        if key:
            self.keys[name] = key
        return created

    def delete_connection(self, name: str) -> None:
        """Delete a connection and its key.

        Raises:
            NotFound: there is none with this name.
            Conflict: the name is reserved, or routes refer to the connection.
        """
        if name in RESERVED_CONNECTIONS:
            raise _reserved("connection", name)
        self._delete("connections", name, self._routes_with("connection", name))
        self.keys.pop(name, None)

    def put_route(self, name: str, form: "RouteForm") -> bool:
        """Store a route under a name, in place of the one that has it, and return whether it is new.

        Raises:
            InvalidRequest: a target's connection or workflow does not exist, or the connection's engine has no
                workflows or parameters.
        """
        for number, target in enumerate(form.targets):
            self._check_target(f"targets.{number}", target)
        return self._put("routes", name, form.stored())

    def delete_route(self, name: str) -> None:
        """Delete a route.

        Raises:
            NotFound: there is none with this name.
            Conflict: the configuration refers to the route.
        """
        fields = [field for field in ("IMAGE_GENERATION_MODEL", "IMAGE_EDIT_MODEL") if self._named_by(field) == name]
        if name in self._config.IMAGE_MODEL_ALIASES.values():
            fields.append("IMAGE_MODEL_ALIASES")
        self._delete("routes", name, fields)

    def put_workflow(self, name: str, digest: str) -> bool:
        """Store the hash of a workflow's content under a name, and return whether it is new.

        Raises:
            Conflict: the name is reserved.
        """
        if name in RESERVED_WORKFLOWS:
            raise _reserved("workflow", name)
        return self._put("workflows", name, digest)

    def delete_workflow(self, name: str) -> None:
        """Delete a workflow's name.

        Raises:
            NotFound: there is none with this name.
            Conflict: the name is reserved, or routes refer to the workflow.
        """
        if name in RESERVED_WORKFLOWS:
            raise _reserved("workflow", name)
        self._delete("workflows", name, self._routes_with("workflow", name))

    def put_prices(self, form: "Prices") -> None:
        """Replace the operator's prices."""
        self.document["prices"] = [row.model_dump(mode="json", exclude_none=True) for row in form.prices]
        if not form.prices:
            del self.document["prices"]

    def put_limits(self, *, limited: bool, unknown_price: str, events: Iterable[str]) -> None:
        """Store what the ledger has limits of, and what becomes of limited requests without a price.

        Args:
            limited: whether it has limits of the deployment.
            unknown_price: `zero` or `refuse`.
            events: the sources of events that have a budget.
        """
        self.document["limits"] = {"limited": limited, "unknown_price": unknown_price, "events": sorted(events)}

    def _put(self, section: str, name: str, value: Any) -> bool:
        entries = self._section(section)
        created = name not in entries
        if created and len(entries) >= MAX_ENTRIES:
            raise TooLarge(f"There are {MAX_ENTRIES} {section} already: delete one first")
        entries[name] = value
        return created

    def _delete(self, section: str, name: str, users: list[str]) -> None:
        kind = section.removesuffix("s")
        if name not in self._section(section):
            raise NotFound(f"There is no {kind} {name}")
        if users:
            raise Conflict(f"The {kind} {name} is used by {', '.join(users)}: change that first")
        del self._section(section)[name]

    def _section(self, section: str) -> dict[str, Any]:
        entries = self.document.setdefault(section, {})
        if not isinstance(entries, dict):
            raise Conflict(f"The stored {section} are a newer version's: deploy that version to change them")
        return entries

    def _key(self, name: str, form: "ConnectionForm") -> str:
        """Return the key that the connection has after the change."""
        if form.key is not None and form.key != MASK:
            return form.key
        key = self.keys.get(name, "")
        if form.auth == "none":
            return ""
        if not key:
            if form.key == MASK:
                raise InvalidRequest(f"key is masked, and no key of {name} is stored: send the key", field="key")
            return ""
        before = self._section("connections").get(name)
        before_url = before.get("base_url") if isinstance(before, dict) else None
        if not isinstance(before_url, str) or origin(before_url) != origin(form.base_url):
            raise InvalidRequest(
                "base_url moves to another server: send key again with it (an empty value removes it)", field="key"
            )
        if form.sends_pair and ":" not in key:
            raise InvalidRequest("key is no username:password: send one with auth basic", field="key")
        return key

    def _check_timeout(self, seconds: int | None) -> None:
        if seconds is None or not self._worker_seconds:
            return
        config = self._config.model_copy(update={"IMAGE_ENGINE_TIMEOUT": seconds})
        if problem := timeout_problem(config, self._worker_seconds):
            field = "timeout_seconds"
            raise InvalidRequest(problem.replace("IMAGE_ENGINE_TIMEOUT", field), field=field)

    def _check_target(self, field: str, target: "Target") -> None:
        engine = self._engine(target.connection)
        if engine is None:
            message = f"There is no connection {target.connection}: store it first"
            raise InvalidRequest(message, field=f"{field}.connection")
        if problem := _target_problem(engine, target.model_dump()):
            raise InvalidRequest(f"{field} {problem}", field=field)
        workflows = (*RESERVED_WORKFLOWS, *self._section("workflows"))
        if target.workflow is not None and target.workflow not in workflows:
            raise InvalidRequest(f"There is no workflow {target.workflow}: store it first", field=f"{field}.workflow")

    def _engine(self, connection: str) -> str | None:
        """Return the engine of a connection; None if there is none with this name."""
        if connection in RESERVED_CONNECTIONS:
            return connection.removesuffix("-edit")
        entry = self._section("connections").get(connection)
        return str(entry.get("engine")) if isinstance(entry, dict) else None

    def _routes_with(self, member: str, name: str) -> list[str]:
        """Return the routes with a target whose `connection` or `workflow` has this name."""
        routes = {f"the route {route}": None for route, target in self._targets() if target.get(member) == name}
        return list(routes)

    def _targets(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield all targets, each with its route, as far as this version can read them."""
        for name, route in self._section("routes").items():
            targets = route.get("targets") if isinstance(route, dict) else None
            for target in targets if isinstance(targets, list) else ():
                if isinstance(target, dict):
                    yield name, target

    def _named_by(self, field: str) -> str:
        return str(getattr(self._config, field))


def _target_problem(engine: str, target: Mapping[str, Any]) -> str | None:
    """Return why an engine cannot do a target; None if it can."""
    if target.get("workflow") is not None and engine != "comfyui":
        return f"names a workflow, and {engine} has none"
    if target.get("params") and engine not in _WITH_PARAMS:
        return f"has params, and {engine} takes none"
    return None


def _reserved(kind: str, name: str) -> Conflict:
    return Conflict(f"The {kind} {name} is fields of the configuration: change it by POST config/update")
