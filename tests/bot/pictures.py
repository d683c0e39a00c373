"""Draws the pictures of docs/telegram.md from the bot's own texts: ``make pictures``; a test holds them to that."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from itertools import groupby
from pathlib import Path
from unicodedata import east_asian_width

from aiogram.types import InlineKeyboardMarkup, MessageEntity

from tests.bot.requests import command, decision, execution, request, target
from wingman_bot.cards import Card, card

DOCS = Path(__file__).parent.parent.parent / "docs"
WIDTH, MARGIN, PADDING, LINE, SIZE = 640, 14, 16, 21, 14
BUTTON, GAP = 36, 6
FONT = f'font-family="system-ui, sans-serif" font-size="{SIZE}"'
CHARACTER = {"": 6.9, "bold": 7.9, "code": 7.9, "pre": 7.9}
"""Pixels of a character, about."""
STYLE = {
    "": "",
    "bold": ' font-weight="700"',
    "code": ' font-family="ui-monospace, monospace" font-size="13" fill="#1d5f8a"',
    "pre": ' font-family="ui-monospace, monospace" font-size="13" fill="#123a57"',
}
PAPER, BUBBLE, INK, BLOCK, EDGE, KEY = "#e4ebe2", "#ffffff", "#1c2733", "#eef4f9", "#7fa8c9", "#4f7d5d"
REQUEST = "apr_dbc7jx2mqvg5s3k2h6t4yw7raa"
Run = tuple[str, str]
"""Some text, and its style."""


@dataclass(frozen=True)
class Picture:
    """One message."""

    title: str
    shown: Card


def pictures() -> dict[str, Picture]:
    """The pictures by their file's name."""
    remove = command(
        text="docker rm --force --volumes db",
        targets=[resolved("db", "postgres:17")],
        facts={"effect": "destroy", "privileges": [], "shell": [], "mounts": []},
        blast_radius={
            "summary": "db is killed and removed",
            "reversible": False,
            "stops": ["db"],
            "ports_dropped": ["5432/tcp"],
            "dependents": ["web", "worker"],
            "data_lost": ["anonymous volume of /var/lib/postgresql/data"],
        },
    )
    votes = [
        {"source": "effect", "level": "HIGH", "reason": "data is lost for good"},
        {"source": "wording", "level": "LOW", "reason": "plain words"},
    ]
    high = request(
        id=REQUEST,
        task_name="Rebuild the database",
        instruction="Its data directory is corrupt. Remove it with its volume;\nthe backup is restored afterwards.",
        commands=[remove],
        risk={"level": "HIGH", "votes": votes, "dissent": votes[1:], "absent": []},
        people_needed=2,
        people_approved=1,
        decisions=[decision("alice", note="backup checked")],
    )
    restart = command(targets=[resolved("web", "nginx:1.27")])
    waiting = request(id=REQUEST, commands=[restart])
    finished = request(
        id=REQUEST,
        status="APPROVED",
        people_approved=1,
        decisions=[decision()],
        commands=[{**restart, "execution_id": "exe_1"}],
    )
    ran = execution("SUCCEEDED", exit_code=0, duration_ms=1240)
    people = ["alice", "bob"]
    return {
        "telegram-card.svg": Picture("A request that waits", card(waiting, {}, people)),
        "telegram-high.svg": Picture("HIGH risk: the second tap", card(high, {}, people, asked_twice=True)),
        "telegram-finished.svg": Picture("The same card, afterwards", card(finished, {"exe_1": ran}, people)),
    }


def resolved(name: str, image: str) -> dict[str, object]:
    """A container as it was resolved."""
    made, image_made = (sha256(word.encode()).hexdigest() for word in (name, image))
    return target(reference=name, name=name, image=image, id=made, image_digest=f"sha256:{image_made}")


def svg(picture: Picture) -> str:
    """A message as Telegram would show it, nearly."""
    rows = list(_wrapped(picture.shown.body.text, picture.shown.body.entities))
    keys = picture.shown.buttons.inline_keyboard
    bubble = 2 * PADDING + LINE * len(rows) - 4
    height = 2 * MARGIN + bubble + (BUTTON + GAP) * len(keys)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {FONT} aria-labelledby="t">',
        f'  <title id="t">{escape(picture.title)}</title>',
        f'  <rect width="{WIDTH}" height="{height}" rx="14" fill="{PAPER}"/>',
        f'  <rect x="{MARGIN}" y="{MARGIN}" width="{WIDTH - 2 * MARGIN}" height="{bubble}" rx="12" fill="{BUBBLE}"/>',
        *_blocks(rows),
    ]
    for number, row in enumerate(rows):
        spans = "".join(f"<tspan{STYLE[style]}>{escape(text)}</tspan>" for text, style in row)
        baseline = MARGIN + PADDING + LINE * number + SIZE - 2
        lines.append(f'  <text x="{MARGIN + PADDING}" y="{baseline}" fill="{INK}" xml:space="preserve">{spans}</text>')
    lines += _buttons(picture.shown.buttons, MARGIN + bubble + GAP)
    return "\n".join([*lines, "</svg>", ""])


def _blocks(rows: list[list[Run]]) -> Iterator[str]:
    """The ground of what stands in blocks of fixed width, a rectangle for each block."""
    numbered = groupby(enumerate(rows), lambda row: bool(row[1]) and all(style == "pre" for _, style in row[1]))
    for is_block, found in numbered:
        if is_block:
            first, *_ = places = [number for number, _ in found]
            x, y = MARGIN + PADDING - 8, MARGIN + PADDING + LINE * first - 3
            size = f'width="{WIDTH - 2 * x}" height="{LINE * len(places)}"'
            yield f'  <rect x="{x}" y="{y}" {size} rx="5" fill="{BLOCK}"/>'
            yield f'  <rect x="{x}" y="{y}" width="3" height="{LINE * len(places)}" rx="1.5" fill="{EDGE}"/>'


def _buttons(keyboard: InlineKeyboardMarkup, top: int) -> Iterator[str]:
    for number, row in enumerate(keyboard.inline_keyboard):
        y = top + number * (BUTTON + GAP)
        width = (WIDTH - 2 * MARGIN - GAP * (len(row) - 1)) / len(row)
        for place, button in enumerate(row):
            x = MARGIN + place * (width + GAP)
            yield f'  <rect x="{x:g}" y="{y}" width="{width:g}" height="{BUTTON}" rx="9" fill="{KEY}"/>'
            yield (
                f'  <text x="{x + width / 2:g}" y="{y + 23}" text-anchor="middle" fill="#ffffff" font-weight="600">'
                f"{escape(button.text)}</text>"
            )


def _styled(text: str, entities: tuple[MessageEntity, ...]) -> Iterator[tuple[str, str]]:
    """Each character with its style."""
    styles = [""] * (len(text.encode("utf-16-le")) // 2)
    for entity in entities:
        styles[entity.offset : entity.offset + entity.length] = [entity.type] * entity.length
    place = 0
    for character in text:
        yield character, styles[place]
        place += len(character.encode("utf-16-le")) // 2


def _wrapped(text: str, entities: tuple[MessageEntity, ...]) -> Iterator[list[Run]]:
    """The lines, broken where they would be too long, as runs of one style."""
    room = WIDTH - 2 * (MARGIN + PADDING)
    row: list[tuple[str, str]] = []
    for character, style in [*_styled(text, entities), ("\n", "")]:
        if character == "\n":
            yield _runs(row)
            row = []
            continue
        row.append((character, style))
        if sum(map(_width, row)) > room:
            spaces = [place for place, (each, _) in enumerate(row) if each == " "]
            cut = spaces[-1] + 1 if spaces else len(row) - 1
            yield _runs(row[:cut])
            row = row[cut:]


def _width(each: tuple[str, str]) -> float:
    character, style = each
    return 18.0 if east_asian_width(character) == "W" else CHARACTER[style]


def _runs(row: list[tuple[str, str]]) -> list[Run]:
    runs: list[Run] = []
    for character, style in row:
        if runs and runs[-1][1] == style:
            runs[-1] = (runs[-1][0] + character, style)
        else:
            runs.append((character, style))
    return runs


def main() -> int:
    """Write the pictures."""
    for name, picture in pictures().items():
        (DOCS / name).write_text(svg(picture))
    return 0


if __name__ == "__main__":
    sys.exit(main())
