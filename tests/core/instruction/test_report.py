"""The gate as a whole: score, standing, findings, and what is never shown."""

import pytest

from wingman_core.instruction.commands import Script
from wingman_core.instruction.findings import MOST, Check, Finding
from wingman_core.instruction.headings import Section
from wingman_core.instruction.report import Standing, check
from wingman_core.instruction.secrets import Hit

TEN = "\n".join(f"{section}: x" for section in Section)
SECRETS, FORCE, DANGER = Check.NO_HARDCODED_SECRETS, Check.NO_FORCE_FLAGS, Check.NO_DANGEROUS_COMMANDS


def test_ten_sections_of_one_letter_pass():
    report = check(TEN)
    assert report.standing == Standing(100, (), ())
    assert report.standing.approved
    assert report.findings == ()
    assert {part.text for part in report.sections.values()} == {"x"}


@pytest.mark.parametrize(("missing", "approved"), [(0, True), (1, True), (2, True), (3, False), (9, False)])
def test_ten_points_a_section_and_approved_from_eighty(missing: int, approved: bool):
    left_out = [section for section in Section if section is not Section.MITIGATION][:missing]
    standing = check("\n".join(f"{section}: x" for section in Section if section not in left_out)).standing
    assert (standing.score, standing.missing, standing.approved) == (100 - 10 * missing, tuple(left_out), approved)


def test_without_mitigation_nothing_passes():
    report = check(TEN.replace("MITIGATION: x\n", ""))
    assert (report.standing.score, report.standing.approved) == (90, False)
    assert report.standing.failed == (Check.HAS_MITIGATION_PLAN,)
    assert report.findings == (
        Finding(
            0,
            Check.HAS_MITIGATION_PLAN,
            "mitigation-missing",
            "there is no mitigation plan: no heading says MITIGATION",
        ),
    )


@pytest.mark.parametrize(
    ("line", "failed"),
    [("docker rm -f web", FORCE), ("DB_PASSWORD=hunter2", SECRETS), ("docker system prune -a", DANGER)],
)
def test_one_broken_policy_fails_it(line: str, failed: Check):
    standing = check(f"{TEN}\n{line}").standing
    assert (standing.score, standing.failed, standing.approved) == (100, (failed,), False)


def test_findings_come_by_line():
    text = f"docker system prune -af\nDB_PASSWORD=hunter2\n{TEN}\ndocker rm -f web"
    found = [(finding.line, finding.check) for finding in check(text).findings]
    assert found == [(1, DANGER), (1, FORCE), (2, SECRETS), (13, FORCE)]


@pytest.mark.parametrize(
    ("line", "check_", "seen"),
    [("docker rm -f web", FORCE, MOST), ("docker volume prune", DANGER, MOST), ("password=hunter2", SECRETS, MOST)],
)
def test_findings_are_cut_and_the_check_fails_all_the_same(line: str, check_: Check, seen: int):
    report = check(f"{line}\n" * (MOST + 30))
    assert [finding.check for finding in report.findings].count(check_) == seen
    assert check_ in report.standing.failed


def test_a_section_with_a_secret_is_there_and_its_text_is_not_shown():
    report = check("DELIVERABLES: a\ntoken=hunter22\nBOUNDARIES: b\nMITIGATION: password=hunter22\nDELIVERABLES: c")
    assert report.withheld == {Section.DELIVERABLES, Section.MITIGATION}
    assert report.standing.score == 30


def test_where_secrets_are_too_many_to_know_them_all_everything_is_withheld():
    report = check("password=hunter2\n" * MOST + TEN)
    assert report.withheld == set(Section)


def test_no_message_repeats_what_it_found():
    lines = (
        "password=hunter2XYZ",
        "docker rm -f hunter2XYZ",
        "rm -r /hunter2XYZ /",
        "mkfs.hunter2XYZ /x",
        "--force-hunter2XYZ",
    )
    text = "\n".join(lines)
    report = check(text)
    assert len(report.findings) >= 5
    assert all("hunter2" not in finding.message + finding.rule for finding in report.findings)


def test_other_scanners_are_asked_too():
    asked: list[str] = []

    def scan(script: Script) -> list[Hit]:
        asked.append(script.text)
        return [Hit(script.text.index("zebra"), "animal", "an animal")] * (MOST + 1)

    report = check(f"{TEN}\nthe zebra", [scan, scan])
    assert asked == [f"{TEN}\nthe zebra"] * 2
    assert report.findings == (Finding(11, SECRETS, "animal", "an animal"),)
    assert report.withheld == {Section.QUALITY_METRICS}


def test_the_same_text_has_the_same_report():
    text = f"{TEN}\ndocker rm -f web\npassword=hunter2"
    assert check(text) == check(text)


@pytest.mark.parametrize(
    "text", ["", "\n", "\ufeff", " ", "\r\r\n", "\x00", "\ud800", "\N{PILE OF POO}" * 9, "\v\f\x85\u2028"]
)
def test_any_text_has_a_report(text: str):
    assert check(text).standing.score == 0
