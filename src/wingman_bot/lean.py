"""aiogram with models that are built when they are first used; imported before anything else that imports aiogram.

aiogram builds validators for all of the Bot API's some 450 types as it is imported, which takes 110 MB and two
seconds, though a bot uses a tenth of them. Here its calls of ``model_rebuild`` are noted instead, with the namespace
that they pass, and each model is built in that namespace at its first use, which is pydantic's own way with incomplete
models.
docs/decisions/0012 says why.
Guarantees: what a model accepts is the same. Where aiogram was imported before, nothing is changed; should a later
version of it ask otherwise, the import fails, and a test says so.
"""

import sys
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel


def _import_aiogram() -> None:
    """Import aiogram's types, and leave their building for later."""
    original, namespace = BaseModel.__dict__["model_rebuild"], dict[str, Any]()
    build: Callable[..., bool | None] = original.__func__

    def later(_: type[BaseModel], /, *, _types_namespace: dict[str, Any], **__: Any) -> None:  # noqa: ANN401
        namespace.update(_types_namespace)

    def now(cls: type[BaseModel], /, **arguments: Any) -> bool | None:  # noqa: ANN401 - pydantic's arguments
        return build(cls, **{"_types_namespace": namespace, **arguments})

    BaseModel.model_rebuild = classmethod(later)  # type: ignore[method-assign,assignment]
    try:
        from aiogram.methods.base import Response, TelegramMethod  # noqa: PLC0415 - that is what this is about
        from aiogram.types.base import TelegramObject  # noqa: PLC0415
    finally:
        BaseModel.model_rebuild = original  # type: ignore[method-assign]
    for model in (TelegramObject, TelegramMethod, Response):
        model.model_rebuild = classmethod(now)  # type: ignore[method-assign,assignment]


if "aiogram" not in sys.modules:
    _import_aiogram()
