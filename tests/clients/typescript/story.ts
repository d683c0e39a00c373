// One command's life, told by a client with generated types; prints the receipt.
// `node story.js URL`, with the keys of a worker and of an approver in WORKER_KEY and APPROVER_KEY.

import createClient from "openapi-fetch";

import type { components, paths } from "./wingman.js";

type Problem = components["schemas"]["Problem"];
type Answer<T> = { data?: T; error?: Problem; response: Response };

const PATIENCE = 30_000;
const [, , url] = process.argv;

function client(name: string) {
  const key = process.env[name];
  check(`${name} and the API's address`, key !== undefined && url !== undefined);
  return createClient<paths>({ baseUrl: url!, headers: { Authorization: `Bearer ${key}` } });
}

function check(what: string, holds: boolean): asserts holds {
  if (!holds) throw new Error(`it does not hold: ${what}`);
}

function expect<T>(answer: Answer<T>): T {
  if (answer.data === undefined) throw new Error(`refused: ${JSON.stringify(answer.error)}`);
  return answer.data;
}

function refused<T>(answer: Answer<T>, status: number, code: string): Problem {
  const problem = answer.error;
  check(`${code}: ${JSON.stringify(answer)}`, problem?.code === code && answer.response.status === status);
  check("a problem says what to do", problem.hint !== "" && problem.type.startsWith("urn:wingman:problem:"));
  return problem;
}

const worker = client("WORKER_KEY");
const approver = client("APPROVER_KEY");

const me = expect(await worker.GET("/whoami"));
check("who calls", me.role === "worker" && me.key_id !== null);

const gate = expect(await worker.POST("/check", { body: { instruction: "DELIVERABLES: a restart" } }));
check("the gate counts sections", gate.score === 10 && !gate.approved && gate.missing_sections.length === 9);

const wish: components["schemas"]["Asked"] = {
  worker_id: me.person,
  task_name: "Restart the web server",
  instruction: "It leaks memory.",
  commands: ["docker restart --time 10 web"],
};
const once = { body: wish, params: { header: { "Idempotency-Key": "a-story-0002" } } };
const asked = expect(await worker.POST("/approvals/request", once));
const again = await worker.POST("/approvals/request", once);
check("sent twice, asked once", expect(again).request.id === asked.request.id);
check("and said so", again.response.headers.get("Idempotent-Replayed") === "true");
const command = asked.request.commands[0];
check("it waits", asked.needs_approval && asked.status === "PENDING" && command !== undefined);
const toExecute = { body: { approval_id: command.approval_id } };
const early = refused(await worker.POST("/executions", toExecute), 409, "APPROVAL_PENDING");
check("details", early.details["status"] === "PENDING");

const pending = expect(await approver.GET("/approvals/pending", { params: { query: { limit: 10 } } }));
check("it is listed", pending.pending.some((each) => each.id === asked.request.id));
const path = { request_id: asked.request.id };
refused(await worker.POST("/approvals/{request_id}/approve", { params: { path } }), 403, "ROLE_MISSING");
const decided = expect(
  await approver.POST("/approvals/{request_id}/approve", { params: { path }, body: { note: "go" } }),
);
check("approved", decided.status === "APPROVED" && decided.note === "go");

const started = expect(await worker.POST("/executions", toExecute));
const execution = { params: { path: { execution_id: started.execution_id } } };
const deadline = Date.now() + PATIENCE;
let ended = expect(await worker.GET("/executions/{execution_id}", execution));
while (ended.state === "RUNNING") {
  check("the execution ends", Date.now() < deadline);
  await new Promise((resume) => setTimeout(resume, 50));
  ended = expect(await worker.GET("/executions/{execution_id}", execution));
}
check("it ran", ended.state === "SUCCEEDED" && ended.exit_code === 0 && ended.command === command.command);
const spent = refused(await worker.POST("/executions", toExecute), 409, "APPROVAL_SPENT");
check("once", spent.details["execution_id"] === started.execution_id);

const claim: components["schemas"]["ToVerify"] = {
  assertions: [{ kind: "process_running", name: "postgres" }],
};
const verified = expect(await worker.POST("/verify", { body: claim }));
check("a claim's verdict", verified.verdict === "TRUE" && verified.evidence.length === 1);
const figures = expect(await worker.GET("/stats"));
check("it is counted", figures.total === 1 && figures.verdicts.TRUE === 1);

console.log(JSON.stringify(expect(await worker.GET("/audit/{execution_id}/receipt", execution))));
