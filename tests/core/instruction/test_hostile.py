"""The longest texts that a hostile caller may send: each takes about a second, where a careless rule takes hours.

Nothing here is timed but by a limit that only quadratic time on 256 KiB can reach.
"""

import pytest

from wingman_core.instruction.report import check

LONGEST = 256 * 1024
REPEATED = [
    "\n",
    "#\n",
    "x",
    "`",
    "DELIVERABLES: x\n",
    "**DELIVERABLES\n",
    "MITIGATION\n---\n",
    "```\n",
    "<!--\n",
    "pass",
    "password=x ",
    "secret='",
    '"token":',
    "eyJ",
    "://a:b",
    "xoxb-1-",
    "curl -u ",
    "rm -f ",
    "docker rm \\\n",
    "git push +a ",
    "reboot ",
    "find / ",
    "$(curl ",
    ":(){",
    "drop    ",
    "rm chmod chown dd find init nft kill git kubectl docker ",
    "never use --force\n",
    "`--force` or ",
    "cap_add:\n- SYS_ADMIN\n",
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", REPEATED, ids=ascii)
def test_a_text_of_one_piece_repeated(piece: str):
    check((piece * (LONGEST // len(piece) + 1))[:LONGEST])


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("before", "piece"),
    [
        ("never run:\n", "- rm -f x\n"),
        ("cap_add:\n", "- SYS_ADMIN\n"),
        ("  ", "  DELIVERABLES: x\n"),
        ("password=", "x"),
    ],
    ids=ascii,
)
def test_a_text_with_a_beginning(before: str, piece: str):
    check((before + piece * (LONGEST // len(piece)))[:LONGEST])
