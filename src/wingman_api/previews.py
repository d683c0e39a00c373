"""What people and programs see of a preview; kept with the request exactly as it was shown.

Guarantees: what is typed ``ShownCommand``, ``ShownText`` or ``ShownLabels`` holds no recognised secret, wherever its
value came from: the types hide it (I16).
"""

from collections.abc import Mapping
from typing import Annotated, Literal, assert_never

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from wingman_api.gateway import Preview
from wingman_core.command import Facts
from wingman_core.command.hidden import hide
from wingman_core.redaction import redact_text
from wingman_core.target import Kind, Role, Target
from wingman_core.verdict import Automatic, BlastRadius, Forbidden, NeedsPeople, Verdict

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="64 lowercase hex digits of SHA-256.")]
ShownCommand = Annotated[str, AfterValidator(hide)]
"""A command, its recognised secret values hidden and marked."""
ShownText = Annotated[str, AfterValidator(redact_text)]
"""A text of a worker that nothing runs, its recognised secrets redacted."""


def _shown_labels(labels: Mapping[str, str]) -> Mapping[str, str]:
    """Redact the values of labels whose names or formats tell of secrets."""
    return {name: redact_text(f"{name}={value}").removeprefix(f"{name}=") for name, value in labels.items()}


ShownLabels = Annotated[Mapping[str, str], AfterValidator(_shown_labels)]


class View(BaseModel):
    """A part of an answer: closed and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TargetView(View):
    """An object of the engine that the command names, as it was resolved."""

    kind: Kind
    reference: str = Field(description="As the worker wrote it.")
    role: Role = Field(description="object: acted on; peer: joined or read; new: to be made; fetch: to be pulled.")
    id: str = Field(description="The full id; empty where nothing exists yet.")
    name: str
    image: str
    image_digest: str
    project: str
    labels: ShownLabels = Field(description="Recognised secrets are redacted.")
    state: str
    privileges: tuple[str, ...] = Field(description="How the object itself already holds the host.")

    @classmethod
    def of(cls, target: Target) -> "TargetView":
        """Return the view of a resolved target."""
        return cls(
            kind=target.reference.kind,
            reference=target.reference.name,
            role=target.reference.role,
            id=target.id,
            name=target.name,
            image=target.image,
            image_digest=target.image_digest,
            project=target.project,
            labels=dict(target.labels),
            state=target.state,
            privileges=target.privileges,
        )


class FactsView(View):
    """What the command's text alone says."""

    verb: str
    effect: Literal["read", "lifecycle", "change", "destroy"]
    privileges: tuple[str, ...]
    shell: tuple[ShownCommand, ...]
    images: tuple[str, ...]
    mounts: tuple[str, ...]

    @classmethod
    def of(cls, facts: Facts) -> "FactsView":
        """Return the view of an operation's facts."""
        return cls(
            verb=facts.verb,
            effect=facts.effect,
            privileges=facts.privileges,
            shell=facts.shell,
            images=facts.images,
            mounts=facts.mounts,
        )


class BlastRadiusView(View):
    """The consequences a person approves."""

    summary: str
    reversible: bool
    stops: tuple[str, ...]
    ports_dropped: tuple[str, ...]
    dependents: tuple[str, ...]
    data_lost: tuple[str, ...]
    expected_time: str = Field(
        default="", description="A range and its ground, or `unknown` and why; empty for what only reads."
    )

    @classmethod
    def of(cls, radius: BlastRadius) -> "BlastRadiusView":
        """Return the view of the consequences."""
        return cls(
            summary=radius.summary,
            reversible=radius.reversible,
            stops=radius.stops,
            ports_dropped=radius.ports_dropped,
            dependents=radius.dependents,
            data_lost=radius.data_lost,
            expected_time=radius.expected_time,
        )


class VerdictView(View):
    """What the policy says, and which rule of it."""

    outcome: Literal["automatic", "people", "forbidden"]
    people: int = Field(ge=0, description="How many distinct people must approve.")
    policies: tuple[str, ...]
    reason: str

    @classmethod
    def of(cls, verdict: Verdict) -> "VerdictView":
        """Return the view of a verdict."""
        match verdict:
            case Automatic(policies, reason):
                return cls(outcome="automatic", people=0, policies=policies, reason=reason)
            case NeedsPeople(people, policies, reason):
                return cls(outcome="people", people=people, policies=policies, reason=reason)
            case Forbidden(policies, reason):
                return cls(outcome="forbidden", people=0, policies=policies, reason=reason)
            case _:
                assert_never(verdict)


class PreviewView(View):
    """A command as it would run now."""

    canonical_command: ShownCommand = Field(
        description="Recognised secret values show as `[REDACTED sha256:1a2b3c4d]`; the digest covers the true command."
    )
    operation_digest: Digest
    targets: tuple[TargetView, ...]
    target_digest: Digest
    facts: FactsView
    blast_radius: BlastRadiusView
    verdict: VerdictView

    @classmethod
    def of(cls, preview: Preview) -> "PreviewView":
        """Return the view of a preview."""
        return cls(
            canonical_command=preview.canonical_command,
            operation_digest=preview.operation_digest,
            targets=tuple(TargetView.of(target) for target in preview.targets),
            target_digest=preview.target_digest,
            facts=FactsView.of(preview.facts),
            blast_radius=BlastRadiusView.of(preview.blast_radius),
            verdict=VerdictView.of(preview.verdict),
        )
