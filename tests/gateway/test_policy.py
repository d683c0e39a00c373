"""The policy: what the shipped files decide, how people are counted, and that doubt denies."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from unittest.mock import Mock

import cedarpy
import pytest

from wingman_core.command import Operation, RunOperation, facts, parse
from wingman_core.command.grammar import COMMANDS
from wingman_core.target import Reference, Target
from wingman_core.verdict import Automatic, Forbidden, NeedsPeople
from wingman_gateway.policy import MOST_PEOPLE, Allowed, Denied, Policy
from wingman_gateway.policy_cases import read_cases
from wingman_gateway.resources import resources_of, unresolved

SHIPPED = Path(str(resources.files("wingman_gateway") / "policies"))
EXAMPLES = {
    "exec": "docker exec web ls",
    "images": "docker images",
    "kill": "docker kill web",
    "logs": "docker logs web",
    "pull": "docker pull busybox",
    "ps": "docker ps",
    "rm": "docker rm web",
    "run": "docker run busybox",
    "stats": "docker stats --no-stream",
    "top": "docker top web",
    **{
        f"compose {word}": f"docker compose -p shop {word}"
        for word in [
            "ps",
            "logs",
            "top",
            "images",
            "start",
            "stop",
            "restart",
            "pause",
            "unpause",
            "kill",
            "rm",
            "down",
            "up",
            "pull",
        ]
    },
    "create": "docker create busybox",
    "history": "docker history busybox",
    "rmi": "docker rmi busybox",
    "tag": "docker tag busybox:1 busybox:2",
    "rename": "docker rename web old",
    "update": "docker update --cpus 1 web",
    "network connect": "docker network connect shop web",
    "network disconnect": "docker network disconnect shop web",
}
NAMELESS = {"compose ls", "info", "network ls", "system df", "version", "volume ls"}
READ_BY_ONE = {"logs", "compose logs", "diff", "history"}
"""What a container or an image tells of its content: one person in PRD."""


@pytest.fixture(scope="module")
def test() -> Policy:
    return Policy.load(SHIPPED, "test")


@pytest.fixture(scope="module")
def prd() -> Policy:
    return Policy.load(SHIPPED, "prd")


Load = Callable[[str], Policy]


@pytest.fixture
def custom(tmp_path: Path) -> Load:
    """Makes a policy of one's own text, on the shipped schema."""

    def load(text: str) -> Policy:
        shutil.copy(SHIPPED / "schema.cedarschema", tmp_path)
        (tmp_path / "cases").mkdir(exist_ok=True)
        (tmp_path / "everywhere.cedar").write_text("", encoding="utf-8")
        (tmp_path / "test.cedar").write_text(text, encoding="utf-8")
        permitted = '[[case]]\ncommand = "docker images"\nexpect = "automatic"\n'
        for name in ("everywhere", "test"):
            (tmp_path / "cases" / f"{name}.toml").write_text(permitted, encoding="utf-8")
        return Policy.load(tmp_path, "test")

    return load


IMAGES = '@id("images") @reason("Images are no secret.") permit (principal, action == Action::"images", resource);\n'


def ask(command: str) -> tuple[Operation, tuple[Target, ...]]:
    op = parse(command)
    return op, unresolved(op)


def all_verbs() -> list[str]:
    return sorted(str(command.operation.model_fields["verb"].default) for command in COMMANDS)


@pytest.mark.parametrize("environment", ["test", "prd"])
@pytest.mark.parametrize("verb", sorted(set(all_verbs())))
def test_every_verb_is_in_the_group_of_its_effect(verb: str, environment: str, test: Policy, prd: Policy) -> None:
    op, targets = ask(EXAMPLES.get(verb, f"docker {verb}" + ("" if verb in NAMELESS or "prune" in verb else " web")))
    assert op.verb == verb
    verdict = {"test": test, "prd": prd}[environment].verdict(op, targets, "worker")
    people = {
        ("test", "read"): 0,
        ("test", "lifecycle"): 1,
        ("test", "change"): 1,
        ("test", "destroy"): 1,
        ("prd", "read"): 1 if verb in READ_BY_ONE else 0,
        ("prd", "lifecycle"): 1,
        ("prd", "change"): 2,
        ("prd", "destroy"): 2,
    }[environment, facts(op).effect]
    assert verdict.reason.startswith(f"In {environment.upper()},")
    if people == 0:
        assert isinstance(verdict, Automatic)
    else:
        assert isinstance(verdict, NeedsPeople)
        assert verdict.people == people


@pytest.mark.parametrize("environment", ["test", "prd"])
def test_the_shipped_cases_cover_each_policy(environment: str, test: Policy, prd: Policy) -> None:
    policy = {"test": test, "prd": prd}[environment]
    decided = set()
    for name in ("everywhere", environment):
        for _, case in read_cases(SHIPPED / "cases" / f"{name}.toml"):
            decided.add(case.because)
    assert set(policy.rules) <= decided, "a policy without a case that names it"


def test_as_many_people_as_it_needs_and_no_fewer_make_it_allowed(prd: Policy) -> None:
    op, targets = ask("docker rm web")
    for names, people in ((), 2), (("Ann",), 2), (("Ann", "ann", " ANN "), 2), (("Ann", "Bob"), 0):
        decision = prd.decide(op, targets, "worker", names)
        if people:
            assert isinstance(decision, Denied)
            assert decision.people == people
            assert decision.policies == ("prd-two-people",)
        else:
            assert decision == Allowed(("prd-two-people",), "In PRD, exec, change and destroy need two people.")


def test_a_worker_does_not_count_for_itself(test: Policy) -> None:
    op, targets = ask("docker rm web")
    assert isinstance(test.decide(op, targets, "ann", ("Ann",)), Denied)
    assert isinstance(test.decide(op, targets, "ann", ("Ann", "Bob")), Allowed)


@pytest.mark.parametrize("nobody", ["", "  ", "\u200b"])
def test_a_name_that_is_none_does_not_count(nobody: str, test: Policy) -> None:
    op, targets = ask("docker rm web")
    assert isinstance(test.decide(op, targets, "worker", (nobody,)), Denied)


def test_a_forbid_beats_any_number_of_people(prd: Policy) -> None:
    op, targets = ask("docker run --privileged busybox")
    denied = prd.decide(op, targets, "worker", ("a", "b", "c", "d", "e", "f"))
    assert isinstance(denied, Denied)
    assert (denied.policies, denied.people) == (("no-privileges",), 0)
    assert "nobody can approve" in denied.reason
    verdict = prd.verdict(op, targets, "worker")
    assert verdict == Forbidden(denied.policies, denied.reason)


def test_every_forbid_that_applies_is_told(test: Policy) -> None:
    op, targets = ask("docker exec --privileged wingman-gateway-test sh -c id")
    verdict = test.verdict(op, targets, "worker")
    assert isinstance(verdict, Forbidden)
    assert verdict.policies == ("no-privileges", "no-shell", "wingman-container")
    assert "reaches for the host" in verdict.reason
    assert "interpreter" in verdict.reason


@pytest.mark.parametrize("order", ["web wingman-api-test", "wingman-api-test web"])
def test_of_several_objects_the_strictest_counts(order: str, test: Policy) -> None:
    assert isinstance(test.verdict(*ask(f"docker stop {order}"), "worker"), Forbidden)
    assert isinstance(test.decide(*ask(f"docker stop {order}"), "worker", ("ann",)), Denied)


def test_the_resolved_name_is_judged_whatever_was_written(test: Policy) -> None:
    op, (target,) = ask("docker stop 4f6b1c")
    assert isinstance(test.verdict(op, (target,), "worker"), NeedsPeople)
    resolved = replace(target, id="4f6b1c" + "0" * 58, name="wingman-api-test")
    assert isinstance(test.verdict(op, (resolved,), "worker"), Forbidden)


def test_what_would_be_created_is_judged_like_what_exists(test: Policy) -> None:
    for command, policy in (
        ("docker run --name wingman-gateway-test busybox", "wingman-container"),
        ("docker run -v wingman-test_pgdata:/x busybox", "wingman-volume"),
        ("docker run --network wingman-test_data busybox", "wingman-network"),
    ):
        verdict = test.verdict(*ask(command), "worker")
        assert isinstance(verdict, Forbidden)
        assert verdict.policies == (policy,)


def test_labels_of_what_would_be_created_are_its_tags(test: Policy) -> None:
    """The grammar keeps ownership labels from workers; the policy does not rely on that."""
    op = RunOperation(image="busybox", labels=(("com.docker.compose.project", "wingman-test"), ("wingman.role", "api")))
    created = next(entity for entity in resources_of(op, unresolved(op)) if entity.type == "Container")
    assert created.tags == op.labels
    assert dict(created.attributes)["project"] == "wingman-test"
    assert test.verdict(op, unresolved(op), "worker") == Forbidden(
        ("wingman-container",),
        "This is one of Wingman's own containers, or claims to be; Wingman does not touch itself.",
    )


def test_what_was_asked_before_is_answered_alike_and_what_differs_in_anything_is_asked_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy, asked = Policy.load(SHIPPED, "test"), Mock(wraps=cedarpy.is_authorized_batch)
    monkeypatch.setattr(cedarpy, "is_authorized_batch", asked)
    op = parse("docker stop web")
    web = Target(Reference("container", "web"), id="1" * 64, name="web", state="running")
    first = policy.decide(op, (web,), "worker", ["Alice"])
    assert isinstance(first, Allowed)
    assert policy.decide(parse("docker stop web"), (replace(web),), "worker", ["Alice"]) == first
    assert asked.call_count == 1
    others = [
        policy.decide(op, (replace(web, labels=(("wingman.role", "api"),)),), "worker", ["Alice"]),
        policy.decide(op, (replace(web, privileges=("--privileged",)),), "worker", ["Alice"]),
        policy.decide(op, (replace(web, name="wingman-api-test"),), "worker", ["Alice"]),
        policy.decide(op, (web,), "Alice", ["Alice"]),
        policy.decide(op, (web,), "worker", []),
    ]
    assert asked.call_count > len(others)
    assert [type(other) for other in others] == [Denied, Allowed, Denied, Denied, Denied]


@pytest.mark.parametrize("worker", ["", 'a"b', "a\\b", "Worker::x", "\u0000", "\n", "a" * 500, "\U0001f980"])
def test_any_name_of_a_worker_is_a_name_and_nothing_else(worker: str, test: Policy) -> None:
    op, targets = ask("docker ps")
    assert isinstance(test.verdict(op, targets, worker), Automatic)


def test_peculiar_names_of_objects_are_names_and_nothing_else(test: Policy) -> None:
    op = parse("docker stop web")
    for name in ('x"; permit', "wingman-api-", "WINGMAN-API-TEST", "\u202e"):
        target = Target(Reference("container", "web"), id=name, name=name, labels=(('a"b', "c\nd"),))
        verdict = test.verdict(op, (target,), "worker")
        assert isinstance(verdict, Forbidden if name == "wingman-api-" else NeedsPeople), name


def test_nothing_permitted_is_forbidden_with_that_reason(custom: Load) -> None:
    policy = custom(IMAGES)
    op, targets = ask("docker ps")
    assert policy.verdict(op, targets, "worker") == Forbidden((), "No policy permits this.")
    assert policy.decide(op, targets, "worker", ()) == Denied((), "No policy permits this.")


def test_more_people_than_are_ever_asked_for_is_forbidden(custom: Load) -> None:
    enough = (
        '@id("many") @reason("Many people.") permit (principal, action, resource)'
        " when { context.approvals.people >= %d };\n"
    )
    op, targets = ask("docker stop web")
    allowed = custom(IMAGES + enough % MOST_PEOPLE).verdict(op, targets, "worker")
    assert isinstance(allowed, NeedsPeople)
    assert allowed.people == MOST_PEOPLE
    assert isinstance(custom(IMAGES + enough % (MOST_PEOPLE + 1)).verdict(op, targets, "worker"), Forbidden)


def test_a_policy_that_cannot_be_evaluated_denies(custom: Load) -> None:
    """Cedar skips a policy that fails; a forbid that is skipped would let everything through."""
    policy = custom(
        IMAGES
        + '@id("all") @reason("All.") permit (principal, action, resource);\n'
        + '@id("fails") @reason("Fails.") forbid (principal, action == Action::"ps", resource)'
        + " when { context.approvals.people + 9223372036854775807 + 1 > 0 };\n"
    )
    op, targets = ask("docker ps")
    verdict = policy.verdict(op, targets, "worker")
    assert isinstance(verdict, Forbidden)
    assert "could not be evaluated" in verdict.reason
    assert isinstance(policy.decide(op, targets, "worker", ("a", "b")), Denied)
    assert isinstance(policy.verdict(*ask("docker stop web"), "worker"), Automatic)


def test_a_person_may_be_asked_for_by_a_forbid(custom: Load) -> None:
    policy = custom(
        IMAGES
        + '@id("one") @reason("One.") permit (principal, action, resource) when { context.approvals.people >= 1 };\n'
        + '@id("not-eve") @reason("Not Eve.") forbid (principal, action, resource)'
        + ' when { context.approvals.names.contains("eve") };\n'
    )
    op, targets = ask("docker stop web")
    assert isinstance(policy.decide(op, targets, "worker", ("Ann",)), Allowed)
    denied = policy.decide(op, targets, "worker", ("Ann", "EVE"))
    assert isinstance(denied, Denied)
    assert (denied.policies, denied.people) == (("not-eve",), 0)


def test_a_policy_may_ask_for_worker_object_effect_images_and_mounts(custom: Load) -> None:
    policy = custom(
        IMAGES
        + '@id("bot") @reason("The bot restarts.") permit (principal == Worker::"bot", action == Action::"restart",'
        + ' resource) when { resource.hasTag("tier") && resource.getTag("tier") == "web" };\n'
        + '@id("run") @reason("Known images.") permit (principal, action == Action::"run", resource)'
        + ' when { context.images.contains("docker.io/library/busybox:latest") && context.mounts.isEmpty()'
        + ' && context.effect == "change" };\n'
    )
    op, (target,) = ask("docker restart web")
    web = (replace(target, labels=(("tier", "web"),)),)
    assert isinstance(policy.verdict(op, web, "bot"), Automatic)
    assert isinstance(policy.verdict(op, web, "other"), Forbidden)
    assert isinstance(policy.verdict(op, (target,), "bot"), Forbidden)
    assert isinstance(policy.verdict(*ask("docker run busybox"), "w"), Automatic)
    assert isinstance(policy.verdict(*ask("docker run alpine"), "w"), Forbidden)
    assert isinstance(policy.verdict(*ask("docker run -v data:/x busybox"), "w"), Forbidden)


def test_one_image_under_two_names_is_judged_for_each(test: Policy) -> None:
    op = parse("docker inspect --type image busybox:1 busybox:2")
    targets = [replace(target, id="sha256:" + "a" * 64) for target in unresolved(op)]
    assert isinstance(test.verdict(op, targets, "agent"), Automatic)


def test_a_verdict_that_cannot_be_had_tells_nothing_of_the_objects(test: Policy) -> None:
    op = parse("docker restart web")
    (target,) = unresolved(op)
    targets = [
        replace(target, id="a" * 64, state=state, labels=(("token", "geheim"),)) for state in ("running", "dead")
    ]
    verdict = test.verdict(op, targets, "agent")
    assert isinstance(verdict, Forbidden)
    assert verdict.reason.startswith("The policy could not be evaluated: ")
    assert "geheim" not in verdict.reason
