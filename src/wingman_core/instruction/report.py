"""What the gate says of an instruction: sections, score, policy checks, findings; ``check`` makes it.

Guarantees: ten points a section, approved from ``PASSES`` with every policy check true; the same text has the same
report, in time linear in its length; no finding holds what it found. A section in whose lines a secret was
found is present, but its text is withheld. Does not: log, store, or take the text for true.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, islice
from typing import Final

from wingman_core.instruction import danger, force, outline, secrets
from wingman_core.instruction.commands import Script
from wingman_core.instruction.findings import MOST, Check, Finding, Suspect
from wingman_core.instruction.headings import Section
from wingman_core.instruction.needles import Needles
from wingman_core.instruction.prohibition import Prohibitions
from wingman_core.instruction.sections import Part, sections_of

POINTS: Final = 10
"""For each section."""
PASSES: Final = 80
WITHHELD: Final = "its text is withheld: a secret stands in it"


class _Topic(StrEnum):
    """What a needle is looked up for."""

    HEADING = "heading"
    LONG_FLAG = "long flag"
    SHORT_FLAG = "short flag"
    FORCE_VERB = "force verb"
    DANGER = "danger"
    TELLING_NAME = "telling name"
    TOKEN = "token"  # noqa: S105 - a topic, not a secret

    __hash__ = str.__hash__


Places = Mapping[_Topic, Sequence[int]]

_NEEDLES: Final = Needles(
    {
        _Topic.HEADING: outline.NEEDLES,
        _Topic.LONG_FLAG: force.LONG_NEEDLES,
        _Topic.SHORT_FLAG: force.SHORT_NEEDLES,
        _Topic.FORCE_VERB: force.VERB_NEEDLES,
        _Topic.DANGER: danger.NEEDLES,
        _Topic.TELLING_NAME: secrets.NAME_NEEDLES,
        _Topic.TOKEN: secrets.NEEDLES,
    }
)


@dataclass(frozen=True, slots=True)
class Standing:
    """The result in short: what a vote on the risk of an instruction, or a line in a log, is made from."""

    score: int
    """0 to 100."""
    missing: tuple[Section, ...]
    failed: tuple[Check, ...]

    @property
    def approved(self) -> bool:
        """Whether the gate lets it through."""
        return self.score >= PASSES and not self.failed


@dataclass(frozen=True, slots=True)
class Report:
    """The whole result."""

    standing: Standing
    sections: Mapping[Section, Part]
    withheld: frozenset[Section]
    """Sections that hold a secret: their text is shown to nobody."""
    findings: tuple[Finding, ...]
    """By line; at most ``MOST`` of each check."""


def check(text: str, scanners: Sequence[secrets.Scan] = ()) -> Report:
    """Check an instruction. ``scanners`` look for secrets beside the forms that the core knows."""
    script = Script(text)
    places = _NEEDLES.find(script.lower)
    sections = sections_of(script.plain, places[_Topic.HEADING])
    found = {
        Check.NO_FORCE_FLAGS: _force(script, places),
        Check.NO_HARDCODED_SECRETS: _secrets(script, places, scanners),
        Check.NO_DANGEROUS_COMMANDS: _danger(script, places),
        Check.HAS_MITIGATION_PLAN: _mitigation(sections),
    }
    present = sum(part.is_present for part in sections.values())
    standing = Standing(
        score=POINTS * present,
        missing=tuple(section for section, part in sections.items() if not part.is_present),
        failed=tuple(each for each, findings in found.items() if findings),
    )
    findings = tuple(sorted(finding for each in found.values() for finding in each))
    return Report(standing, sections, _withheld(sections, found[Check.NO_HARDCODED_SECRETS]), findings)


def _withheld(sections: Mapping[Section, Part], found: Sequence[Finding]) -> frozenset[Section]:
    """Return the sections with a secret; all of them where there are too many to know every line."""
    if not found:
        return frozenset()
    if len(found) >= MOST:
        return frozenset(sections)
    exposed = {finding.line for finding in found}
    return frozenset(
        section
        for section, part in sections.items()
        if any(first <= line <= last for line in exposed for first, last in part.spans)
    )


def _force(script: Script, places: Places) -> Sequence[Finding]:
    long = force.long_flags(script, places[_Topic.LONG_FLAG])
    short = force.short_flags(script, places[_Topic.SHORT_FLAG], places[_Topic.FORCE_VERB])
    return _findings(Check.NO_FORCE_FLAGS, script, chain(long, short))


def _danger(script: Script, places: Places) -> Sequence[Finding]:
    return _findings(Check.NO_DANGEROUS_COMMANDS, script, danger.suspects(script, places[_Topic.DANGER]))


def _findings(check: Check, script: Script, suspects: Iterable[Suspect]) -> Sequence[Finding]:
    """Return the findings among suspects: those that the text does not forbid, one a place."""
    prohibitions, seen = Prohibitions(script), set[int]()

    def kept() -> Iterator[Finding]:
        for suspect in suspects:
            if suspect.start not in seen and not prohibitions.forbids(suspect):
                seen.add(suspect.start)
                yield Finding(script.line_of(suspect.start), check, suspect.rule, suspect.message)

    return tuple(islice(kept(), MOST))


def _secrets(script: Script, places: Places, scanners: Sequence[secrets.Scan]) -> Sequence[Finding]:
    """Return one finding for each line with a secret: what knew it first."""
    hits = chain(
        secrets.scan(script, places[_Topic.TELLING_NAME], places[_Topic.TOKEN]),
        *(scan(script) for scan in scanners),
    )
    found: dict[int, Finding] = {}
    for hit in hits:
        line = script.line_of(hit.at)
        found.setdefault(line, Finding(line, Check.NO_HARDCODED_SECRETS, hit.rule, hit.message))
        if len(found) >= MOST:
            break
    return tuple(found.values())


def _mitigation(sections: Mapping[Section, Part]) -> Sequence[Finding]:
    part = sections[Section.MITIGATION]
    if part.is_present:
        return ()
    message = f"there is no mitigation plan: {part.problem}"
    return (Finding(part.line, Check.HAS_MITIGATION_PLAN, "mitigation-missing", message),)
