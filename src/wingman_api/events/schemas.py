"""Consumers of the feed and their notes as HTTP carries them."""

import json
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from wingman_api.events.consumer_store import Consumer, Note
from wingman_api.events.consumers import Change
from wingman_api.previews import View

MAX_POSITION: Final = 2**53
MAX_VALUE: Final = 2048
MAX_CHANGES: Final = 100
MAX_PAGE: Final = 200


def _small(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Refuse what is too large, or no text of a database: NUL, half of a surrogate pair, numbers JSON has not."""
    text = compact(value)
    if len(text.encode()) > MAX_VALUE:
        raise ValueError(f"a note's value has at most {MAX_VALUE} bytes as compact JSON")
    if "\\u0000" in text:
        raise ValueError("NUL is refused")
    return value


def compact(value: dict[str, JsonValue]) -> str:
    """Return JSON text without spaces; raise ``ValueError`` for what has none."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


ConsumerName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", examples=["telegram"])]
NoteKey = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$",
        description="Such as a request's id.",
        examples=["apr_dbc7jx2mqvg5s3k2h6t4yw7raa"],
    ),
]
NoteValue = Annotated[
    dict[str, JsonValue], AfterValidator(_small), Field(description=f"An object of at most {MAX_VALUE} bytes.")
]


class ConsumerChange(BaseModel):
    """Where a consumer stands now, and notes to keep or to delete, all at once."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "example": {
                "revision": 0,
                "cursor": 0,
                "notes": {"apr_dbc7jx2mqvg5s3k2h6t4yw7raa": {"chat": -1001, "message": 7}},
            }
        },
    )

    revision: Annotated[int, Field(ge=0, le=MAX_POSITION)] = Field(
        description="As you know it, 0 for a consumer that does not exist; another one is a 409 and changes nothing."
    )
    cursor: Annotated[int, Field(ge=0, le=MAX_POSITION)] = Field(
        description="The id of the last event that was handled; never less than it was."
    )
    notes: Annotated[dict[NoteKey, NoteValue | None], Field(max_length=MAX_CHANGES)] = Field(
        default_factory=dict,
        description="By key; null deletes. Notes that are not named stay as they are.",
        json_schema_extra={"additionalProperties": False},
    )

    def change(self) -> Change:
        """Return what is wanted."""
        notes = {key: None if value is None else compact(value) for key, value in self.notes.items()}
        return Change(self.revision, self.cursor, notes)


class ConsumerView(View):
    """A durable place in the feed."""

    name: str
    owner: str = Field(description="The person whose key made it.")
    cursor: int = Field(description="The id of the last event that was handled.")
    revision: int = Field(description="Counts changes; send it with the next one.")
    notes: int = Field(description="How many there are.")
    behind: int = Field(description="How many events there are after the cursor.")
    updated_at: datetime

    @classmethod
    def of(cls, consumer: Consumer) -> "ConsumerView":
        """Return the view of a consumer."""
        return cls(
            name=consumer.name,
            owner=consumer.owner,
            cursor=consumer.cursor,
            revision=consumer.revision,
            notes=consumer.notes,
            behind=consumer.newest - consumer.cursor,
            updated_at=consumer.updated_at,
        )


class ConsumersAnswer(View):
    """The caller's consumers; an operator sees all."""

    consumers: tuple[ConsumerView, ...]


class NoteView(View):
    """One note."""

    key: str
    value: dict[str, Any]
    updated_at: datetime

    @classmethod
    def of(cls, note: Note) -> "NoteView":
        """Return the view of a note."""
        return cls(key=note.key, value=json.loads(note.value), updated_at=note.updated_at)


class NotesAnswer(View):
    """A page of notes, by key."""

    notes: tuple[NoteView, ...]
    next_after: str | None = Field(description="Send it as `after` for the next page; null on the last.")
