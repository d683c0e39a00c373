"""How a text hangs together: headings, lists, labels, what is taken back, and where reading ends."""

# ruff: noqa: S108, RUF001 - paths and quotation marks stand in sentences

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.sentences.documented import NOW, short
from wingman_core.sentences import MAX_ASSERTIONS, Reason, read
from wingman_core.sentences.form import Form
from wingman_core.sentences.reading import MAX_SHOWN
from wingman_core.sentences.words import listed

WEB = "container_running web"

# A text, its assertions in short, and the reasons of its unread parts.
TEXTS: dict[str, tuple[list[str], list[Reason]]] = {
    "": ([], []),
    " \n\t\n": ([], []),
    "...!?": ([], []),
    "Done.": ([], []),
    "Done! Created /tmp/a. Thanks. Let me know if you need more.": (["file_exists /tmp/a"], []),
    "Thanks to me the company is saved. Created /tmp/a": (["file_exists /tmp/a"], [Reason.NO_PATTERN]),
    "Summary:\n\n1. Created /tmp/a\n2) Created /tmp/b": (["file_exists /tmp/a", "file_exists /tmp/b"], []),
    "Created these:\n- /tmp/a\n\nContainer web is running": (
        [WEB],
        [Reason.HEADING, Reason.NO_PATTERN],
    ),
    "Created the following files:\n\n- /tmp/a\n- /tmp/b, and more": (
        ["file_exists /tmp/a"],
        [Reason.HEADING],
    ),
    "Container web is running:\n- Created /tmp/a": ([WEB, "file_exists /tmp/a"], []),
    "I will do:\n- container web is running\n\nContainer web is healthy": (
        ["container_healthy web"],
        [Reason.PLAN, Reason.PLAN],
    ),
    "# Goals\n\ncontainer web is running\n\n# Done\n\nCreated /tmp/a": (
        ["file_exists /tmp/a"],
        [Reason.PLAN, Reason.PLAN],
    ),
    "# What if?\ncontainer web is running": ([], [Reason.QUESTION, Reason.QUESTION]),
    "Bob:\ncontainer web is running": ([], [Reason.HEADING, Reason.NO_PATTERN]),
    "Bob: hello, container web is running": ([], [Reason.NO_PATTERN, Reason.HEADING]),
    "State: Container web is running": ([WEB], []),
    "~~~\ncontainer web is running": ([], [Reason.QUOTED]),
    "Created /tmp/a\n```sh\nrm /tmp/a\n~~~\n```\nCreated /tmp/b": (
        ["file_exists /tmp/a", "file_exists /tmp/b"],
        [Reason.QUOTED],
    ),
    "⏳ container web is running": ([], [Reason.PLAN]),
    "✗ Created /tmp/a": ([], [Reason.FAILURE]),
    "Container web is\nrunning": ([], [Reason.NO_PATTERN]),
    "Container web is running. Not true? Container web is healthy": (
        [WEB, "container_healthy web"],
        [Reason.QUESTION],
    ),
    "Container web is running, not really, container db is running": ([], [Reason.RETRACTED, Reason.NEGATION]),
    "Created /tmp/a. Created /tmp/a": (["file_exists /tmp/a"], []),
    "Port 80 is open. Port 80 is closed": (["port_closed 80"], [Reason.SUPERSEDED]),
    "Process a1 is not running and process a1 is running": (["process_running a1"], [Reason.SUPERSEDED]),
    "/tmp/a contains 'x' and deleted /tmp/a": (["file_gone /tmp/a"], [Reason.SUPERSEDED]),
    "Container web is healthy, but container web is stopped": (["container_stopped web"], [Reason.SUPERSEDED]),
    "Created /tmp/a, e.g. for Bob": (["file_exists /tmp/a"], [Reason.NO_PATTERN]),
    "Verified: container web is running": ([WEB], []),
    "Checked container web": ([], [Reason.NO_PATTERN]),
    "Verified": ([], []),
    "I verified that": ([], [Reason.NO_PATTERN]),
    "Created /tmp/a,": (["file_exists /tmp/a"], []),
    "I can confirm container web is running": ([WEB], []),
    "The check of container web is running": ([], [Reason.NO_PATTERN]),
    "50% of it, container web is running": ([], [Reason.PARTIAL, Reason.PARTIAL]),
    "I had another idea in his container and port 80 is open": ([], [Reason.ELSEWHERE]),
    "In another container /tmp/a exists": ([], [Reason.ELSEWHERE]),
    "It goes on": ([], [Reason.VAGUE]),
    "Created /tmp/a (the config)": (["file_exists /tmp/a"], [Reason.REMAINDER]),
    "Created /tmp/a_(1)": ([], [Reason.NO_PATTERN]),
    "Created '/tmp/a_(1)'": (["file_exists /tmp/a_(1)"], []),
    "Created ‚/tmp/a‘ and „/tmp/b“": (["file_exists /tmp/a", "file_exists /tmp/b"], []),
    'Created "/tmp/a': ([], [Reason.NO_PATTERN]),
    "**Created `/tmp/a`** and **`/tmp/b`, `/tmp/c`**": (
        ["file_exists /tmp/a", "file_exists /tmp/b", "file_exists /tmp/c"],
        [],
    ),
    "**Done:** created /tmp/a": (["file_exists /tmp/a"], []),
    "Created [/tmp/a]": ([], [Reason.NO_PATTERN]),
    "Created /tmp/don't": ([], [Reason.NEGATION]),
    "We're done and they've created /tmp/a": ([], [Reason.NO_PATTERN]),
    "Created dir build/": (["file_exists build/"], []),
    "Created ./run and ../b": (["file_exists ./run", "file_exists ../b"], []),
    "Created .env": (["file_exists .env"], []),
    "Process web/1 is running": ([], [Reason.NO_PATTERN]),
    f"Process {'a' * 256} is running": ([], [Reason.NO_PATTERN]),
    f"Created file '/{'a' * 4100}'": ([], [Reason.NO_PATTERN]),
    "http://localhost/ä returns 200": ([], [Reason.NO_PATTERN]),
    f"/tmp/a contains '{'x' * 4097}'": ([], [Reason.NO_PATTERN]),
    "Installed version v2.1 of package jq": (["package_installed jq 2.1"], []),
    "Wrote to /tmp/a": ([], [Reason.NO_PATTERN]),
    "Wrote a b1 c d e f g h i j k l to /tmp/a": ([], [Reason.NO_PATTERN]),
    "Wrote x, y to /tmp/a": ([], [Reason.NO_PATTERN]),
    "Removed a.txt from /tmp/b.zip": ([], [Reason.NO_PATTERN]),
}


@pytest.mark.parametrize("text", TEXTS, ids=[ascii(text)[:60] for text in TEXTS])
def test_a_text_is_read_so(text: str):
    assertions, reasons = TEXTS[text]
    reading = read(text, NOW)
    assert [short(assertion) for assertion in reading.assertions] == assertions
    assert [part.reason for part in reading.unread] == reasons


FACTS = [
    "container web is running",
    "Process nginx is running",
    "Created /tmp/a",
    "Port 80 is open",
    "/tmp/a does not exist",
    "http://localhost/ returns 200",
    "Package curl is installed",
]
BEFORE = [
    "Bob hopes that",
    "It's a lie that",
    "I wish",
    "Were it so that",
    "Nobody says",
    "The opposite of this is so:",
    "Suppose",
    "Rumor has it",
    "Contrary to what you think,",
    "Instead of failing,",
    "Unfortunately",
    "Not that",
    "Far be it from me to say",
    "I forgot whether",
    "Ask Bob:",
    "Yesterday",
    "In 2019",
    "On db1",
    "On db1,",
    "For Bob",
    "As usual",
    "Someone claims",
    "Question:",
    "To do:",
    "Wrong:",
    "False:",
    "Untrue:",
    "Lies:",
    "No,",
    "Never",
    "Hardly",
    "Bob thinks",
    "Everyone but",
    "Except",
    "Whenever",
    "In order that",
    "So that",
    "Lest",
    "Until",
    "Because",
    "Although",
    "Though",
    "Even if",
    "As soon as",
    "It could be that",
    "The plan is that",
    "The goal:",
    "Next:",
    "Later",
    "Soon",
    "Tomorrow",
    "Do not say",
    "Please ensure",
    "Make sure",
    "Check that",
    "Verify that",
    "Confirm that",
    "Is it true that",
    "Why",
    "How",
    "What if",
    "Verified that Bob says",
    "Confirmed not",
    "Checked whether",
    "Noted Bob's claim that",
    "Then Bob said",
    "Status unknown:",
    "Result expected:",
    "Not done:",
    "Done? No:",
    "Failed:",
    "Error:",
    "Skipped:",
    "Blocked:",
    "Pending:",
    "Simulated:",
    "Dry run:",
    "Mock:",
    "Hypothetical:",
    "Draft:",
    "Old state:",
    "Former state:",
    "Without",
    "With",
    "Inside db1,",
    "At Bob's,",
    "In staging,",
    "In the other container,",
    "Within the VM,",
    "Remotely,",
]
BEHIND = [
    "not",
    "maybe",
    "I guess",
    ", I hope",
    "(not yet)",
    "tomorrow",
    "in theory",
    "on the other host",
    "at the customer's",
    "in the other data center",
    "within our cloud",
    "or not",
    ", right?",
    "... not",
    "- or is it",
    ", as if",
    ", if only",
    "as planned",
    "as Bob said",
    "when asked",
    "when it rains",
    "by tomorrow",
    "before",
    "during tests",
    "sometimes",
    "often",
    "usually",
    "rarely",
    "elsewhere",
    "there",
    "abroad",
    "at Bob's",
    "in a dream",
    "in my head",
    "under Windows",
    "50%",
    "partially",
    "since never",
    "someday",
    "? No",
    ", which is false",
    ", but not really",
    ", which is a lie",
    ", which isn't so",
    "because Bob says so",
    "for nobody",
    "with no success",
    "without success",
    "with errors",
    "via ssh",
    "so I think",
    "as a joke",
    "(in theory)",
    "(on db1)",
    "(simulated)",
    "(dry run)",
    "[mock]",
    "- just kidding",
    ", kidding",
    ", said nobody",
    ", allegedly",
    ", supposedly",
]


@pytest.mark.parametrize("doubt", BEFORE)
def test_what_stands_before_a_fact_and_undoes_it_leaves_nothing(doubt: str):
    assert [fact for fact in FACTS if read(f"{doubt} {fact}", NOW).assertions] == []


@pytest.mark.parametrize("doubt", BEHIND)
def test_what_stands_behind_a_fact_and_undoes_it_leaves_nothing(doubt: str):
    space = "" if doubt[0] in ",.?" else " "
    assert [fact for fact in FACTS if read(f"{fact}{space}{doubt}", NOW).assertions] == []


MOMENTS = {
    "in the last hour": "2026-01-02T11:00:00Z",
    "in the past 90 minutes": "2026-01-02T10:30:00Z",
    "within the last 5m": "2026-01-02T11:55:00Z",
    "less than two hours ago": "2026-01-02T10:00:00Z",
    "two days ago": "2025-12-30T12:00:00Z",
    "3 weeks ago": "2025-12-05T12:00:00Z",
    "30s ago": "2026-01-02T11:59:29Z",
    "since 2026-01-02 10:00 UTC": "2026-01-02T10:00:00Z",
    "since 2026-01-02T10:00:00.5Z": "2026-01-02T10:00:00.500000Z",
    "at 2026-01-02 10:00:00 +02:00": "2026-01-02T08:00:00Z",
    "at 11:30 UTC": "2026-01-02T11:30:00Z",
    "after 12:30 UTC": "2026-01-01T12:30:00Z",
    "at 9:05z": "2026-01-02T09:05:00Z",
}
NO_MOMENTS = [
    "in 5 minutes",
    "within 5 minutes",
    "in the last",
    "in the last 0 minutes",
    "in the last 5 lightyears",
    "less than 5 minutes",
    "a while ago",
    "at 14:05",
    "at 25:00 UTC",
    "since 2026-13-02T10:00:00Z",
    "since 0001-01-01T00:00:00+14:00",
    "since Monday",
    "today",
    "5 minutes",
]


@pytest.mark.parametrize("phrase", MOMENTS)
def test_a_phrase_of_time_is_a_moment(phrase: str):
    reading = read(f"Modified /tmp/a {phrase}", NOW)
    assert [short(assertion) for assertion in reading.assertions] == [f"file_changed /tmp/a {MOMENTS[phrase]}"]
    assert reading.is_whole


@pytest.mark.parametrize("phrase", NO_MOMENTS)
def test_what_is_no_moment_is_not_read(phrase: str):
    assert not read(f"Modified /tmp/a {phrase}", NOW).assertions


def test_now_may_be_in_any_zone():
    there = NOW.astimezone(timezone(timedelta(hours=9)))
    assert read("Modified /tmp/a at 11:30 UTC", there) == read("Modified /tmp/a at 11:30 UTC", NOW)
    assert read("Modified /tmp/a in the last hour", there) == read("Modified /tmp/a in the last hour", NOW)


def test_there_is_an_end_to_what_is_read():
    many = read(". ".join(f"Created /tmp/{n}" for n in range(100)), NOW)
    assert len(many.assertions) == MAX_ASSERTIONS
    assert [part.reason for part in many.unread] == [Reason.TOO_MANY]
    listed = "Created " + ", ".join(f"/tmp/{n}" for n in range(20))
    twice = read(f"{listed}. {listed.replace('tmp', 'srv')}", NOW)
    assert len(twice.assertions) == MAX_ASSERTIONS
    assert [part.reason for part in twice.unread] == [Reason.TOO_MANY]
    long = read("Created " + ", ".join(f"/tmp/{n}" for n in range(40)), NOW)
    assert not long.is_whole
    garbage = read(". ".join(f"Word {n}x" for n in range(1000)), NOW)
    assert len(garbage.unread) <= 65
    assert garbage.unread[-1].reason is Reason.TOO_MANY
    done = read("Done. " * 600 + "Created /tmp/a", NOW)
    assert [part.reason for part in done.unread] == [Reason.TOO_MANY]
    assert all(len(part.text) <= MAX_SHOWN for part in garbage.unread)


HOSTILE = [
    *("and ", '"', '" ', '"a ', "'\"`", "/tmp/a, ", "x /tmp/a and ", "created ", "created config file ", "a. ", "a\n"),
    *("(((", "a)))", "....", "**a ", "```\n", "a: ", "a:\n", "- /tmp/a\n", "wrote b c d e f g ", "process a1, b1, "),
    *(
        "port 80, ",
        "/tmp/a is ",
        "n't ",
        "/",
        "on ",
        "if ",
        "✅ ",
        "> ",
        "# a\n",
        " ",
        "\t\n",
        "that ",
        "\u2028",
        "\u0301",
    ),
    *("created /tmp/a and ", "no longer ", "less than ", "in the last ", "12:", "2026-01-02T", "http://", "is not "),
]


@pytest.mark.parametrize("piece", HOSTILE, ids=ascii)
@pytest.mark.parametrize("begin", ["", "created ", "container web is running "])
def test_a_hostile_text_takes_no_more_than_its_length(piece: str, begin: str):
    text = (begin + piece * 16384)[:16384]
    reading = read(text, NOW)
    assert len(reading.unread) <= 66


@given(st.text(max_size=400))
def test_any_text_is_read_without_an_error(text: str):
    reading = read(text, NOW)
    assert len(reading.assertions) <= MAX_ASSERTIONS
    assert not (reading.is_whole and reading.unread)


WORDS = sorted(
    listed(
        "created /tmp/a /tmp/b and , . : ? container web db is running healthy not the process nginx port 80 open if"
    )
    | listed("says will but that stopped deleted `x` - no it or in on")
    | {"\n", ""}
)


@given(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join))
def test_a_doubt_anywhere_in_a_sentence_keeps_it_from_being_whole(text: str):
    sentence = text.replace(".", "").replace("\n", " ").replace("?", "").replace(":", "").strip()
    for doubt in ("if Bob is right", "says Bob", "or so"):
        assert not read(f"{sentence} {doubt}", NOW).assertions
    assert not read(f"{sentence}?", datetime(2026, 1, 2, tzinfo=UTC)).assertions


def test_a_form_knows_the_words_it_may_begin_with():
    assert Form("[a] b|c d").first_words == {"a", "b", "c"}
    assert Form("[a] [b]").first_words == {"a", "b"}
    assert Form("[a] {path} b").first_words is None


def test_a_form_with_an_unknown_blank_does_not_compile():
    with pytest.raises(KeyError, match="nothing"):
        Form("created {nothing}")
