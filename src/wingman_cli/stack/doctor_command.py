"""``wingman doctor boundary``: whether the gateway alone reaches the engine, shown for each container."""

from typing import Annotated

import typer

from wingman_cli.exits import Exit
from wingman_cli.options import Choice, Json
from wingman_cli.screen import Screen, visible


def boundary(
    *,
    project: Annotated[str, typer.Option("--project", "-p", help="The compose project.")] = "wingman-test",
    inside: Annotated[
        bool, typer.Option("--inside/--outside-only", help="Also try from inside each container, as root there.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Prove that nothing but the execution gateway can reach the Docker engine. Exit code 1 if something can."""
    from wingman_cli.stack.commands import engine_address
    from wingman_cli.stack.doctor import prove

    screen = Screen(as_json=as_json)
    proof = prove(engine_address(Choice.NONE, screen), project, inside=inside)
    if as_json:
        screen.document(
            {
                "project": project,
                "passed": proof.passed,
                "containers": [
                    {"service": each.service, "container": each.container, "running": each.running}
                    for each in proof.members
                ],
                "tried_inside": proof.tried,
                "findings": [
                    {
                        "service": each.service,
                        "container": each.container,
                        "code": each.code,
                        "what": each.what,
                        "fix": each.fix,
                    }
                    for each in proof.findings
                ],
            }
        )
    else:
        failed = {each.container for each in proof.findings}
        for member in proof.members:
            if member.container not in failed:
                how = "looked at and tried from inside" if member.running and inside else "looked at"
                screen.say(f"PASS: {member.service} ({member.container}) {how}")
        for finding in proof.findings:
            screen.out.print(visible(f"FAIL: {finding}"), style="bold red", markup=False)
            screen.say(f"  fix: {visible(finding.fix)}")
        verdict = "the execution gateway alone reaches the engine" if proof.passed else "the boundary is not whole"
        screen.say(f"{'PASS' if proof.passed else 'FAIL'}: {project}: {verdict}")
    if not proof.passed:
        raise typer.Exit(Exit.FAILED)
