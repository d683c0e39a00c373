"""What an operation names, its effect, and its facts about images and mounts."""

import pytest

from wingman_core.command import facts, parse, references
from wingman_core.command.images import image, image_pattern, is_name_only, kind_of, qualified, remote_image, repository
from wingman_core.command.values import BadValue
from wingman_core.target import Reference

DIGEST = "sha256:" + "ab" * 32

EFFECTS = {
    "docker ps": "read",
    "docker inspect web": "read",
    "docker logs web": "read",
    "docker top web": "read",
    "docker stats --no-stream": "read",
    "docker images": "read",
    "docker start web": "lifecycle",
    "docker stop web": "lifecycle",
    "docker restart web": "lifecycle",
    "docker kill web": "lifecycle",
    "docker pause web": "lifecycle",
    "docker unpause web": "lifecycle",
    "docker exec web id": "change",
    "docker run busybox": "change",
    "docker pull busybox": "change",
    "docker rm web": "destroy",
}


@pytest.mark.parametrize("text", EFFECTS)
def test_every_verb_has_its_effect(text: str):
    op = parse(text)
    found = facts(op)
    assert found.effect == EFFECTS[text]
    assert found.verb == op.verb == text.split()[1]
    assert not found.privileges
    assert not found.shell


REFERENCES = {
    "docker ps": [],
    "docker images busybox": [],
    "docker stats --no-stream": [],
    "docker stats --no-stream b a": ["container b object", "container a object"],
    "docker logs web": ["container web object"],
    "docker top web": ["container web object"],
    "docker exec web id": ["container web object"],
    **{
        f"docker {verb} b a": ["container b object", "container a object"]
        for verb in ("start", "stop", "restart", "kill", "pause", "unpause", "rm")
    },
    "docker inspect web team/app app:1": ["container web object", "image team/app object", "image app:1 object"],
    "docker inspect --type image web": ["image web object"],
    "docker container inspect web": ["container web object"],
    "docker pull busybox": ["image busybox:latest fetch"],
    "docker pull -a busybox": ["image busybox fetch"],
    "docker run busybox": ["image busybox peer"],
    "docker run --name web -d busybox": ["container web new", "image busybox peer"],
    "docker run --pid container:a --ipc container:b --net container:c --link d --volumes-from e:ro --link a busybox": [
        *("image busybox peer", "container a peer", "container b peer", "container c peer"),
        *("container d peer", "container e peer"),
    ],
    "docker run --network shop --network back busybox": [
        "image busybox peer",
        "network shop peer",
        "network back peer",
    ],
    "docker run --network host busybox": ["image busybox peer"],
    "docker run --network bridge --pid host --ipc host busybox": ["image busybox peer"],
    "docker run -v data:/d -v /s:/s -v /anon --mount src=more,dst=/m --mount dst=/n --mount type=tmpfs,dst=/t x": [
        *("image x peer", "volume data peer", "volume more peer"),
    ],
    "docker run -v data:/d --mount src=data,dst=/m busybox": ["image busybox peer", "volume data peer"],
    "docker run --mount type=image,src=team/app,dst=/m busybox": ["image busybox peer", "image team/app peer"],
}


@pytest.mark.parametrize("text", REFERENCES)
def test_an_operation_names_its_objects(text: str):
    op = parse(text)
    found = references(op)
    assert [f"{each.kind} {each.name} {each.role}" for each in found] == REFERENCES[text]
    assert all(isinstance(each, Reference) for each in found)


def test_mounts_are_told_one_a_line():
    found = facts(
        parse(
            "docker run -v data:/d:ro -v /anon -v /srv:/s --mount type=bind,src=/b,dst=/m,ro --mount src=vol,dst=/v "
            "--mount type=tmpfs,dst=/t --tmpfs /u:size=1m --volumes-from db busybox"
        )
    )
    assert found.mounts == (
        *("volume /anon", "bind /srv:/s", "volume data:/d:ro", "bind /b:/m:ro", "tmpfs /t", "volume vol:/v"),
        *("tmpfs /u", "volumes-from db"),
    )


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("docker run busybox", ("docker.io/library/busybox:latest",)),
        ("docker run localhost:5000/a:1", ("localhost:5000/a:1",)),
        (f"docker run {'ab' * 32}", (DIGEST,)),
        (
            "docker run --mount type=image,src=team/app,dst=/m busybox",
            ("docker.io/library/busybox:latest", "docker.io/team/app:latest"),
        ),
        ("docker pull busybox", ("docker.io/library/busybox:latest",)),
        ("docker pull -a busybox", ("docker.io/library/busybox",)),
        ("docker inspect web team/app", ("docker.io/team/app:latest",)),
        ("docker ps", ()),
    ],
)
def test_images_are_spelled_out(text: str, images: tuple[str, ...]):
    assert facts(parse(text)).images == images


IMAGES = {
    "busybox": "busybox",
    "docker.io/busybox": "busybox",
    "docker.io/library/busybox": "busybox",
    "index.docker.io/library/busybox:1": "busybox:1",
    "library/busybox": "busybox",
    "team/app": "team/app",
    "docker.io/team/app:2": "team/app:2",
    "localhost/app": "localhost/app",
    "localhost:5000/app": "localhost:5000/app",
    "Registry.Example/app": "Registry.Example/app",
    "REGISTRY/app": "REGISTRY/app",
    "[::1]:5000/app": "[::1]:5000/app",
    "registry.example/team/app:1@" + DIGEST: "registry.example/team/app:1@" + DIGEST,
    "busybox@" + DIGEST: "busybox@" + DIGEST,
    DIGEST: DIGEST,
    "ab" * 32: DIGEST,
    "a__b--c.d": "a__b--c.d",
    # The short form of these would be another registry's image, or an id.
    "docker.io/a.b/c": "docker.io/a.b/c",
    "docker.io/localhost/c": "docker.io/localhost/c",
    "docker.io/library/a/b": "library/a/b",
    "docker.io/" + "ab" * 32: "docker.io/library/" + "ab" * 32,
}


@pytest.mark.parametrize("text", IMAGES)
def test_image_references_have_one_form_that_reads_back(text: str):
    assert image(text) == IMAGES[text]
    assert image(IMAGES[text]) == IMAGES[text]
    assert qualified(IMAGES[text]) == qualified(image(text))


@pytest.mark.parametrize(
    "text",
    [
        *("", "Busybox", "busybox:", "busybox:-x", "busybox@", "busybox@sha256:ab", "busybox@md5:" + "ab" * 16, "a//b"),
        *(
            "-a",
            "a..b",
            "a___b",
            "a/",
            "/a",
            "a b",
            "a:b:c",
            "é",
            "a" * 256,
            "b:" + "t" * 129,
            "[::1/a",
            "reg_istry.x/a",
            "a\n",
        ),
        *("busybox@sha256:" + "AB" * 32, "docker.io/", "http://x/a"),
    ],
)
def test_what_is_no_image_reference(text: str):
    with pytest.raises(BadValue):
        image(text)


def test_an_id_cannot_be_pulled():
    for text in (DIGEST, "ab" * 32):
        with pytest.raises(BadValue, match="id"):
            remote_image(text)
    assert remote_image("docker.io/busybox") == "busybox"


def test_parts_of_references():
    assert is_name_only("busybox")
    assert not is_name_only("busybox:1")
    assert not is_name_only("busybox@" + DIGEST)
    assert repository("busybox:1") == "docker.io/library/busybox"
    assert qualified("busybox@" + DIGEST) == "docker.io/library/busybox@" + DIGEST
    assert image_pattern("") == ""
    assert image_pattern("team/*:1.?") == "team/*:1.?"
    for pattern in ("-a", "a b", "a;b"):
        with pytest.raises(BadValue):
            image_pattern(pattern)


def test_inspect_looks_for_an_image_where_no_container_can_be_meant():
    assert kind_of("web", "") == "container"
    assert kind_of("web", "image") == "image"
    assert [kind_of(name, "") for name in ("a/b", "a:b", "a@b")] == ["image"] * 3
    assert kind_of("a/b", "container") == "container"
