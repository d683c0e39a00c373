"""``docker compose up`` and ``pull``: the files of a registered project, their model, and what Compose makes of it.

Guarantees: an approval binds the model that Compose resolved and the digest of every file it is made of; what acts is
that model, handed over on standard input, so that no file is read any more (docs/decisions/0024). Images are fetched
by the digests that were resolved, and Compose itself pulls and builds nothing.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from wingman_core.command import ComposeFiles, ComposePullOperation, ComposeUpOperation, PullOperation, parse_argv
from wingman_core.command.lexer import shown
from wingman_core.errors import Code, CommandRefused, TargetRefused
from wingman_core.target import Reference, Target
from wingman_gateway.engine.act import pull
from wingman_gateway.engine.compose import containers_of, only, service_of
from wingman_gateway.engine.compose_binary import ComposeBinary
from wingman_gateway.engine.compose_files import copy, digests, project_files
from wingman_gateway.engine.compose_model import Model
from wingman_gateway.engine.compose_registry import Registered
from wingman_gateway.engine.connection import JSON, Connection, EngineRefused, segment
from wingman_gateway.engine.events import Event, Exit, Note, Output
from wingman_gateway.engine.private_place import private_place, sweep
from wingman_gateway.engine.resolve import resolve

HASH_LABEL: Final = "com.docker.compose.config-hash"
UP_NOTE: Final = "compose_up"
"""The services that ``up`` is about and the hash of each one's configuration, noted before it starts."""


class ComposeProjects:
    """The registered projects on one engine."""

    def __init__(
        self, connection: Connection, registry: Mapping[str, Registered], binary: ComposeBinary | None
    ) -> None:
        self._connection = connection
        self._registry = registry
        if registry:
            sweep()
        self._binary = binary

    async def resolve(self, op: ComposeFiles) -> tuple[Target, ...]:
        """Return the project with its model's digest and facts, then each object; raise ``TargetRefused``."""
        model = await self.model(op.project)
        services = meant(model, op)
        privileges = model.privileges(services) if isinstance(op, ComposeUpOperation) else ()
        project = Target(
            Reference("project", op.project),
            id=op.project,
            name=op.project,
            image_digest=model.digest,
            project=op.project,
            privileges=privileges,
        )
        images = await self._images(model, op, services)
        if isinstance(op, ComposePullOperation):
            return project, *images
        return project, *images, *await self._containers(model, op, services), *await self._joined(model, services)

    async def model(self, project: str) -> Model:
        """Read a project's files and have Compose resolve a private copy of them; raise ``TargetRefused``."""
        registered, binary = self._registered(project)
        with private_place() as place:
            files = await asyncio.to_thread(project_files, registered)
            await asyncio.to_thread(copy, files, place)
            chosen = [word for file in registered.files for word in ("--file", f"{place}/{file}")]
            code, stdout, stderr = await binary.ask(
                place, "--project-name", project, *chosen, "config", "--format", "json"
            )
        if code:
            raise _unusable(project, stderr.decode(errors="replace").replace(str(place), str(registered.directory)))
        text = stdout.decode().replace(str(place), json.dumps(str(registered.directory))[1:-1])
        document = _plain(json.loads(text))
        return Model(project, str(registered.directory), text.encode(), document, digests(files))

    async def hashes(self, model: Model) -> dict[str, str]:
        """Return the hash of each service's configuration, as Compose labels containers with it."""
        _, binary = self._registered(model.project)
        with private_place() as place:
            words = (*_given(model), "config", "--hash", "*")
            code, stdout, stderr = await binary.ask(place, *words, model=model.text)
        if code:
            raise _unusable(model.project, stderr.decode(errors="replace"))
        return dict(line.split() for line in stdout.decode().splitlines() if line)

    async def act(self, op: ComposeFiles, targets: Sequence[Target], note: Note) -> AsyncGenerator[Event]:
        """Fetch the images that were resolved; for ``up``, hand the approved model to Compose."""
        model = await self.model(op.project)
        if model.digest != targets[0].image_digest:
            raise TargetRefused(
                Code.TARGET_CHANGED,
                f"a file of the project {op.project!a} changed since it was approved",
                hint="ask for approval again; the preview shows what it is now",
            )
        code = 0
        for target in only(targets, "image"):
            if target.reference.role == "fetch":
                async for event in self._fetch(op, target):
                    if isinstance(event, Exit):
                        code = code or event.code
                    else:
                        yield event
                if not code and isinstance(op, ComposeUpOperation) and (lines := await self._brings(target)):
                    yield Output("stderr", f"wingman: {'; '.join(lines)}: {target.name}; nothing is started\n".encode())
                    code = 1
        if isinstance(op, ComposePullOperation):
            yield Exit(0 if op.ignore_pull_failures else code)
            return
        if code:
            yield Exit(code)
            return
        hashes = await self.hashes(model)
        await note(UP_NOTE, json.dumps({name: hashes.get(name, "") for name in meant(model, op)}))
        _, binary = self._registered(op.project)
        async with aclosing(binary.perform(*_given(model), *_up(op), model=model.text)) as events:
            async for event in events:
                yield event

    async def _fetch(self, op: ComposeFiles, target: Target) -> AsyncGenerator[Event]:
        quiet = isinstance(op, ComposePullOperation) and op.quiet
        try:
            async for event in pull(self._connection, PullOperation(image=target.name, quiet=quiet), target):
                yield event
        except EngineRefused as error:
            yield Output("stderr", f"Error response from daemon: {error.answer}\n".encode())
            yield Exit(1)

    async def _brings(self, fetched: Target) -> tuple[str, ...]:
        """Return how an image that nobody could look at before it was fetched reaches for the host."""
        (image,) = await resolve(self._connection, (Reference("image", fetched.name, "peer"),))
        return image.privileges

    def _registered(self, project: str) -> tuple[Registered, ComposeBinary]:
        registered = self._registry.get(project)
        if registered is None or self._binary is None:
            has = f"no project {project!a}" if self._registry else "no Compose projects"
            raise TargetRefused(
                Code.TARGET_NOT_FOUND,
                f"the gateway's registry has {has}",
                hint="name its directory in the file of WINGMAN_COMPOSE_PROJECTS, and start the gateway again",
                reference=project,
            )
        return registered, self._binary

    async def _images(self, model: Model, op: ComposeFiles, services: Sequence[str]) -> tuple[Target, ...]:
        wanted: dict[str, str] = {}
        for name in services:
            service = model.service(name)
            if service.get("build"):
                raise _unusable(model.project, f"the service {name} is built; nothing is built here, push an image")
            image = str(service.get("image", ""))
            policy = _policy(op, str(service.get("pull_policy") or "missing"))
            wanted[image] = "always" if "always" in {policy, wanted.get(image)} else policy
        return tuple(await asyncio.gather(*(self._image(*each, op) for each in sorted(wanted.items()))))

    async def _image(self, image: str, policy: str, op: ComposeFiles) -> Target:
        try:
            parsed = parse_argv(("docker", "run", image))
        except CommandRefused as error:
            raise _unusable(op.project, f"{shown(image)} is no image: {error.message}") from error
        name = getattr(parsed, "image", image)
        if policy != "always":
            try:
                await self._connection.ask("GET", f"images/{segment(name)}/json")
            except EngineRefused as error:
                if not error.not_found:
                    raise
                if policy == "never":
                    raise _unusable(op.project, f"the engine has no image {image!a}, and it is never pulled") from error
            else:
                return (await resolve(self._connection, (Reference("image", name, "peer"),)))[0]
        return (await resolve(self._connection, (Reference("image", name, "fetch"),)))[0]

    async def _containers(self, model: Model, op: ComposeUpOperation, services: Sequence[str]) -> tuple[Target, ...]:
        """Return the containers that are there, and one for each service that would get its first, or a new name."""
        listed = await containers_of(self._connection, op.project)
        known = model.document.get("services") or {}
        touched = [
            each
            for each in listed
            if service_of(each) in services or (op.remove_orphans and service_of(each) not in known)
        ]
        names = sorted(str(each["Names"][0]).removeprefix("/") for each in touched)
        there = await resolve(self._connection, tuple(Reference("container", name) for name in names))
        have = {service_of(each) for each in touched}
        named = {name: str(model.service(name).get("container_name") or "") for name in services}
        new = [name for name in services if name not in have or (named[name] and named[name] not in names)]
        return *there, *(_first(model, name) for name in new)

    async def _joined(self, model: Model, services: Sequence[str]) -> tuple[Target, ...]:
        """Return the networks and volumes that there are by the names that services use."""
        found: list[Target] = []
        for kind, one in (("networks", "network"), ("volumes", "volume")):
            for name in sorted({str(each.get("name", "")) for each in model.of(kind, services).values()}):
                reference = Reference("network" if one == "network" else "volume", name, "peer")
                try:
                    found += await resolve(self._connection, (reference,))
                except TargetRefused:
                    found.append(Target(reference, id="", name=name))
        return tuple(found)


def meant(model: Model, op: ComposeFiles) -> tuple[str, ...]:
    """Return the services that the command is about, with what they depend on where that starts as well."""
    dependencies = op.include_deps if isinstance(op, ComposePullOperation) else not op.no_deps
    return model.services(op.services, dependencies=dependencies)


def changes(
    op: ComposeUpOperation, service: str, config_hash: str, containers: Sequence[JSON], targets: Sequence[Target]
) -> str:
    """Say what ``up`` does with a service: ``creates``, ``recreates``, ``starts`` or ``leaves``."""
    mine = [each for each in containers if service_of(each) == service]
    if not mine:
        return "creates"
    images = {target.id for target in only(targets, "image") if target.reference.role == "peer"}
    stale = any(each["Labels"].get(HASH_LABEL) != config_hash or each["ImageID"] not in images for each in mine)
    if op.force_recreate or (stale and not op.no_recreate):
        return "recreates"
    return "leaves" if all(each["State"] == "running" for each in mine) else "starts"


def _policy(op: ComposeFiles, own: str) -> str:
    """Return ``always``, ``missing`` or ``never``; a policy that depends on time counts as ``always``."""
    if isinstance(op, ComposePullOperation):
        return op.policy or "always"
    policy = op.pull or own
    return {"missing": "missing", "if_not_present": "missing", "never": "never"}.get(policy, "always")


def _first(model: Model, name: str) -> Target:
    service = model.service(name)
    called = str(service.get("container_name") or f"{model.project}-{name}-1")
    labels = tuple(sorted((str(key), str(value)) for key, value in (service.get("labels") or {}).items()))
    return Target(
        Reference("container", called, "new"),
        id="",
        name=called,
        image=str(service.get("image", "")),
        project=model.project,
        labels=labels,
    )


def _given(model: Model) -> tuple[str, ...]:
    """Return the words that hand a model over on standard input: nothing is read from the project's directory."""
    directory = ("--project-directory", model.directory, "--env-file", "/dev/null")
    return "--project-name", model.project, *directory, "--file", "-"


def _up(op: ComposeUpOperation) -> tuple[str, ...]:
    words = ["up", "--detach", "--no-build", "--pull", "never"]
    switches = ("force_recreate", "no_deps", "no_recreate", "remove_orphans", "wait")
    words += [f"--{name.replace('_', '-')}" for name in switches if getattr(op, name)]
    words += [] if op.time is None else ["--timeout", str(op.time)]
    words += [] if op.wait_timeout is None else ["--wait-timeout", str(op.wait_timeout)]
    return *words, "--", *op.services


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Undo the escape of the dollar in a model that Compose wrote."""
    match value:
        case str():
            return value.replace("$$", "$")
        case list():
            return [_plain(each) for each in value]
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case _:
            return value


def _unusable(project: str, what: str) -> TargetRefused:
    lines = [line for line in what.splitlines() if line.strip()]
    reason = ascii(lines[-1][:300])[1:-1] if lines else "Compose gave no reason"
    return TargetRefused(
        Code.TARGET_NOT_FOUND,
        f"the project {project!a} cannot be used: {reason}",
        hint="have whoever keeps the project's files correct them",
        reference=project,
    )
