"""What is judged of a command: each object it touches, under each of its names."""

from wingman_core.command import Operation, parse
from wingman_core.target import Reference, Target
from wingman_gateway.resources import resources_of, unresolved


def judged(op: Operation, *targets: Target) -> list[tuple[str, object]]:
    """The type and the name of each."""
    return [(entity.type, dict(entity.attributes).get("name")) for entity in resources_of(op, targets)]


def test_what_names_no_object_concerns_the_engine() -> None:
    assert judged(parse("docker ps")) == [("Engine", None)]
    op = parse("docker run --name web --network shop -v data:/x --volumes-from db busybox")
    assert sorted(judged(op, *unresolved(op))) == [
        ("Container", "db"),
        ("Container", "web"),
        ("Image", "busybox"),
        ("Network", "shop"),
        ("Volume", "data"),
    ]


def test_one_object_under_two_names_is_judged_once() -> None:
    twice = (Target(Reference("container", name), id="ab" * 32, name="web") for name in ("web", "4f6b1c"))
    assert judged(parse("docker stop web 4f6b1c"), *twice) == [("Container", "web")]


def test_an_image_that_is_named_by_its_id_is_judged_under_each_of_its_names() -> None:
    image = Target(Reference("image", "4f6b1c"), id="sha256:4f6b1c", name="a:1", names=("a:1", "b:1"))
    for command in ("docker tag 4f6b1c c:1", "docker image prune --all", "docker history 4f6b1c"):
        assert judged(parse(command), image) == [("Image", "a:1"), ("Image", "b:1")]
    op = parse("docker run 4f6b1c")
    assert judged(op, image) == [("Image", "a:1"), ("Image", "b:1"), ("Container", "")]
