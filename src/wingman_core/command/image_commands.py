"""The rows of the command table for images. Source: docker/cli v28.2.2 ``cli/command/image``."""

from typing import Final, cast

from wingman_core.command import object_operations as objects
from wingman_core.command.filters import filter_set, image_filter, prune_filter
from wingman_core.command.flags import FlagTable
from wingman_core.command.images import image, image_pattern, is_name_only, remote_image
from wingman_core.command.tables import (
    FORCE,
    LIST_FORMAT,
    NO_TRUNC,
    QUIET,
    Command,
    Fields,
    Positional,
    ignored,
    once,
    prune_rules,
    refused,
    setting,
    several,
    switch,
)
from wingman_core.command.values import BadValue, one_of, optional, platform, show_pair

_AS_IT_IS: Final = "an image is taken as the engine has it"


def _tagged(reference: str) -> str:
    """Return a reference with the tag that Docker takes where there is none; digests as they are."""
    return f"{reference}:latest" if is_name_only(reference) else reference


def _pull_rules(fields: Fields) -> None:
    reference = cast("str", fields["image"])
    if fields.get("all_tags"):
        if not is_name_only(reference):
            raise BadValue("a tag or digest cannot stand beside --all-tags")
    else:
        fields["image"] = _tagged(reference)


def _tag_rules(fields: Fields) -> None:
    target = _tagged(cast("str", fields["target"]))
    if "@" in target:
        raise BadValue("a digest cannot be given to an image; name a tag")
    fields["target"] = target


def _rmi_rules(fields: Fields) -> None:
    once(fields, "images")


IMAGE_COMMANDS: Final = (
    Command(
        objects.ImagesOperation,
        ("images", "image ls", "image list"),
        FlagTable(
            (
                switch("all", "all", "a"),
                switch("digests", "digests"),
                several("filter", "filters", image_filter, filter_set, "f", show=show_pair),
                LIST_FORMAT,
                NO_TRUNC,
                QUIET,
                refused("tree", "it is experimental in Docker", switch=True),
            )
        ),
        (Positional("repository", image_pattern, least=0),),
    ),
    Command(
        objects.PullOperation,
        ("pull", "image pull"),
        FlagTable(
            (
                switch("all-tags", "all_tags", "a"),
                ignored("disable-content-trust", one_of("true", "1", "t", "T", "TRUE", "True"), switch=True),
                setting("platform", "platform", optional(platform)),
                QUIET,
            )
        ),
        (Positional("image", remote_image),),
        rules=_pull_rules,
    ),
    Command(
        objects.HistoryOperation,
        ("history", "image history"),
        FlagTable(
            (
                LIST_FORMAT,
                switch("human", "human", "H"),
                NO_TRUNC,
                refused("platform", _AS_IT_IS),
                QUIET,
            )
        ),
        (Positional("image", image),),
    ),
    Command(
        objects.TagOperation,
        ("tag", "image tag"),
        FlagTable((), interspersed=False),
        (Positional("source", image), Positional("target", remote_image)),
        rules=_tag_rules,
    ),
    Command(
        objects.RmiOperation,
        ("rmi", "image rm", "image remove"),
        FlagTable(
            (
                switch("force", "force", "f"),
                switch("no-prune", "no_prune"),
                refused("platform", "an image goes as the engine has it, whole"),
            )
        ),
        (Positional("images", image, many=True),),
        rules=_rmi_rules,
    ),
    Command(
        objects.ImagePruneOperation,
        ("image prune",),
        FlagTable(
            (
                switch("all", "all", "a"),
                several("filter", "filters", prune_filter, filter_set, show=show_pair),
                FORCE,
            )
        ),
        rules=prune_rules,
    ),
)
