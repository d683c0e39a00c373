"""What Telegram makes of a text and its entities before it keeps them.

https://core.telegram.org/bots/api#formatting-options states the nesting rules; what happens to texts that break them,
and to characters that Telegram does not keep, is as in tdlib (``fix_formatted_text``): overlapping styles are split,
other overlapping entities dropped, control characters become spaces, carriage returns and the directional overrides
U+2028 to U+202E vanish, blanks at both ends are cut, and commands, mentions, links, addresses and hashtags are found.
The links found are those with a scheme or with one of the top-level domains of ``DOMAINS``; phone and card numbers,
which a client finds as well, are not.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from tests.bot.telegram_server.markup import checked_link
from tests.bot.telegram_server.refusal import bad_request
from tests.bot.telegram_server.wire import Entity

STYLES = ("bold", "italic", "underline", "strikethrough", "spoiler")
QUOTES = ("blockquote", "expandable_blockquote")
BLOCKS = ("pre", "code", "date_time")
"""Nothing but a quotation may be around them, and nothing inside."""
FOUND = ("mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bank_card_number")
"""Found in the text by Telegram itself; ignored where a bot sends them."""
KNOWN = {*STYLES, *QUOTES, *BLOCKS, *FOUND, "text_link", "text_mention", "custom_emoji"}
LARGEST_OFFSET = 1_000_000
RANKS = {"blockquote": 0, "pre": 11, "code": 20, "text_link": 49, "text_mention": 49, "custom_emoji": 99}
"""Which of two entities around the same text is the outer one; styles come from 90 on, the rest is 50."""
BLANK = " \n"
VANISHING = re.compile("[\r\u2028-\u202e\u0333\u033f\u030a]")
INVISIBLE = re.compile(
    "[ \n\u00a0\u1680\u180e\u2000-\u200f\u202e\u202f\u205f\u2800\u3000\ufeff\ufffc\U000e0020-\U000e007f]*"
)
DOMAINS = "com|org|net|io|dev|app|me|info|ru|de|uk|ai|cloud|sh"
PATTERNS = (
    ("mention", re.compile(r"(?<!\w)@[A-Za-z0-9_]{2,32}+(?!\w)")),
    ("bot_command", re.compile(r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}+(?:@[A-Za-z0-9_]{3,32}+)?+(?![\w/<>])")),
    ("hashtag", re.compile(r"(?<![\w#@])#(?=\w*[^\W\d_])\w{1,256}+")),
    ("url", re.compile(rf"(?i)(?<![\w@])(?:https?://[^\s<>\"]+|(?:[\w-]+\.)+(?:{DOMAINS})(?!\w)(?:/[^\s<>\"]*)?)")),
    ("email", re.compile(r"(?<![\w.])[\w.+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?!\w)")),
)


def units(text: str) -> int:
    """UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def explicit_entities(value: object) -> list[Entity]:
    """The ``entities`` or ``caption_entities`` of a call; raises a 400 refusal for what is none."""
    if not isinstance(value, list):
        return []
    found = (_entity(item) for item in value)
    return [entity for entity in found if entity is not None]


def settle(text: str, entities: Iterable[Entity], *, empty: bool = False) -> tuple[str, tuple[Entity, ...]]:
    """The text and entities as Telegram keeps them; ``empty`` allows that nothing is left.

    Raises a 400 refusal for entities outside the text or inside a surrogate pair, and for a text of blanks.
    """
    given = list(entities)
    for entity in given:
        for what, number in (("offset", entity.offset), ("length", entity.length)):
            if not 0 <= number <= LARGEST_OFFSET:
                raise bad_request(f"receive an entity with incorrect {what} {number}")
    text, kept = _clean(text, _nest([entity for entity in given if entity.length > 0]))
    text, kept = _trim(text, _nest([entity for entity in kept if entity.length > 0]))
    if not text or INVISIBLE.fullmatch(text):
        if empty:
            return "", ()
        raise bad_request("text must be non-empty")
    return text, tuple(_with_found(text, kept))


def found_entities(text: str) -> list[Entity]:
    """The commands, mentions, links, addresses and hashtags of a text."""
    matches = [
        Entity(type=kind, offset=units(text[: m.start()]), length=units(m.group().rstrip(".,;:!?)'")))
        for kind, pattern in PATTERNS
        for m in pattern.finditer(text)
    ]
    return _apart(sorted(matches, key=_order))


def _entity(value: object) -> Entity | None:
    what = "can't parse MessageEntity: "
    if not isinstance(value, dict):
        raise bad_request(f"{what}expected an Object")
    for name in ("offset", "length", "type"):
        if name not in value:
            raise bad_request(f'{what}Can\'t find field "{name}"')
    kind, offset, length = value["type"], value["offset"], value["length"]
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in (offset, length)):
        raise bad_request(f'{what}Field "offset" and "length" must be of type Number')
    if kind not in KNOWN:
        raise bad_request(f"{what}Unsupported type specified")
    return None if kind in FOUND else Entity(type=kind, offset=offset, length=length, **_details(kind, value))


def _details(kind: str, value: dict[str, Any]) -> dict[str, Any]:
    """The fields of an entity that only its type has."""
    match kind:
        case "pre" if value.get("language"):
            return {"language": str(value["language"])}
        case "text_link":
            url = checked_link(str(value.get("url") or ""))
            if url is None:
                raise bad_request("entity URL is invalid")
            return {"url": url}
        case "text_mention":
            if not isinstance(value.get("user"), dict):
                raise bad_request("can't parse MessageEntity: Can't find field \"user\"")
            return {"user": value["user"]}
        case "custom_emoji":
            return {"custom_emoji_id": str(value.get("custom_emoji_id") or "")}
        case "date_time":
            return {"unix_time": value.get("unix_time"), "date_time_format": value.get("date_time_format")}
        case _:
            return {}


def _order(entity: Entity) -> tuple[int, int, int]:
    rank = 90 + STYLES.index(entity.type) if entity.type in STYLES else RANKS.get(entity.type, 50)
    return entity.offset, -entity.length, 0 if entity.type in QUOTES else rank


def _end(entity: Entity) -> int:
    return entity.offset + entity.length


def _apart(entities: Sequence[Entity]) -> list[Entity]:
    """Of sorted entities those that no earlier one overlaps."""
    kept: list[Entity] = []
    for entity in entities:
        if not kept or entity.offset >= _end(kept[-1]):
            kept.append(entity)
    return kept


def _crosses(entity: Entity, quote: Entity) -> bool:
    """Whether they overlap without the entity being inside the quotation."""
    overlap = entity.offset < _end(quote) and quote.offset < _end(entity)
    return overlap and not (quote.offset <= entity.offset and _end(entity) <= _end(quote))


def _nest(entities: Sequence[Entity]) -> list[Entity]:
    """Entities that obey the nesting rules, sorted."""
    ordered = sorted(entities, key=_order)
    quotes = _apart([entity for entity in ordered if entity.type in QUOTES])
    solid = _apart([entity for entity in ordered if entity.type not in (*STYLES, *QUOTES)])
    solid = [entity for entity in solid if not any(_crosses(entity, quote) for quote in quotes)]
    others = sorted([*quotes, *solid], key=_order)
    return sorted([*others, *_split([e for e in ordered if e.type in STYLES], others)], key=_order)


def _split(styles: Sequence[Entity], others: Sequence[Entity]) -> list[Entity]:
    """Styles of one kind merged, then cut wherever another entity begins or ends, and dropped inside code."""
    merged: list[Entity] = []
    for kind in STYLES:
        open_one: Entity | None = None
        for entity in (e for e in styles if e.type == kind):
            if open_one is not None and entity.offset <= _end(open_one):
                longer = max(_end(open_one), _end(entity)) - open_one.offset
                open_one = merged[-1] = open_one.model_copy(update={"length": longer})
            else:
                open_one = entity
                merged.append(entity)
    cuts = sorted({e.offset for e in merged} | {e.offset for e in others} | {_end(e) for e in others})
    blocks = [entity for entity in others if entity.type in BLOCKS]
    pieces: list[Entity] = []
    for entity in merged:
        at = [entity.offset, *(c for c in cuts if entity.offset < c < _end(entity)), _end(entity)]
        pieces += [entity.model_copy(update={"offset": a, "length": b - a}) for a, b in pairwise(at)]
    return [p for p in pieces if not any(b.offset <= p.offset and _end(p) <= _end(b) for b in blocks)]


def _clean(text: str, entities: Sequence[Entity]) -> tuple[str, list[Entity]]:
    """Without the characters that Telegram does not keep; entities moved accordingly."""
    kept: list[str] = []
    moved: dict[int, int] = {}
    before = after = size = 0
    for character in text:
        moved[before] = after
        width = 1 + (ord(character) > 0xFFFF)
        before += width
        if not VANISHING.match(character):
            kept.append(" " if character < " " and character != "\n" else character)
            after += width
        size += len(character.encode())
    moved[before] = after
    for entity in entities:
        if entity.offset > before:
            raise bad_request(f"entity begins after the end of the text at UTF-16 offset {entity.offset}")
        if entity.offset not in moved:
            raise bad_request(
                f"entity begins in a middle of a UTF-16 symbol at byte offset {_byte(text, entity.offset)}"
            )
        here = f"entity beginning at UTF-16 offset {entity.offset} ends "
        if _end(entity) > before:
            raise bad_request(f"{here}after the end of the text at UTF-16 offset {_end(entity)}")
        if _end(entity) not in moved:
            raise bad_request(f"{here}in a middle of a UTF-16 symbol at byte offset {_byte(text, _end(entity))}")
    return "".join(kept), [_between(e, moved[e.offset], moved[_end(e)]) for e in entities]


def _byte(text: str, unit: int) -> int:
    """The byte where the character after the one that a unit splits begins."""
    position = 0
    for character in text:
        if unit < 0:
            break
        unit -= 1 + (ord(character) > 0xFFFF)
        position += len(character.encode())
    return position


def _between(entity: Entity, begin: int, end: int) -> Entity:
    return entity.model_copy(update={"offset": begin, "length": end - begin})


def _trim(text: str, entities: Sequence[Entity]) -> tuple[str, list[Entity]]:
    """Without blanks at the end, and without those at the start that no entity covers."""
    text = text.rstrip(BLANK)
    last = units(text)
    ends = [_between(e, e.offset, min(_end(e), last)) for e in entities if e.offset < last]
    blanks = len(text) - len(text.lstrip(BLANK))
    first = min([blanks, *(e.offset for e in ends)])
    return text[first:], [_between(e, e.offset - first, _end(e) - first) for e in sorted(ends, key=_order)]


def _with_found(text: str, entities: Sequence[Entity]) -> list[Entity]:
    """Add what Telegram finds, unless it overlaps a link, a mention or code."""
    solid = [entity for entity in entities if entity.type not in (*STYLES, *QUOTES)]
    new = [f for f in found_entities(text) if not any(f.offset < _end(s) and s.offset < _end(f) for s in solid)]
    return _nest([*entities, *new]) if new else list(entities)
