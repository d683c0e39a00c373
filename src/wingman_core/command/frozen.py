"""The one configuration of every model here (frozen, strict, closed to unknown fields), and shapes of their fields."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Names = Annotated[tuple[str, ...], Field(min_length=1)]
Pairs = tuple[tuple[str, str], ...]
Format = Literal["table", "json"]


class Frozen(BaseModel):
    """A value that never changes, compares by content, and takes no field it does not know."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
