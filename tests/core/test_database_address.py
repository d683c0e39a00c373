"""Addresses of databases: what is taken, and what is refused without being shown."""

import pytest

from wingman_core.database_address import DatabaseAddress, parse_address

TAKEN = {
    "postgresql://api@db.test:5432/wingman": DatabaseAddress("db.test:5432", "api", "wingman"),
    "postgres://api@db/wingman?sslmode=verify-full": DatabaseAddress("db", "api", "wingman"),
    "postgresql://api@/wingman?host=/run/pg%20data": DatabaseAddress("/run/pg data", "api", "wingman"),
    "postgresql://a%40b@[::1]:5432/w%2D1": DatabaseAddress("[::1]:5432", "a@b", "w-1"),
    "postgresql://api@one:1,two:2/wingman?target_session_attrs=primary": DatabaseAddress(
        "one:1,two:2", "api", "wingman"
    ),
    "postgresql://api@db/wingman?host=/ignored": DatabaseAddress("db", "api", "wingman"),
}
REFUSED = {
    "": "scheme",
    "nonsense-hunter2": "scheme",
    "mysql://a@hunter2/c": "scheme",
    "postgresql://": "role",
    "postgresql://hunter2/database": "role",
    "postgresql://role@/hunter2": "host",
    "postgresql://role@/hunter2?host=": "host",
    "postgresql://role@host:0/hunter2": "host",
    "postgresql://role@host:65536/hunter2": "host",
    "postgresql://role@host:x/hunter2": "host",
    "postgresql://role@host:/hunter2": "host",
    "postgresql://role@one,/hunter2": "host",
    "postgresql://role@hunter2": "database",
    "postgresql://role@hunter2:1/": "database",
    "postgresql://role@hunter2/a/b": "database",
    "postgresql://role:hunter2@host/database": "password",
    "postgresql://role:@host/hunter2": "password",
    "postgresql://role@host/database?password=hunter2": "password",
    "postgresql://[hunter2": "no address",
    "postgresql://role@host/hunter2\n": "character",
    "postgresql://role@host/hunter2 ": "character",
    "postgresql://role@host/database#hunter2": "character",
}


@pytest.mark.parametrize(("text", "address"), TAKEN.items(), ids=TAKEN.keys())
def test_taken(text: str, address: DatabaseAddress):
    assert parse_address(text) == address


@pytest.mark.parametrize(("text", "words"), REFUSED.items(), ids=REFUSED.keys())
def test_refused_and_not_shown(text: str, words: str):
    with pytest.raises(ValueError, match=words) as refused:
        parse_address(text)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None
