"""Quotas: their form, their windows at the edges, the header fields, and whom an address counts for."""

from datetime import UTC, datetime, timedelta

import pytest

from wingman_core.quota import Quota, Standing, subject_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "requests", "seconds", "block"),
    [
        ("1/1", 1, 1, 1),
        ("9/60", 9, 60, 1),
        ("600/60", 600, 60, 60),
        ("9999999/3600", 9_999_999, 3600, 999_999),
    ],
)
def test_a_quota_says_how_many_in_how_many_seconds(text: str, requests: int, seconds: int, block: int):
    quota = Quota.of("reads", text)
    assert (quota.requests, quota.seconds, quota.block) == (requests, seconds, block)


@pytest.mark.parametrize(
    "text",
    ["", "600", "0/60", "600/0", "-1/60", "600/3601", "6e2/60", " 600/60", "600/60\n", "600/60s", "600 / 60", "٦/60"],
)
def test_other_text_is_no_quota(text: str):
    with pytest.raises(ValueError, match="requests"):
        Quota.of("reads", text)


@pytest.mark.parametrize(
    ("after", "window", "resets_in"),
    [
        (timedelta(0), 0, 60),
        (timedelta(microseconds=1), 0, 60),
        (timedelta(seconds=1), 0, 59),
        (timedelta(seconds=59), 0, 1),
        (timedelta(seconds=59, microseconds=999_999), 0, 1),
        (timedelta(seconds=60), 60, 60),
        (timedelta(seconds=60, microseconds=1), 60, 60),
    ],
)
def test_a_window_begins_at_a_multiple_of_its_length(after: timedelta, window: int, resets_in: int):
    quota = Quota.of("reads", "600/60")
    began = quota.window(EPOCH + after)
    assert began == EPOCH + timedelta(seconds=window)
    assert quota.resets_in(began, EPOCH + after) == resets_in
    assert quota.resets_in(began, quota.end(began) + after) == 1


def test_every_process_means_the_same_window_whatever_its_time_zone():
    quota = Quota.of("reads", "600/3600")
    now = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)
    assert quota.window(now) == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert quota.window(datetime.fromisoformat("2026-03-01T18:04:56+05:30")) == quota.window(now)


def test_the_fields_are_structured_as_the_draft_has_them():
    assert Standing(Quota.of("writes", "600/60"), EPOCH, 599, 42).fields == {
        "RateLimit-Policy": '"writes";q=600;w=60',
        "RateLimit": '"writes";r=599;t=42',
    }


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", "unknown"),
        ("testclient", "unknown"),
    ],
)
def test_an_address_counts_for_its_subscriber(address: str, subject: str):
    assert subject_of(address) == subject
