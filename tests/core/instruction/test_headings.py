"""Lines that are headings, and lines that only begin like one."""

import pytest

from wingman_core.instruction.headings import BARE, LABEL, Section, bare_name_of, heading_of, names_in

D, S, R = Section.DELIVERABLES, Section.SUCCESS_CRITERIA, Section.RISK_ASSESSMENT
HEADINGS = {
    "DELIVERABLES: x": (D, LABEL, "x"),
    "DELIVERABLES:": (D, LABEL, ""),
    "DELIVERABLES:x": (D, LABEL, "x"),
    "DELIVERABLES: a: b": (D, LABEL, "a: b"),
    "Deliverables : x": (D, LABEL, "x"),
    "   deliverables: x": (D, LABEL, "x"),
    "deliverables\N{FULLWIDTH COLON}x": (D, LABEL, "x"),
    "SUCCESS_CRITERIA: x": (S, LABEL, "x"),
    "Success criteria: x": (S, LABEL, "x"),
    "success-criteria: x": (S, LABEL, "x"),
    "SUCCESS\N{NO-BREAK SPACE}CRITERIA: x": (S, LABEL, "x"),
    "SUCCESS\\_CRITERIA: x": (S, LABEL, "x"),
    "# DELIVERABLES": (D, 1, ""),
    "###### deliverables": (D, 6, ""),
    "##DELIVERABLES": (D, 2, ""),
    "## DELIVERABLES:": (D, 2, ""),
    "## DELIVERABLES: x": (D, 2, "x"),
    "## Deliverables ##": (D, 2, ""),
    "## Deliverables - x": (D, 2, "x"),
    "## Deliverables (draft)": (D, 2, ""),
    "## **Deliverables**": (D, 2, ""),
    "## **2. Deliverables**": (D, 2, ""),
    "## 2. Deliverables": (D, 2, ""),
    "## 2 Deliverables": (D, 2, ""),
    "## 2.1.3 Deliverables": (D, 2, ""),
    "## Section 2: Deliverables": (D, 2, ""),
    "## \N{PACKAGE} Deliverables": (D, 2, ""),
    "**DELIVERABLES**": (D, LABEL, ""),
    "**Deliverables**: x": (D, LABEL, "x"),
    "**Deliverables:** x": (D, LABEL, "x"),
    "**Deliverables (draft):** x": (D, LABEL, "x"),
    "**Deliverables** - x": (D, LABEL, "x"),
    "**Deliverables** \N{EM DASH} x": (D, LABEL, "x"),
    "**Deliverables: x**": (D, LABEL, "x**"),
    "__Deliverables__": (D, LABEL, ""),
    "***Deliverables***": (D, LABEL, ""),
    "*Deliverables*: x": (D, LABEL, "x"),
    "`DELIVERABLES`: x": (D, LABEL, "x"),
    "1. DELIVERABLES: x": (D, LABEL, "x"),
    "1. Deliverables": (D, LABEL, ""),
    "(1) Deliverables": (D, LABEL, ""),
    "1) Deliverables": (D, LABEL, ""),
    "1.2 Deliverables": (D, LABEL, ""),
    "a) Deliverables": (D, LABEL, ""),
    "IV. Risk assessment": (R, LABEL, ""),
    "- Deliverables: x": (D, LABEL, "x"),
    "* **Deliverables**": (D, LABEL, ""),
    "\N{BULLET} Deliverables: x": (D, LABEL, "x"),
    "+ [ ] Deliverables: x": (D, LABEL, "x"),
    "- [x] **Deliverables:** x": (D, LABEL, "x"),
    "DELIVERABLES": (D, BARE, ""),
    "DELIVERABLES  ": (D, BARE, ""),
    "## Something else": (None, 2, ""),
    "#": (None, 1, ""),
    "## Mitigation plan": (None, 2, ""),
    "## DELIVERABLES of phase two": (None, 2, ""),
    "## DELIVERABLES_LIST": (None, 2, ""),
}
NONE = [
    "",
    "   ",
    "Deliverables",
    "- Deliverables",
    "2 deliverables",
    "Deliverables are x",
    "Deliverables - x",
    "DELIVERABLES, BOUNDARIES: x",
    "The deliverables: x",
    "    DELIVERABLES: x",
    "\tDELIVERABLES: x",
    "DELIVERABLES_LIST: x",
    "NON_DELIVERABLES: x",
    "Mitigations: x",
    "TESTPROCESS: x",
    "TEST__PROCESS: x",
    "**Deliverables** are x",
    "**Deliverables x",
    "*Deliverables*",
    "`DELIVERABLES`",
    "**Deliverables*: x",
    "#hashtag DELIVERABLES",
    "####### DELIVERABLES",
    "D\N{CYRILLIC CAPITAL LETTER IE}LIVERABLES: x",
    "BO\N{LATIN SMALL LETTER LONG S}UNDARIES: x",
    "Deliverables? x",
    "| DELIVERABLES | x |",
    '"deliverables": "x"',
]


@pytest.mark.parametrize("line", HEADINGS)
def test_headings(line: str):
    assert heading_of(line) == HEADINGS[line]


@pytest.mark.parametrize("line", NONE)
def test_no_headings(line: str):
    assert heading_of(line) is None


@pytest.mark.parametrize("section", Section)
@pytest.mark.parametrize("form", ["{}: x", "# {}", "**{}**: x", "1. {}: x"])
def test_every_section_in_every_case(section: Section, form: str):
    for name in (section.value, section.lower(), section.title(), section.replace("_", " "), section.replace("_", "-")):
        heading = heading_of(form.format(name))
        assert heading is not None
        assert heading.section is section


@pytest.mark.parametrize(
    ("line", "section"),
    [
        ("Deliverables", D),
        ("**Deliverables**", D),
        ("1. Deliverables ", D),
        ("Deliverables x", None),
        ("## Boundaries", None),
    ],
)
def test_names_that_an_underline_makes_headings(line: str, section: Section | None):
    assert bare_name_of(line) is section


def test_names_anywhere():
    assert names_in("the success criteria, MITIGATIONS and deliverables.") == {S, D}
