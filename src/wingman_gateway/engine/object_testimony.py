"""What Docker can say afterwards about the verbs on images, volumes, networks and names. Asks only, never acts (I13).

Guarantees: SUCCEEDED rests on the object as it is now where nothing else can have made it so (the execution's label, a
name that was free), else on an event since the intent; a state that may be older than the intent is UNKNOWN.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final, assert_never

from wingman_core.command import (
    ComposeDownOperation,
    ComposeRemoval,
    ComposeRmOperation,
    CreateOperation,
    NetworkConnectOperation,
    NetworkCreateOperation,
    NetworkDisconnectOperation,
    NetworkRmOperation,
    Prune,
    RenameOperation,
    RmiOperation,
    TagOperation,
    UpdateOperation,
    VolumeCreateOperation,
    VolumeRmOperation,
)
from wingman_core.target import Kind, Target
from wingman_gateway.engine.connection import JSON, Connection, EngineRefused, segment
from wingman_gateway.engine.create import EXECUTION_LABEL
from wingman_gateway.engine.events import Finding, Outcome
from wingman_gateway.engine.history import history
from wingman_gateway.engine.object_acts import ObjectAct, update_body

REMOVED: Final[dict[Kind, str]] = {
    "container": "destroy",
    "network": "destroy",
    "volume": "destroy",
    "image": "delete",
}


class ObjectWitness:
    """Judges one verb by what the engine knows now; ``without_effect`` is what no effect so far means."""

    def __init__(self, connection: Connection, intent_at: datetime, without_effect: Outcome) -> None:
        self._connection = connection
        self._intent_at = intent_at
        self._without_effect = without_effect

    async def judge(  # noqa: PLR0911 - one return a family of verbs
        self, op: ObjectAct | Prune | ComposeRemoval, targets: Sequence[Target], execution_id: str
    ) -> list[Finding]:
        """Return a finding per object; raise ``Unavailable``."""
        match op:
            case CreateOperation() | VolumeCreateOperation() | NetworkCreateOperation():
                return [await self._made(op, targets, f"{EXECUTION_LABEL}={execution_id}")]
            case RenameOperation():
                return [await self._renamed(op, targets[0])]
            case UpdateOperation():
                return [await self._updated(op, target) for target in targets]
            case TagOperation():
                return [await self._tagged(op, targets[0])]
            case RmiOperation():
                return [await self._untagged(target) for target in targets]
            case NetworkConnectOperation() | NetworkDisconnectOperation():
                return [await self._joined(targets[0], targets[1], joins=isinstance(op, NetworkConnectOperation))]
            case VolumeRmOperation() | NetworkRmOperation() | Prune() | ComposeRmOperation() | ComposeDownOperation():
                return [await self._removed(target) for target in targets if target.reference.kind != "project"]
            case _:
                assert_never(op)

    async def _made(
        self,
        op: CreateOperation | VolumeCreateOperation | NetworkCreateOperation,
        targets: Sequence[Target],
        label: str,
    ) -> Finding:
        """Find what it made by the execution's id in its label."""
        params = {"filters": json.dumps({"label": [label]})}
        match op:
            case CreateOperation():
                found = await self._connection.ask("GET", "containers/json", params={"all": "1", **params})
            case VolumeCreateOperation():
                found = (await self._connection.ask("GET", "volumes", params=params)).get("Volumes")
            case NetworkCreateOperation():
                found = await self._connection.ask("GET", "networks", params=params)
            case _:
                assert_never(op)
        if found:
            return "SUCCEEDED", 0, {"label": label, "id": found[0].get("Id", found[0].get("Name"))}
        if isinstance(op, VolumeCreateOperation) and targets and targets[0].id:
            return "SUCCEEDED", 0, {"volume": op.name, "said": "it existed before, and is left as it was"}
        return self._no_effect({"label": label, "said": "nothing carries the execution's label"})

    async def _renamed(self, op: RenameOperation, target: Target) -> Finding:
        found = await self._ask(f"containers/{target.id}/json")
        if found is None:
            return _gone(target)
        name = found["Name"].removeprefix("/")
        if name == op.name:  # it was free before, so that nothing but a rename can have given it
            return "SUCCEEDED", 0, {"id": target.id, "name": name}
        evidence = {"id": target.id, "name": name}
        return self._no_effect(evidence) if name == target.reference.name else ("UNKNOWN", None, evidence)

    async def _updated(self, op: UpdateOperation, target: Target) -> Finding:
        found = await self._ask(f"containers/{target.id}/json")
        if found is None:
            return _gone(target)
        wanted = update_body(op)
        now = {key: found["HostConfig"].get(key) for key in wanted}
        evidence = {"id": target.id, "limits": now}
        if now != wanted:
            return self._no_effect(evidence)
        return await self._with_event(evidence, "container", target.id, "update")

    async def _tagged(self, op: TagOperation, source: Target) -> Finding:
        found = await self._ask(f"images/{segment(op.target)}/json")
        evidence = {"image": op.target, "id": None if found is None else found["Id"], "wanted": source.id}
        return ("SUCCEEDED", 0, evidence) if evidence["id"] == source.id else self._no_effect(evidence)

    async def _untagged(self, target: Target) -> Finding:
        found = await self._ask(f"images/{segment(target.reference.name)}/json")
        evidence = {"image": target.reference.name, "id": target.id}
        if found is not None and found["Id"] == target.id:
            return self._no_effect({**evidence, "said": "it still has the name"})
        return await self._with_event(evidence, "image", target.id, "untag", "delete")

    async def _joined(self, network: Target, container: Target, *, joins: bool) -> Finding:
        found = await self._ask(f"containers/{container.id}/json")
        if found is None:
            return _gone(container)
        networks = (found.get("NetworkSettings") or {}).get("Networks") or {}
        is_on = network.id in {each.get("NetworkID") for each in networks.values()}
        is_on |= any(name in {network.id, network.reference.name} for name in networks)
        evidence = {"container": container.id, "network": network.id, "connected": is_on}
        if is_on is not joins:
            return self._no_effect(evidence)
        action = "connect" if joins else "disconnect"
        return await self._with_event(evidence, "network", network.id, action, container=container.id)

    async def _removed(self, target: Target) -> Finding:
        kind = target.reference.kind
        suffix = "/json" if kind in {"container", "image"} else ""
        found = await self._ask(f"{kind}s/{segment(target.id)}{suffix}")
        evidence = {"kind": kind, "id": target.id}
        if found is not None:
            return self._no_effect({**evidence, "said": "it is still there"})
        return await self._with_event(evidence, kind, target.id, REMOVED[kind])

    async def _with_event(
        self, evidence: JSON, kind: Kind, object_id: str, *actions: str, container: str = ""
    ) -> Finding:
        """Let the engine's own short history say whether it happened since the intent."""
        filters: dict[str, list[str]] = {"type": [kind], kind: [object_id], "event": list(actions)}
        remembered = await history(self._connection, filters, self._intent_at)
        events = [attributes for each in remembered.values() for attributes in each]
        if any(attributes.get("container", container) == container for attributes in events):
            return "SUCCEEDED", 0, {**evidence, "events": sorted(remembered)}
        return "UNKNOWN", None, {**evidence, "events": "none is remembered"}

    def _no_effect(self, evidence: JSON) -> Finding:
        return self._without_effect, 1 if self._without_effect == "FAILED" else None, evidence

    async def _ask(self, path: str) -> JSON | None:
        try:
            found: JSON = await self._connection.ask("GET", path)
        except EngineRefused as error:
            if not error.not_found:
                raise
            return None
        return found


def _gone(target: Target) -> Finding:
    return "UNKNOWN", None, {"id": target.id, "state": "gone"}
