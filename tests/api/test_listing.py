"""Looking at requests: pending ones, pages, one; and who sees whose."""

from datetime import timedelta

from tests.api.conftest import Api


async def test_pending_are_oldest_first_and_counted_beyond_the_page(api: Api):
    ids = [(await api.asked(task_name=f"task {n}"))["request"]["id"] for n in range(3)]
    await api.asked(commands=["docker ps"])
    answer = (await api.call("alice", "GET", "/approvals/pending")).json()
    assert ([request["id"] for request in answer["pending"]], answer["count"]) == (ids, 3)
    short = (await api.call("alice", "GET", "/approvals/pending?limit=2")).json()
    assert ([request["id"] for request in short["pending"]], short["count"]) == (ids[:2], 3)


async def test_expired_requests_are_not_pending(api: Api):
    await api.asked()
    api.clock.ahead = timedelta(hours=2)
    assert (await api.call("alice", "GET", "/approvals/pending")).json() == {"pending": [], "count": 0}
    assert (await api.call("alice", "GET", "/approvals?status=EXPIRED")).json()["approvals"][0]["status"] == "EXPIRED"


async def test_pages_follow_each_other_newest_first(api: Api):
    ids = [(await api.asked(task_name=f"task {n}"))["request"]["id"] for n in range(5)]
    seen, cursor = [], ""
    for expected in (2, 2, 1):
        page = (await api.call("alice", "GET", f"/approvals?limit=2{cursor}")).json()
        assert len(page["approvals"]) == expected
        seen += [request["id"] for request in page["approvals"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert seen == ids[::-1]


async def test_pages_by_status_and_worker(api: Api):
    mine = await api.approved()
    other = (await api.asked("other-worker", worker_id="agent-8"))["request"]["id"]
    by_status = (await api.call("alice", "GET", "/approvals?status=APPROVED")).json()
    assert [request["id"] for request in by_status["approvals"]] == [mine]
    by_worker = (await api.call("alice", "GET", "/approvals?worker=agent-8")).json()
    assert [request["id"] for request in by_worker["approvals"]] == [other]


async def test_pages_by_risk_and_time(api: Api):
    first = (await api.asked(task_name="one"))["request"]
    second = (await api.asked(task_name="wipe two"))["request"]
    third = (await api.asked(task_name="three"))["request"]
    when = second["created_at"]
    for query, expected in (
        ("risk=HIGH", [second]),
        ("risk=LOW", []),
        (f"since={when}", [third, second]),
        (f"until={when}", [first]),
        (f"since={when}&until={third['created_at']}&risk=HIGH&status=PENDING&worker=agent-7", [second]),
        (f"since={third['created_at']}&until={when}", []),
        ("since=2000-01-01t00:00:00z&until=2999-12-31T23:59:59.123456789%2B14:00&limit=1", [third]),
    ):
        page = (await api.call("alice", "GET", f"/approvals?{query}")).json()
        assert [request["id"] for request in page["approvals"]] == [request["id"] for request in expected], query


async def test_pages_follow_each_other_within_a_selection(api: Api):
    ids = [(await api.asked(task_name=f"wipe {n}"))["request"]["id"] for n in range(3)]
    await api.asked(task_name="ordinary")
    first = (await api.call("alice", "GET", "/approvals?risk=HIGH&limit=2")).json()
    cursor = first["next_cursor"]
    second = (await api.call("alice", "GET", f"/approvals?risk=HIGH&limit=2&cursor={cursor}")).json()
    assert [request["id"] for request in first["approvals"] + second["approvals"]] == ids[::-1]
    assert second["next_cursor"] is None


async def test_a_workers_key_sees_its_own_requests_alone(api: Api):
    mine = (await api.asked("worker"))["request"]["id"]
    other = (await api.asked("other-worker", worker_id="agent-8"))["request"]["id"]
    assert [r["id"] for r in (await api.call("worker", "GET", "/approvals")).json()["approvals"]] == [mine]
    assert (await api.call("worker", "GET", "/approvals/pending")).json()["count"] == 1
    assert (await api.call("worker", "GET", f"/approvals/{mine}")).status_code == 200
    hidden = await api.call("worker", "GET", f"/approvals/{other}")
    assert (hidden.status_code, hidden.json()["code"]) == (404, "APPROVAL_UNKNOWN")
    refused = await api.call("worker", "GET", "/approvals?worker=agent-8")
    assert (refused.status_code, refused.json()["code"]) == (403, "PERSON_MISMATCH")


async def test_without_a_key_reads_see_everything_where_the_setting_allows_it(api: Api):
    await api.asked("worker")
    assert (await api.call(None, "GET", "/approvals/pending")).json()["count"] == 1


BAD_QUERIES = (
    "cursor=x",
    "cursor=%00",
    "cursor=MjAyNi0wMS0wMQ",
    "cursor=MDAwMS0wMS0wMVQwMDowMDowMCsxNDowMCBhcHJfYQ",
    "cursor=MjAyNi0wMS0wMVQwMDowMDowMCBhcHJfYQ",
    "cursor=" + "a" * 201,
    "cursor=%E2%82%AC",
    "limit=0",
    "limit=101",
    "limit=x",
    "status=DONE",
    "worker=a%20b",
    "risk=high",
    "since=1700000000",
    "since=2026-01-01",
    "since=2026-01-01T00:00:00",
    "since=2026-13-01T00:00:00Z",
    "since=0001-01-01T00:00:00%2B14:00",
    "until=9999-12-31T23:59:59-14:00",
    "until=2026-01-01T00:00:00Z%00",
    "until=",
)


async def test_bad_queries_are_refused(api: Api):
    for query in BAD_QUERIES:
        response = await api.call("alice", "GET", f"/approvals?{query}")
        assert (response.status_code, response.json()["code"]) == (422, "REQUEST_INVALID"), query


async def test_an_unknown_request_is_not_found(api: Api):
    response = await api.call("alice", "GET", f"/approvals/apr_{'2' * 26}")
    assert (response.status_code, response.json()["code"]) == (404, "APPROVAL_UNKNOWN")
    assert response.json()["details"] == {"id": f"apr_{'2' * 26}"}


MANY_LATE = """
INSERT INTO approval_request (id, worker, requested_by, environment, task_name, instruction, status, people_needed,
                              risk_level, dedupe_digest, created_at, expires_at)
SELECT 'apr_' || lpad(translate(n::text, '0189', 'abcd'), 26, 'z'), 'agent-9', 'agent-9', 'test', 'x', 'x', 'PENDING',
       1, 'LOW', 'late ' || n, now() - interval '2 hours', now() - interval '1 hour'
FROM generate_series(1, 1200) AS n
"""


async def test_however_many_expired_none_of_them_is_pending(api: Api):
    await api.sql(MANY_LATE)
    assert (await api.call("alice", "GET", "/approvals/pending")).json() == {"pending": [], "count": 0}
    events = await api.sql("SELECT count(*) AS n FROM approval_history WHERE event = 'expired'")
    assert events[0]["n"] == 1200
