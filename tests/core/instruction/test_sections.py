"""Where sections begin and end, what their text is, and what is wrong with those that are missing."""

import pytest

from wingman_core.instruction.headings import Section
from wingman_core.instruction.report import check
from wingman_core.instruction.sections import Part

D, S, B, M = Section.DELIVERABLES, Section.SUCCESS_CRITERIA, Section.BOUNDARIES, Section.MITIGATION


def part(text: str, section: Section = D) -> Part:
    return check(text).sections[section]


def test_all_ten_are_reported_in_their_order():
    assert list(check("").sections) == list(Section)
    assert list(check("QUALITY_METRICS: x\nDELIVERABLES: x").sections) == list(Section)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DELIVERABLES: x", "x"),
        ("DELIVERABLES: x\ny\n\nz\n\n", "x\ny\n\nz"),
        ("## DELIVERABLES\nx", "x"),
        ("## DELIVERABLES\n\nx\n\n## Other\ny", "x"),
        ("## DELIVERABLES\nx\n### Files\ny", "x\n### Files\ny"),
        ("## DELIVERABLES\nx\n# Other\ny", "x"),
        ("DELIVERABLES:\nx\n###### Other\ny", "x"),
        ("DELIVERABLES: x\nNote: y", "x\nNote: y"),
        ("DELIVERABLES\n===\nx\n===\ny", ""),
        ("Deliverables\n---\nx\n\ny", "x\n\ny"),
        ("# Title\nDELIVERABLES\nx", "x"),
        ("a\n\nDELIVERABLES\nx", "x"),
        ("## DELIVERABLES\n```\ncode\n```\nx", "```\ncode\n```\nx"),
        ("## DELIVERABLES\n> x", "> x"),
        ("## DELIVERABLES\n<!-- y --> x", "<!-- y --> x"),
        ("DELIVERABLES: x\r\ny\r\nBOUNDARIES: z", "x\ny"),
        ("DELIVERABLES: x\ry", "x\ny"),
        ("\ufeffDELIVERABLES: x", "x"),
        ("  DELIVERABLES: x\n    y\n", "x\n  y"),
        ("\n\tDELIVERABLES: x\n\t\ty\n", "x\n\ty"),
        ("DELIVERABLES: a\nBOUNDARIES: b\nDELIVERABLES: c", "a\n\nc"),
        ("DELIVERABLES:\nDELIVERABLES: c", "c"),
        ("DELIVERABLES: a\nDELIVERABLES:", "a"),
        ("1. DELIVERABLES: x\n   y\n2. BOUNDARIES: z", "x\n   y"),
        ("DELIVERABLES: \N{FAMILY}\u200d\N{BOY}", "\N{FAMILY}\u200d\N{BOY}"),
    ],
)
def test_the_text(text: str, expected: str):
    assert part(text).text == expected
    assert part(text).is_present is bool(expected)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "\n\n",
        " \t ",
        "---",
        "- \n- ",
        "...",
        "\u200b",
        "```\n```",
        "~~~\n~~~",
        "<!-- x -->",
        "<!--\nx\n-->",
        "### Files",
    ],
)
def test_what_says_nothing_is_no_text(body: str):
    found = part(f"## DELIVERABLES\n{body}\n")
    assert (found.text, found.problem) == ("", "there is no text under the heading on line 1")


def test_a_comment_behind_the_name_is_no_text():
    assert not part("DELIVERABLES: <!-- x -->").is_present


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no heading says DELIVERABLES"),
        ("\nDELIVERABLES:\n", "there is no text under the heading on line 2"),
        ("a\nthe deliverables are x", "line 2 names it in a sentence: that is no heading"),
        ("```\nDELIVERABLES: x\n```", "line 2 names it in a code block, a quotation or a comment: that is no heading"),
        ("> DELIVERABLES: x", "line 1 names it in a code block, a quotation or a comment: that is no heading"),
        ("<!--\nDELIVERABLES: x\n-->", "line 2 names it in a code block, a quotation or a comment: that is no heading"),
    ],
)
def test_what_is_wrong(text: str, problem: str):
    assert part(text).problem == problem
    assert part(text).line == (2 if "under" in problem else 0)


@pytest.mark.parametrize(
    "text",
    [
        "```\nDELIVERABLES: x",
        "~~~\n```\nDELIVERABLES: x\n~~~",
        "````\n```\nDELIVERABLES: x\n````",
        "- ```sh\n  DELIVERABLES: x\n  ```",
        "```sh\n``` x\nDELIVERABLES: x\n```",
        "<!-- a\nDELIVERABLES: x",
    ],
)
def test_blocks_that_hold_no_heading(text: str):
    assert not part(text).is_present


@pytest.mark.parametrize(
    "text", ["```x``` is code\nDELIVERABLES: x", "<!-- a --> b\nDELIVERABLES: x", "```\n```\nDELIVERABLES: x"]
)
def test_blocks_that_are_over(text: str):
    assert part(text).text == "x"


def test_lines_and_spans():
    report = check("a\n\nDELIVERABLES: x\ny\nBoundaries\n----------\nz\n\nDELIVERABLES:\n")
    deliverables, boundaries = report.sections[D], report.sections[B]
    assert (deliverables.line, deliverables.spans) == (3, ((3, 4), (9, 10)))
    assert (boundaries.line, boundaries.spans) == (5, ((5, 8),))


def test_an_underline_under_prose_is_a_rule_and_one_under_a_title_ends_a_section():
    assert part("DELIVERABLES:\nsome words\n---\nmore").text == "some words\n---\nmore"
    assert part("DELIVERABLES: x\nTitle\n=====\nmore").text == "x"
    assert part("DELIVERABLES: x\n\n=====\nmore").text == "x\n\n=====\nmore"


def test_letters_that_change_their_length_in_lower_case_do_not_shift_anything():
    text = "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}" * 5 + "\nDELIVERABLES: x\nMITIGATION: docker rm -f web"
    report = check(text)
    assert (report.sections[D].text, report.sections[M].line) == ("x", 3)
    assert [finding.line for finding in report.findings] == [3]
