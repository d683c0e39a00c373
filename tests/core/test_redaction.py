"""What looks secret does not come out, however the output was cut; the rest comes out unchanged.

Examples of real formats are put together here, so that no scanner takes them for leaks.
"""

import time
import timeit
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wingman_core.redaction import (
    MARKER,
    MAX_HELD,
    MAX_PEM,
    TAIL,
    Redactor,
    redact_environment,
    redact_json,
    redact_text,
    redact_words,
)
from wingman_core.secret_forms import secrets_in

DASHES = "-" * 5
BEGIN, END = f"{DASHES}BEGIN RSA PRIVATE KEY{DASHES}", f"{DASHES}END RSA PRIVATE KEY{DASHES}"
LETTERS = "Ab1" * 20

REDACTED = {
    # Assignments: an unquoted value ends at white space, or at the line's end where its name begins the line.
    "DB_PASSWORD=hunter2": "DB_PASSWORD=[redacted]",
    "DB_PASSWORD=correct horse battery": "DB_PASSWORD=[redacted]",
    "  export API_KEY=a b": "  export API_KEY=[redacted]",
    "declare -x DB_PASS='a b'": "declare -x DB_PASS='[redacted]'",
    "- CLIENT_SECRET=a b": "- CLIENT_SECRET=[redacted]",
    "at 12:00 token=abc user=bob": "at 12:00 token=[redacted] user=bob",
    "password: hunter2": "password: [redacted]",
    "user bob, password: hunter2 is wrong": "user bob, password: [redacted] is wrong",
    "PGPASSWORD=x": "PGPASSWORD=[redacted]",
    "PASS=hunter2 and more": "PASS=[redacted]",
    "  -e pass=hunter2": "  -e pass=[redacted]",
    "see dbpass=hunter2 x": "see dbpass=[redacted] x",
    "see smtpPass: hunter2 x": "see smtpPass: [redacted] x",
    "see userpwd=bob:hunter2 x": "see userpwd=[redacted] x",
    "ssh_key := abc": "ssh_key := [redacted]",
    "api-key => abc": "api-key => [redacted]",
    "AccountKey=abc;": "AccountKey=[redacted]",
    "see DB_PWD=x": "see DB_PWD=[redacted]",
    "see Passphrase = x": "see Passphrase = [redacted]",
    "see SENTRY_DSN=x": "see SENTRY_DSN=[redacted]",
    "see connection_string=x": "see connection_string=[redacted]",
    "see session-id=x": "see session-id=[redacted]",
    "see X-Amz-Signature=x": "see X-Amz-Signature=[redacted]",
    "see credentials=x": "see credentials=[redacted]",
    "see _authToken=x": "see _authToken=[redacted]",
    "see AUTH=x": "see AUTH=[redacted]",
    'password="a \\" b" c': 'password="[redacted]" c',
    "password='a b' c": "password='[redacted]' c",
    'password="never closed and on': 'password="[redacted]',
    # JSON, and JSON in JSON.
    '{"password":"x\\"y","user":"u"}': '{"password":"[redacted]","user":"u"}',
    '{"password" : "x", "user":"u"}': '{"password" : "[redacted]", "user":"u"}',
    '{"token":123,"n":1}': '{"token":"[redacted]","n":1}',
    '{"a":1,"token":-1.5e3}': '{"a":1,"token":"[redacted]"}',
    '["DB_PASSWORD=a b","X=1"]': '["DB_PASSWORD=[redacted]","X=1"]',
    "['DB_PASSWORD=a b', 'X=1']": "['DB_PASSWORD=[redacted]', 'X=1']",
    '["PASS=a b","X=1"]': '["PASS=[redacted]","X=1"]',
    '{"pass": "hunter2"}': '{"pass": "[redacted]"}',
    '{"pwd":"hunter2","n":1}': '{"pwd":"[redacted]","n":1}',
    "{'pass': 'x', 'PWD' : 'y'}": "{'pass': '[redacted]', 'PWD' : '[redacted]'}",
    '{\\"pass\\":\\"x\\",\\"u\\":1}': '{\\"pass\\":\\"[redacted]\\",\\"u\\":1}',
    '{"dbpass":"x"}': '{"dbpass":"[redacted]"}',
    "{'password': 'x', 'user': 1}": "{'password': '[redacted]', 'user': 1}",
    '{\\"password\\":\\"x\\",\\"u\\":1}': '{\\"password\\":\\"[redacted]\\",\\"u\\":1}',
    '"url": "https://h/?token=a&b=c", "n": 1': '"url": "https://h/?token=[redacted]", "n": 1',
    # Headers and cookies.
    "Authorization: Bearer abc def": "Authorization: [redacted]",
    "> authorization:Basic abc": "> authorization:[redacted]",
    "< Set-Cookie: a=b; Path=/": "< Set-Cookie: [redacted]",
    'curl -H "Authorization: Bearer abc" -v': 'curl -H "Authorization: [redacted]" -v',
    "curl -H 'Cookie: a=b' -v": "curl -H 'Cookie: [redacted]' -v",
    '"Authorization": "Basic abc", "b": 1': '"Authorization": "[redacted]", "b": 1',
    # Flags, as a list of processes shows them.
    "1 root mysqld --password hunter2 --port 1": "1 root mysqld --password [redacted] --port 1",
    "curl --oauth2-access-token 'a b' x": "curl --oauth2-access-token '[redacted]' x",
    "x --db-password=hunter2 y": "x --db-password=[redacted] y",
    "x --pass hunter2 --pwd 'a b' y": "x --pass [redacted] --pwd '[redacted]' y",
    "redis --requirepass hunter2 --masterauth x": "redis --requirepass [redacted] --masterauth [redacted]",
    "consul agent -token hunter2 -ui": "consul agent -token [redacted] -ui",
    "sh -c 'ping --password hunter2' x": "sh -c 'ping --password [redacted]' x",
    'CONTAINER "mysqld --password hunter2" 2 days ago': 'CONTAINER "mysqld --password [redacted]" 2 days ago',
    '{"Command":"\\"mysqld --password hunter2\\"","n":1}': '{"Command":"\\"mysqld --password [redacted]\\"","n":1}',
    # The same as a list, as JSON, Python and Dockerfiles have it, and as the kernel does.
    '["mysqld","--password","hunter2","--port","1"]': '["mysqld","--password","[redacted]","--port","1"]',
    '["mysqld", "--password", "a b"]': '["mysqld", "--password", "[redacted]"]',
    "['x', '-token', 'hunter2', 'y']": "['x', '-token', '[redacted]', 'y']",
    '"{\\"Cmd\\":[\\"--token\\",\\"hunter2\\"]}"': '"{\\"Cmd\\":[\\"--token\\",\\"[redacted]\\"]}"',
    '#(nop)  CMD ["mysqld" "--password" "hunter2"]': '#(nop)  CMD ["mysqld" "--password" "[redacted]"]',
    "mysqld\0--password\0hunter2\0--port": "mysqld\0--password\0[redacted]\0--port",
    # URLs.
    "postgres://user:p@ss/w:rd@host/db": "postgres://user:[redacted]@host/db",
    "redis://:secret@host:6379": "redis://:[redacted]@host:6379",
    "amqp://a:b@h1,amqp://c:d@h2 x": "amqp://a:[redacted]@h2 x",
    "http://h/p,ftp://a:b@h": "http://h/p,ftp://a:[redacted]@h",
    f"https://{'t' * 20}@host/x": "https://[redacted]@host/x",
    '"postgres://user:pass@host"': '"postgres://user:[redacted]@host"',
    # Formats.
    "key AK" + "IA" + "A1" * 8 + ".": "key [redacted].",
    "x gh" + f"p_{LETTERS[:36]} y": "x [redacted] y",
    "x github" + f"_pat_{LETTERS} y": "x [redacted] y",
    "x gl" + "pat-" + LETTERS[:20]: "x [redacted]",
    "x xox" + f"b-1234567890-{LETTERS[:12]} y": "x [redacted] y",
    "x xap" + "p-1-" + LETTERS[:20]: "x [redacted]",
    "x AI" + "za" + LETTERS[:35]: "x [redacted]",
    "x sk" + "_live_" + LETTERS[:24]: "x [redacted]",
    "x s" + "k-proj-" + LETTERS[:40]: "x [redacted]",
    "x np" + "m_" + LETTERS[:36]: "x [redacted]",
    "x eyJ" + "hbGciOiJFUzI1NiJ9.eyJ" + "zdWIiOiJ4In0.c2lnbmF0dXJl y": "x [redacted] y",
    "x eyJ" + "hbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn y": "x eyJ" + "hbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn y",
    "x w" + f"m_k1_{LETTERS} y": "x [redacted] y",
    "bot 123456789" + f":AA{LETTERS[:33]} y": "bot [redacted] y",
    # Private keys, in one line and over several.
    f"{BEGIN}\nabc\ndef\n{END}\nnext": "[redacted]\n\nnext",
    f"a {BEGIN}\nabc\n{END} b {BEGIN}\nabc\n{END}\nnext": "a [redacted]\n b [redacted]\n\nnext",
    f'{{"k":"{BEGIN}\\nabc\\n{END}\\n","n":1}}': '{"k":"[redacted]\\n","n":1}',
    f"{BEGIN} abc {END} {BEGIN} def {END} x": "[redacted] x",
    f"{BEGIN}\nabc": "[redacted]\n",
    f"{DASHES}BEGIN PRIVATE KEY{DASHES}\r\nabc\r\n{DASHES}END PRIVATE KEY{DASHES}\r\nx": "[redacted]\r\r\nx",
    f"{DASHES}BEGIN PGP PRIVATE KEY BLOCK{DASHES}\nabc": "[redacted]\n",
    # Two at once.
    f"TOKEN=x\ny {'gh' + 'p_'}{LETTERS[:36]}\n": "TOKEN=[redacted]\ny [redacted]\n",
    "see password=postgres://a:b@h/d x": "see password=[redacted] x",
    f"see token={'w' + 'm_k1_'}{LETTERS} x": "see token=[redacted] x",
    "see http://a:b@h/token=x y": "see http://a:[redacted]@h/token=[redacted] y",
    "see //x?token=://a:b@h y": "see //x?token=[redacted] y",
    "x --token 'a token=\"b c' d\" e": "x --token '[redacted]\" e",
}  # fmt: skip

UNCHANGED = [
    "",
    "\n",
    "plain words, and a number: 5\n",
    "PWD=/root\nOLDPWD=/\n",
    "token-service:1.2 password-store:latest secret@sha256:abc",
    "Author: Ada\nAuthorised users: 5",
    "passed: 12, failed: 0",
    "PASS: test_one\nFAIL: test_two\n2 tests pass=1 fail=1 bypass=1 compass: north",
    '{"pass":12,"fail":0} {"pass":true} {"passed":"all"} {"bypass":"on"}',
    "pwd=/srv PWD=/root pwd: /srv --passive x",
    '{"token":null,"secret":true,"password":"","tokens":[],"secrets":{},"auth":false}',
    "DB_PASSWORD=",
    "https://example.com:443/path?x=1",
    "git@example.com:path ssh://git@example.com/path http://a:@h",
    "cat: /etc/passwd: Permission denied",
    "keyboard=us monkey=1 tokenised",
    "top-secret plan x-token y ls -l --passive x --bypass y",
    '["--port", "1", "--verbose"] ["a", "secret", "b"]',
    f"{DASHES}BEGIN CERTIFICATE{DASHES}\nabc\n{DASHES}END CERTIFICATE{DASHES}\n",
    "sha256:" + "ab" * 32,
    "eyJ.x.y AKIA ghp_short wm_k1_x 12345:AAx",
    "\x1b[31mred\x1b[0m\r\n",
    "Grüße, 世界 \U0001f600",
]


@pytest.mark.parametrize("text", REDACTED, ids=lambda text: ascii(text)[:40])
def test_what_looks_secret_is_replaced(text: str):
    assert redact_text(text) == REDACTED[text]


@pytest.mark.parametrize("text", UNCHANGED, ids=lambda text: ascii(text)[:40])
def test_what_does_not_comes_out_unchanged(text: str):
    assert redact_text(text) == text


def test_every_value_of_an_environment_is_replaced():
    assert redact_environment(["A=b", "PATH=/a:/b=c", "EMPTY=", "NONE", "=odd"]) == [
        "A=[redacted]",
        "PATH=[redacted]",
        "EMPTY=[redacted]",
        "NONE",
        "=[redacted]",
    ]


def test_the_word_behind_a_telling_flag_is_replaced_in_a_list_of_words():
    words = ["mysqld", "--password", "hunter2", "-token", "a b", "--port", "1", "--db-password=x", "password", "--auth"]
    assert redact_words(words) == [
        "mysqld", "--password", MARKER, "-token", MARKER, "--port", "1", "--db-password=x", "password", "--auth",
    ]  # fmt: skip
    assert redact_words(["--token \ud800", "--token", "\ud800"]) == ["--token \ud800", "--token", MARKER]
    document = {"a": ["--password", "hunter2"], "b": [{"error": "token=abc"}, 1, None]}
    assert redact_json(document) == {"a": ["--password", "[redacted]"], "b": [{"error": "token=[redacted]"}, 1, None]}


def test_text_that_is_not_unicode_is_shown_as_far_as_it_is():
    shown = redact_text("a \ud800 token=x y")
    assert shown.startswith("a ")
    assert shown.endswith(" token=[redacted] y")


def fed(output: bytes, cuts: list[int]) -> bytes:
    redactor, shown, at = Redactor(), [], 0
    for cut in sorted(cut % (len(output) + 1) for cut in cuts):
        shown.append(redactor.feed(output[at:cut]))
        assert len(redactor._held) <= MAX_HELD
        at = cut
    return b"".join([*shown, redactor.feed(output[at:]), redactor.close()])


PIECES = st.sampled_from(
    [*REDACTED, *UNCHANGED, "\n", "\r\n", " ", '"', "\\", BEGIN, END, "x" * 700, "token=", "=", ":", "://a:b", "@"]
).map(str.encode)
CUTS = st.lists(st.integers(0, 1 << 30), max_size=12)


@given(st.lists(PIECES | st.binary(max_size=5), max_size=12).map(b"".join), CUTS)
def test_the_same_bytes_come_out_however_they_were_cut(output: bytes, cuts: list[int]):
    assert fed(output, cuts) == fed(output, [])


INSIDE = [
    "token=hunter2",
    "--password hunter2",
    '"--password", "a hunter2"',
    "postgres://user:hunter2@host",
    '"password": "a \\" hunter2"',
    '"DB_PASSWORD=a hunter2"',
    "Authorization: Bearer hunter2",
    f"{BEGIN} hunter2 {END}",
    f"{'w' + 'm_k1_'}hunter2{LETTERS}",
    f"https://hunter2{LETTERS}@host",
]


@given(before=st.integers(MAX_HELD - TAIL - 90, MAX_HELD + 9), text=st.sampled_from(INSIDE), cuts=CUTS)
@settings(max_examples=50)
def test_no_secret_is_shown_in_parts_where_a_long_line_is_cut(before: int, text: str, cuts: list[int]):
    output = (b"word " * before)[:before] + b" " + text.encode() + b" word\n"
    shown = fed(output, cuts)
    assert shown == fed(output, [])
    assert shown.count(MARKER.encode()) == 1
    assert b"hunter2" not in shown


def test_a_quote_that_was_opened_before_a_cut_is_remembered_for_its_line():
    redactor = Redactor()
    start = b'"' + b"w " * (MAX_HELD // 2)
    shown = redactor.feed(start + b"DB_PASSWORD=a hunter2" + b' b" c DB_PASSWORD=a b\n')
    assert shown.removeprefix(start) == b'DB_PASSWORD=[redacted]" c DB_PASSWORD=[redacted] b\n'
    assert redactor.feed(b"c DB_PASSWORD=a b\n") == b"c DB_PASSWORD=[redacted] b\n"


def test_output_comes_line_by_line():
    redactor = Redactor()
    assert redactor.feed(b"one\ntw") == b"one\n"
    assert redactor.feed(b"o") == b""
    assert redactor.feed(b"\rthree\n\nfour") == b"two\rthree\n\n"
    assert redactor.close() == b"four"
    assert redactor.close() == b""


def test_a_secret_longer_than_what_is_held_is_dropped_to_the_end_of_its_line():
    redactor = Redactor()
    shown = redactor.feed(b"token=" + b"x" * (MAX_HELD - 6))
    assert shown == b""
    assert redactor.feed(b"y" * MAX_HELD) == MARKER.encode()
    assert redactor.feed(b"y" * MAX_HELD) == b""
    assert redactor.feed(b"z\nnext\n") == b"\nnext\n"


def test_a_secret_that_begins_late_in_a_long_line_is_held_from_its_beginning():
    redactor = Redactor()
    words = b"w " * (MAX_HELD // 4)
    assert redactor.feed(words + b"token=" + b"x" * (MAX_HELD - 100)) == words
    assert redactor.feed(b" y\n") == b"token=[redacted]\n"


def test_a_private_key_without_an_end_hides_no_more_than_a_key_is_long():
    redactor = Redactor()
    key, line = BEGIN.encode() + b"\n", b"x" * 63 + b"\n"
    shown = redactor.feed(key + line * 1000)
    assert shown == MARKER.encode() + b"\n" + line * (1000 - MAX_PEM // 64)


def test_after_a_private_key_of_one_endless_line_output_goes_on():
    redactor = Redactor()
    assert redactor.feed(BEGIN.encode() + b"\n" + b"x" * 10 + b"\n") == MARKER.encode() + b"\n"
    assert redactor.feed(b"x" * (MAX_HELD + 1)) == b"x" * (MAX_HELD - TAIL)
    assert redactor.feed(b"\n") == b"x" * (TAIL + 1) + b"\n"


LINES: dict[str, Callable[[int], bytes]] = {
    "values behind spaces": lambda size: b"x token=x " * (size // 10),
    "values in quotes": lambda size: b'"token=x" ' * (size // 10),
    "values behind an open quote": lambda size: b'"' + b"x token='' " * (size // 11),
    "values in single quotes": lambda size: b"'token= " * (size // 8),
    "escaped quotes": lambda size: b'\\"token=x ' * (size // 10),
    "containers in JSON": lambda size: b'"token":[' * (size // 9),
    "nulls in JSON": lambda size: b'"token":null,' * (size // 13),
    "a long word, then values": lambda size: b"a" * (size // 2) + b" token=x" * (size // 16),
    "many spaces, then values": lambda size: b" " * (size // 2) + b"x token=x" * (size // 18),
    "flags in quotes": lambda size: b"--token 'x " * (size // 11),
    "flags behind an open quote": lambda size: b'"' + b"--token x " * (size // 10),
    "flags in lists": lambda size: b'"--token","' * (size // 11),
    "addresses": lambda size: b"a://b:c@d " * (size // 10),
    "keys that begin": lambda size: (BEGIN[:5].encode() + b"BEGIN ") * (size // 11),
}


def seconds_for(line: bytes) -> float:
    """The least CPU time of three searches of one line."""
    return min(timeit.repeat(lambda: secrets_in(line), timer=time.process_time, repeat=3, number=1))


@pytest.mark.parametrize("name", LINES)
def test_the_work_grows_with_the_line_and_not_with_its_square(name: str):
    """Sixteen times the line is about 16 times the work; it would be 256 times where every name looks back."""
    small, large = (seconds_for(LINES[name](size)) for size in (4_000, 64_000))
    assert large < 64 * small


HOSTILE = {
    "one word": b"x" * 1_000_000,
    "names": b"token=" * 160_000,
    "values behind spaces": b"x token=x " * 100_000,
    "containers": b'"token":[' * 110_000,
    "names in quotes": b"password='" * 100_000,
    "names without an end": b"pass_" * 200_000,
    "quotes": b'"' * 1_000_000,
    "escapes": b'token="' + b"\\" * 1_000_000,
    "users": b"://a:" * 200_000,
    "users and hosts": b"://a:b@" * 140_000,
    "tokens": b"eyJ" * 330_000,
    "flags": b"--a-" * 250_000,
    "short flags": b"-a " * 330_000,
    "flags in lists": b'"--token","' * 100_000,
    "keys": BEGIN.encode() * 30_000,
    "ends of keys": BEGIN.encode() + END.encode() * 30_000,
    "lines": b"=\n" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_output_ends_too(name: str):
    """A megabyte each: with work that grows with the square of the output, none of them ends in time."""
    output = HOSTILE[name]
    assert fed(output, [len(output) // 3]) == fed(output, [])
