"""Telegram's HTML style, read as Telegram reads it: https://core.telegram.org/bots/api#html-style.

Its own small language, not HTML: the tags are a closed list, an attribute that is not known is ignored, four named and
all numeric character references exist, anything else after ``&`` stands for itself. Works on UTF-8 bytes, since errors
name byte offsets; offsets and lengths of the entities are UTF-16 code units.
"""

import re
from dataclasses import dataclass

from tests.bot.telegram_server.refusal import Refusal, bad_request
from tests.bot.telegram_server.wire import Entity

STYLES = {
    b"b": "bold",
    b"strong": "bold",
    b"i": "italic",
    b"em": "italic",
    b"u": "underline",
    b"ins": "underline",
    b"s": "strikethrough",
    b"strike": "strikethrough",
    b"del": "strikethrough",
    b"tg-spoiler": "spoiler",
    b"span": "spoiler",
}
TAGS = {*STYLES, b"a", b"code", b"pre", b"blockquote", b"tg-emoji", b"tg-time"}
NAMED = {b"lt": "<", b"gt": ">", b"amp": "&", b"quot": '"'}
REFERENCE = re.compile(rb"&(?:#x(?P<hex>[0-9a-fA-F]*)|#(?P<decimal>[0-9]*)|(?P<name>[a-zA-Z]*))(?P<end>;?)")
LONGEST_REFERENCE = 10
SPACE = b" \t\r\n\0\v"
SPACES = re.compile(rb"[ \t\r\n\0\v]*")
TAG_NAME = re.compile(rb"[^ \t\r\n\0\v>]*")
ATTRIBUTE_NAME = re.compile(rb"[^ \t\r\n\0\v=>/\"']*")
TOKEN = re.compile(rb"[A-Za-z0-9.-]*")


@dataclass(frozen=True)
class OpenTag:
    """A tag that waits for its end; ``offset`` in UTF-16 units, ``start`` in characters collected."""

    name: bytes
    attributes: dict[bytes, str]
    offset: int
    start: int


def parse_html(text: str) -> tuple[str, list[Entity]]:
    """The text without its tags, and its entities in the order of their ends.

    Raises a 400 refusal that says what cannot be parsed, and at which byte.
    """
    reader = _Reader(text.encode())
    return reader.read()


class _Reader:
    def __init__(self, source: bytes) -> None:
        self.source = source
        self.at = 0
        self.out: list[str] = []
        self.units = 0
        self.open: list[OpenTag] = []
        self.entities: list[Entity] = []

    def read(self) -> tuple[str, list[Entity]]:
        while self.at < len(self.source):
            if self.source[self.at : self.at + 2] == b"</":
                self._end_tag()
            elif self.source[self.at] == ord("<"):
                self._start_tag()
            else:
                self._text()
        if self.open:
            raise _wrong(f'Can\'t find end tag corresponding to start tag "{self.open[-1].name.decode()}"')
        text = "".join(self.out)
        try:
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            raise _wrong(
                "Text contains invalid Unicode characters after decoding HTML entities, check for unmatched "
                "surrogate code units"
            ) from None
        return text, [e.model_copy(update={"language": None}) if e.type == "code" else e for e in self.entities]

    def _text(self) -> None:
        if self.source[self.at] == ord("&"):
            character, self.at = _reference(self.source, self.at)
            self._add(character)
            return
        end = min((n for n in (self.source.find(b, self.at) for b in (b"&", b"<")) if n >= 0), default=len(self.source))
        self._add(self.source[self.at : end].decode())
        self.at = end

    def _add(self, text: str) -> None:
        self.out.append(text)
        self.units += len(text.encode("utf-16-le", "surrogatepass")) // 2

    def _start_tag(self) -> None:
        begin = self.at
        self._skip(1)
        name = self._take(TAG_NAME).lower()
        if self.at == len(self.source):
            raise _wrong(f"Unclosed start tag at byte offset {begin}")
        if name not in TAGS:
            raise _wrong(f'Unsupported start tag "{name.decode()}" at byte offset {begin}')
        attributes = self._attributes(name, begin)
        if name == b"span" and attributes.get(b"class") != "tg-spoiler":
            raise _wrong(f'Tag "span" must have class "tg-spoiler" at byte offset {begin}')
        self.open.append(OpenTag(name, attributes, self.units, len(self.out)))

    def _attributes(self, tag: bytes, begin: int) -> dict[bytes, str]:
        found: dict[bytes, str] = {}
        unclosed = f'Unclosed start tag "{tag.decode()}" at byte offset {begin}'
        while True:
            self._take(SPACES)
            if self._next() == b">":
                self._skip(1)
                return found
            name = self._take(ATTRIBUTE_NAME)
            if not name:
                raise _wrong(f'Empty attribute name in the tag "{tag.decode()}" at byte offset {begin}')
            self._take(SPACES)
            if self._next() != b"=":
                if not self._next():
                    raise _wrong(unclosed)
                found[name] = ""
                continue
            self._skip(1)
            self._take(SPACES)
            if not self._next():
                raise _wrong(unclosed)
            found[name] = self._attribute_value()
            if not self._next():
                raise _wrong(f"Unclosed start tag at byte offset {begin}")

    def _attribute_value(self) -> str:
        quote = self._next()
        if quote not in (b"'", b'"'):
            begin = self.at
            token = self._take(TOKEN)
            if self._next() not in (b">", *(bytes([b]) for b in SPACE)):
                raise _wrong(f"Unexpected end of name token at byte offset {begin}")
            return token.decode().lower()
        self._skip(1)
        value: list[str] = []
        while self._next() not in (quote, b""):
            if self._next() == b"&":
                character, self.at = _reference(self.source, self.at)
                value.append(character)
            else:
                value.append(self._take(re.compile(rb"[^&" + quote + rb"]+")).decode())
        if self._next():
            self._skip(1)
        return "".join(value)

    def _end_tag(self) -> None:
        begin = self.at
        if not self.open:
            raise _wrong(f"Unexpected end tag at byte offset {begin}")
        self._skip(2)
        name = self._take(TAG_NAME).lower()
        self._take(SPACES)
        if self._next() != b">":
            raise _wrong(f"Unclosed end tag at byte offset {begin}")
        self._skip(1)
        tag = self.open.pop()
        if name and name != tag.name:
            raise _wrong(
                f'Unmatched end tag at byte offset {begin}, expected "</{tag.name.decode()}>", '
                f'found "</{name.decode()}>"'
            )
        if self.units > tag.offset:
            self._close(tag)

    def _close(self, tag: OpenTag) -> None:
        """Add the entity of a tag; ``pre`` and ``code`` around the same text become one that knows its language."""
        last = self.entities[-1] if self.entities else None
        same = last is not None and (last.offset, last.length) == (tag.offset, self.units - tag.offset)
        match tag.name:
            case b"pre" if last is not None and same and last.type == "code" and last.language:
                self.entities[-1] = last.model_copy(update={"type": "pre"})
            case b"code" if last is not None and same and last.type == "pre" and _language(tag):
                self.entities[-1] = last.model_copy(update={"language": _language(tag)})
            case b"code":
                self._entity("code", tag, language=_language(tag))
            case b"pre":
                self._entity("pre", tag)
            case b"blockquote":
                self._entity("expandable_blockquote" if b"expandable" in tag.attributes else "blockquote", tag)
            case b"a":
                self._link(tag)
            case b"tg-emoji":
                emoji = tag.attributes.get(b"emoji-id", "")
                if not re.fullmatch(r"[1-9]\d*", emoji):
                    raise _wrong("Invalid custom emoji identifier specified")
                self._entity("custom_emoji", tag, custom_emoji_id=emoji)
            case b"tg-time":
                self._time(tag)
            case style:
                self._entity(STYLES[style], tag)

    def _link(self, tag: OpenTag) -> None:
        url = tag.attributes.get(b"href") or "".join(self.out[tag.start :])
        if user := re.fullmatch(r"tg://user\?id=(\d+)", url):
            self._entity("text_mention", tag, user={"id": int(user[1])})
        elif checked := checked_link(url):
            self._entity("text_link", tag, url=checked)

    def _time(self, tag: OpenTag) -> None:
        when = tag.attributes.get(b"unix", "")
        if re.fullmatch(r"[1-9]\d*", when):
            style = tag.attributes.get(b"format") or None
            self._entity("date_time", tag, unix_time=int(when), date_time_format=style)

    def _entity(self, kind: str, tag: OpenTag, **more: object) -> None:
        self.entities.append(
            Entity.model_validate({"type": kind, "offset": tag.offset, "length": self.units - tag.offset, **more})
        )

    def _next(self) -> bytes:
        return self.source[self.at : self.at + 1]

    def _skip(self, count: int) -> None:
        self.at += count

    def _take(self, pattern: re.Pattern[bytes]) -> bytes:
        found = pattern.match(self.source, self.at)
        assert found is not None, "every pattern matches the empty string, or is asked where it matches"
        self.at = found.end()
        return found.group()


def checked_link(url: str) -> str | None:
    """The address of a text link as Telegram keeps it, None for what is none; a scheme and a root path are added."""
    found = re.fullmatch(r"(?:(?P<scheme>https?|tg|ton|tonsite)://)?(?P<rest>[^\s/?#]+)(?P<path>[^\s]*)", url.strip())
    if found is None:
        return None
    scheme = found["scheme"] or "http"
    if scheme in ("http", "https") and "." not in found["rest"] and not found["scheme"]:
        return None
    path = found["path"] or ("/" if scheme in ("http", "https") else "")
    return f"{scheme}://{found['rest']}{path}"


def _language(tag: OpenTag) -> str | None:
    value = tag.attributes.get(b"class", "")
    return (value.removeprefix("language-") or None) if value.startswith("language-") else None


def _reference(source: bytes, at: int) -> tuple[str, int]:
    """The character at ``&`` and where the text goes on; one that is not known stands for itself."""
    found = REFERENCE.match(source, at)
    assert found is not None, "asked at an ampersand"
    if found["name"] is not None:
        character = NAMED.get(found["name"])
        return ("&", at + 1) if character is None else (character, found.end())
    digits, radix = (found["hex"], 16) if found["hex"] is not None else (found["decimal"], 10)
    code = int(digits or b"0", radix)
    if code == 0 or code >= 0x10FFFF or found.start("end") - at >= LONGEST_REFERENCE:
        return "&", at + 1
    return chr(code), found.end()


def _wrong(reason: str) -> Refusal:
    return bad_request(f"can't parse entities: {reason}")
