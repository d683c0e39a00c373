"""Requests as the API shows them, for tests that need no API."""

from typing import Any

from wingman_bot.views import Execution, Request

ID = "apr_" + "a" * 26
NOW = "2026-03-01T12:00:00Z"
LATER = "2026-03-01T12:15:00Z"


def target(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - a view's values
    """A container that was resolved."""
    return {
        "kind": "container",
        "reference": "web",
        "role": "object",
        "id": "a" * 64,
        "name": "web",
        "image": "nginx:1.27",
        "image_digest": "sha256:" + "b" * 64,
        "project": "shop",
        "labels": {"team": "web"},
        "state": "running",
        "privileges": [],
        **changes,
    }


def command(number: int = 0, text: str = "docker restart --time 10 web", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A command with its preview; ``changes`` are the preview's."""
    preview = {
        "canonical_command": text,
        "targets": [target()],
        "facts": {"effect": "lifecycle", "privileges": [], "shell": [], "mounts": []},
        "blast_radius": {
            "summary": "web restarts",
            "reversible": True,
            "stops": ["web"],
            "ports_dropped": ["80/tcp"],
            "dependents": ["proxy"],
            "data_lost": [],
            "expected_time": "0 to 10 s to end: web has 10 s, then killed",
        },
        "verdict": {"outcome": "people", "people": 1, "policies": ["lifecycle"], "reason": "a person decides"},
        **changes,
    }
    return {
        "approval_id": f"{ID}.{number}",
        "command": text,
        "operation_digest": "c" * 64,
        "target_digest": "d" * 64,
        "preview": preview,
        "execution_id": None,
    }


def request(**changes: Any) -> Request:  # noqa: ANN401
    """A request of one command that waits for one person."""
    level = changes.pop("level", "MEDIUM")
    votes = [{"source": "effect", "level": level, "reason": "lifecycle"}]
    found = {
        "id": ID,
        "worker_id": "agent-7",
        "requested_by": "agent-7",
        "task_name": "Restart the web server",
        "instruction": "It leaks memory.",
        "environment": "test",
        "status": "PENDING",
        "people_needed": 1,
        "people_approved": 0,
        "risk": {"level": level, "votes": votes, "dissent": [], "absent": []},
        "commands": [command()],
        "decisions": [],
        "created_at": NOW,
        "expires_at": LATER,
        "decided_at": None,
        **changes,
    }
    return Request.model_validate(found)


def decision(person: str = "alice", word: str = "approve", note: str = "") -> dict[str, Any]:
    """A person's word."""
    return {"person": person, "decision": word, "channel": "service", "note": note, "decided_at": NOW}


def execution(state: str, **changes: Any) -> Execution:  # noqa: ANN401
    """An execution of the request's command."""
    return Execution.model_validate(
        {
            "execution_id": "exe_1",
            "approval_id": f"{ID}.0",
            "state": state,
            "exit_code": None,
            "duration_ms": None,
            "started_by": "agent-7",
            "started_at": NOW,
            "finished_at": None,
            "intent": {"position": 1},
            "result": None,
            **changes,
        }
    )
