"""The one configuration of every model here: frozen, strict, and closed to unknown fields."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A value that never changes, compares by content, and takes no field it does not know."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
