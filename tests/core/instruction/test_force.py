"""Force flags where they force, and the same letters where they do not."""

import pytest

from wingman_core.instruction.findings import Check
from wingman_core.instruction.report import check

LONG, SHORT, SKIP = "long-force-flag", "short-force-flag", "skip-verification"
FORCES = {
    "docker rm --force web": LONG,
    "docker rm web --FORCE": LONG,
    "use `--force`": LONG,
    "use --force, then look": LONG,
    "git push --force-with-lease": LONG,
    "docker compose up --force-recreate": LONG,
    "docker build --force-rm .": LONG,
    "apt-get install --force-yes x": LONG,
    "x --force=true": LONG,
    "Remove-Item -Recurse -Force x": LONG,
    "docker rm web \N{EM DASH}force": LONG,
    "docker rm web \N{EN DASH}force": LONG,
    "docker rm web \N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH HYPHEN-MINUS}force": LONG,
    "docker rm web --fo\u200brce": LONG,
    "git commit --no-verify": SKIP,
    "apt-get install --allow-unauthenticated x": SKIP,
    "rm --no-preserve-root -r x": "no-preserve-root",
    "docker rm -f web": SHORT,
    "docker rm -fv web": SHORT,
    "docker rm -vf web": SHORT,
    "docker rm web -f": SHORT,
    "docker  rm   -f web": SHORT,
    "docker\trm\t-f web": SHORT,
    'docker "rm" "-f" web': SHORT,
    '["docker", "rm", "-f", "web"]': SHORT,
    "docker container rm -f web": SHORT,
    "docker -H tcp://h:1 rm -f web": SHORT,
    "docker --context prod rm -f web": SHORT,
    "docker rmi -f a": SHORT,
    "docker volume prune -f": SHORT,
    "docker swarm leave -f": SHORT,
    "docker compose -f a.yml -p x rm -f": SHORT,
    "docker-compose -f a.yml rm -sf": SHORT,
    "/usr/bin/docker rm -f web": SHORT,
    "podman rm -f web": SHORT,
    "$ sudo docker rm -f web": SHORT,
    "x && docker rm -f web": SHORT,
    "x; docker rm -f web": SHORT,
    "(docker rm -f web)": SHORT,
    "rm -rf x": SHORT,
    "rm -fr x": SHORT,
    "rm -Rf x": SHORT,
    "rm -r -f x": SHORT,
    "\\rm -f x": SHORT,
    "find . | xargs rm -f": SHORT,
    "bash -c 'rm -f x'": SHORT,
    "mv -f a b": SHORT,
    "cp -rf a b": SHORT,
    "git push -f": SHORT,
    "git -C /srv push -f origin main": SHORT,
    "git clean -fdx": SHORT,
    "git clean -xdf": SHORT,
    "git checkout -f main": SHORT,
    "git branch -D old": SHORT,
    "zfs destroy -f tank/x": SHORT,
    "systemctl reboot -f": SHORT,
    "git push origin +main": "forced-refspec",
    "git push origin +HEAD:main": "forced-refspec",
    "kill -9 1234": "kill-signal",
    "kill -KILL 1234": "kill-signal",
    "kill -s KILL 1234": "kill-signal",
    "pkill -9 nginx": "kill-signal",
    "killall -s 9 nginx": "kill-signal",
}
HARMLESS = [
    "docker compose -f a.yml up -d",
    "docker compose -f rm.yml up",
    "docker logs -f web",
    "docker ps -f name=web",
    "docker build -f Dockerfile.prod .",
    "docker inspect -f '{{.Id}}' web",
    "docker rm web",
    "docker rm --volumes web",
    "docker rm web and then tail -f x",
    "docker rm web. Then tail -f x",
    "docker run --rm -f x",
    "tail -f x",
    "grep -f x y",
    "rm x",
    "rm -- -f",
    "confirm -f",
    "git commit -F msg",
    "git log -f",
    "git branch -d old",
    "git push origin main",
    "git push + pull",
    "git",
    "kill -15 1",
    "kill -HUP 1",
    "kill it at 9",
    "kubectl apply -f x",
    "make -f x clean",
    "x --force=false",
    "x --no-force",
    "x --force-color",
    "x --enforce",
    "x --forced-labour",
    "brute-force",
    "workforce -forceful",
    "--",
    "-",
]


def rules(text: str) -> set[str]:
    return {finding.rule for finding in check(text).findings if finding.check is Check.NO_FORCE_FLAGS}


@pytest.mark.parametrize("text", FORCES)
def test_what_forces(text: str):
    assert FORCES[text] in rules(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_does_not(text: str):
    assert rules(text) == set()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("docker rm \\\n  -f web", [2]),
        ("docker rm \\\n  web \\\n  --force", [3]),
        ("\r\n\r\ndocker rm -f web\r\n", [3]),
        ("```\ndocker rm -f a\ndocker rm -f b\n```", [2, 3]),
        ("> docker rm -f a\n<!-- docker rm -f b -->", [1, 2]),
        ("docker rm -f a; docker rm -f b", [1, 1]),
    ],
)
def test_the_line(text: str, lines: list[int]):
    found = [finding.line for finding in check(text).findings if finding.check is Check.NO_FORCE_FLAGS]
    assert found == lines


def test_a_flag_that_no_rule_names_is_not_repeated():
    (finding,) = [each for each in check("x --force-hunter2secret").findings if each.check is Check.NO_FORCE_FLAGS]
    assert finding.message == "the flag --force-... forces past a question or a safeguard"
