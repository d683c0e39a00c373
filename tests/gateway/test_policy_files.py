"""Policy files and their cases: what does not hold together is refused with file, line and reason."""

import shutil
from importlib import resources
from pathlib import Path

import pytest

from wingman_core.errors import Code, PolicyInvalid
from wingman_gateway.policy import Policy

SHIPPED = Path(str(resources.files("wingman_gateway") / "policies"))
POLICY = '@id("a") @reason("A.")\npermit (principal, action, resource);\n'


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The shipped files, for a test to break."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "policies"))


def refused(directory: Path) -> PolicyInvalid:
    with pytest.raises(PolicyInvalid) as error:
        Policy.load(directory, "test")
    assert error.value.code is Code.POLICY_INVALID
    assert error.value.hint
    return error.value


@pytest.mark.parametrize(
    "name", ["schema.cedarschema", "everywhere.cedar", "test.cedar", "cases/everywhere.toml", "cases/test.toml"]
)
def test_a_missing_or_unreadable_file_is_named(name: str, directory: Path) -> None:
    (directory / name).write_bytes(b"\xff\xfe")
    assert name in refused(directory).message
    (directory / name).unlink()
    assert refused(directory).details["file"].endswith(name)


def test_another_environments_files_need_not_be_there(directory: Path) -> None:
    (directory / "prd.cedar").unlink()
    (directory / "cases" / "prd.toml").unlink()
    assert Policy.load(directory, "test").rules


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("// a comment; with a semicolon\n\npermit (", 3, "unexpected end of input"),
        (POLICY + "\nnonsense;\n", 4, "unexpected token"),
        (POLICY + '@id("b") @reason("B.")\npermit (principal, action == Action::"fly", resource);', 3, "fly"),
        (POLICY + '@id("b") @reason("B.") permit (principal, action, resource) when { resource.colour };', 3, "colour"),
        (POLICY + '@id("b") @reason("B.") permit (principal == ?principal, action, resource);', 3, "templates"),
        (POLICY + "permit (principal, action, resource);", 3, "no @id"),
        (POLICY + '@id("") @reason("x") permit (principal, action, resource);', 3, "no @id"),
        (POLICY + '\n\n@id("b")\npermit (principal, action, resource);', 5, "no @reason"),
        (POLICY + '@id("a") @reason("twice") forbid (principal, action, resource);', 3, '@id("a") is taken'),
        (POLICY + '@id("no-shell") @reason("twice") forbid (principal, action, resource);', 3, "everywhere.cedar"),
        ('@id("a") @reason("A.") forbid (principal, action, resource);', 1, "no policy permits anything"),
        ("", 1, "no policy permits anything"),
        ("// nothing but a comment", 1, "no policy permits anything"),
        (POLICY + '@id("b") @reason("a;b\\";c\n// d") permit (principal, action, nobody);', 3, "nobody"),
        (POLICY + '@id("b") @reason("unclosed', 3, ""),
    ],
)
def test_a_policy_that_does_not_hold_is_refused_at_its_line(text: str, line: int, reason: str, directory: Path) -> None:
    (directory / "test.cedar").write_text(text, encoding="utf-8")
    error = refused(directory)
    assert error.details == {"file": str(directory / "test.cedar"), "line": str(line)}
    assert error.message.startswith(f"{directory / 'test.cedar'}:{line}: ")
    assert reason in error.message


def test_a_schema_of_an_older_wingman_is_refused_with_the_way_out(directory: Path) -> None:
    path = directory / "schema.cedarschema"
    path.write_text(path.read_text(encoding="utf-8").replace('"rmi"', '"other"'), encoding="utf-8")
    message = refused(directory).message
    assert "no action for rmi: it is of an older Wingman" in message
    assert "wingman_gateway/policies" in message


def test_a_schema_that_does_not_parse_is_refused(directory: Path) -> None:
    (directory / "schema.cedarschema").write_text("entity ;", encoding="utf-8")
    assert "schema.cedarschema:1" in refused(directory).message


def test_strings_and_comments_do_not_end_a_statement(directory: Path) -> None:
    reason = 'semi;colon \\"quoted; // no comment'
    text = f'// it; is\n@id("a")\n@reason("{reason}") // why;\npermit (principal, action in Action::"read", resource);'
    one = '\n@id("one") @reason("One.") permit (principal, action, resource) when { context.approvals.people > 0 };'
    (directory / "test.cedar").write_text(text + one, encoding="utf-8")
    (directory / "cases" / "test.toml").write_text('[[case]]\ncommand = "docker ps"\nexpect = "automatic"\n')
    assert Policy.load(directory, "test").rules["a"].reason == 'semi;colon "quoted; // no comment'


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "case"),
        ("case = []", 1, "at least 1 item"),
        ("[[case]]\ncommand = \n", 2, "Invalid value"),
        ("x = 1 2", 1, "line 1"),
        ('[[case]]\ncommand = "docker ps"\n', 1, "expect"),
        ('[[case]]\ncommand = "docker ps"\nexpect = "automatic"\n\n[[case]]\ncommand = 1\nexpect = 1', 5, "command"),
        ('[[case]]\ncommand = "docker ps"\nexpect = 0\n', 1, "expect"),
        ('[[case]]\ncommand = "docker ps"\nexpect = "maybe"\n', 1, "expect"),
        ('[[case]]\ncommand = "docker ps"\nexpect = "automatic"\nextra = 1\n', 1, "extra"),
        ('\n\n[[case]]\ncommand = "docker fly"\nexpect = "forbidden"\n', 3, "is no command"),
        ('[[case]]\ncommand = "docker ps"\nexpect = 1\n', 1, "expected 1, found automatic (policies: test-reads;"),
        ('[[case]]\ncommand = "docker stop a"\nexpect = "automatic"\n', 1, "expected automatic, found 1"),
        ('[[case]]\ncommand = "docker stop a"\nexpect = 2\n', 1, "expected 2, found 1"),
        ('[[case]]\ncommand = "docker exec a sh -c x"\nexpect = 1\n', 1, "expected 1, found forbidden"),
        ('[[case]]\ncommand = "docker ps"\nexpect = "automatic"\nbecause = "luck"\n', 1, "expected luck to decide"),
        (
            '[[case]]\ncommand = "docker stop a"\nexpect = 1\nobjects.b.project = "x"\n',
            1,
            "names no object 'b'",
        ),
    ],
)
def test_a_case_that_does_not_come_true_is_refused_at_its_line(
    text: str, line: int, reason: str, directory: Path
) -> None:
    path = directory / "cases" / "test.toml"
    path.write_text(text, encoding="utf-8")
    error = refused(directory)
    assert error.message.startswith(f"{path}:{line}: ")
    assert reason in error.message


def test_an_edit_that_changes_a_verdict_is_seen(directory: Path) -> None:
    path = directory / "test.cedar"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("people >= 1", "people >= 2"), encoding="utf-8")
    assert "found 2" in refused(directory).message
    path.write_text(text.replace('Action::"read"', 'Action::"status_read"'), encoding="utf-8")
    assert "docker logs" in refused(directory).message
    path.write_text(text, encoding="utf-8")
    everywhere = directory / "everywhere.cedar"
    everywhere.write_text(everywhere.read_text(encoding="utf-8").replace("wingman-api-*", "x"), encoding="utf-8")
    assert "wingman-api-prd" in refused(directory).message
