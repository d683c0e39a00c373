"""Inline keyboards: https://core.telegram.org/bots/api#inlinekeyboardbutton.

Buttons with a payload, an address or a text to copy; other kinds are refused, so that a bot which comes to use one
meets a server that must learn it first. ``force_reply`` and reply keyboards leave no trace on a message.
"""

from typing import Any

from tests.bot.telegram_server.markup import checked_link
from tests.bot.telegram_server.refusal import bad_request
from tests.bot.telegram_server.wire import Button

LARGEST_PAYLOAD = 64
"""Bytes: "Data to be sent in a callback query to the bot when the button is pressed, 1-64 bytes"."""
MOST_BUTTONS = 100
LONGEST_COPY = 256

Keyboard = tuple[tuple[dict[str, Any], ...], ...]


def inline_keyboard(value: object) -> Keyboard:
    """The rows of a ``reply_markup``, none where it is another kind; raises a 400 refusal."""
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise bad_request("object expected as reply markup")
    rows = value.get("inline_keyboard", [])
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request('field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays')
    if sum(map(len, rows)) > MOST_BUTTONS:
        raise bad_request("reply markup is too long")
    return tuple(tuple(_button(button) for button in row) for row in rows if row)


def as_buttons(keyboard: Keyboard) -> tuple[tuple[Button, ...], ...]:
    """For the control surface."""
    fields = ("text", "callback_data", "url")
    return tuple(tuple(Button(**{f: b[f] for f in fields if f in b}) for b in row) for row in keyboard)


def _button(value: object) -> dict[str, Any]:
    what = "can't parse inline keyboard button: "
    if not isinstance(value, dict):
        raise bad_request(f"{what}InlineKeyboardButton must be an Object")
    _check_label(value.get("text"))
    kept = {name: value[name] for name in ("text", "icon_custom_emoji_id", "style") if value.get(name) is not None}
    match {name: value[name] for name in value if name not in kept and value[name] is not None}:
        case {"callback_data": str(data), **rest} if not rest:
            if not 1 <= len(data.encode()) <= LARGEST_PAYLOAD:
                raise bad_request("BUTTON_DATA_INVALID")
            return {**kept, "callback_data": data}
        case {"url": str(url), **rest} if not rest:
            if checked_link(url) is None:
                raise bad_request(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")
            return {**kept, "url": checked_link(url)}
        case {"copy_text": {"text": str(copied)}, **rest} if not rest:
            if not 1 <= len(copied) <= LONGEST_COPY:
                raise bad_request("BUTTON_COPY_TEXT_INVALID")
            return {**kept, "copy_text": {"text": copied}}
        case _:
            raise bad_request(f"{what}Text buttons are unallowed in the inline keyboard")


def _check_label(text: object) -> None:
    what = "can't parse inline keyboard button: "
    if text is None:
        raise bad_request(f'{what}Can\'t find field "text"')
    if not isinstance(text, str):
        raise bad_request(f'{what}Field "text" must be of type String')
    if not text.strip():
        raise bad_request("inline keyboard button text must be non-empty")
