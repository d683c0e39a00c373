"""What is shipped is listed and looked up among known vulnerabilities; no answer is no all-clear."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

LOCKED = REPOSITORY / "requirements" / "bootstrap.txt"


class Osv(BaseHTTPRequestHandler):
    """A database that knows one hole, in what it is told of by name."""

    hole = ""

    def do_POST(self) -> None:
        """Answer one query."""
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = query["package"]["name"] == self.hole
        fixed = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}]
        affected = [{"package": query["package"], "ranges": fixed}]
        hole = {"id": "OSV-2026-1", "summary": "A hole.", "affected": affected}
        body = json.dumps({"vulns": [hole]} if known else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def osv() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Osv) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def look(address: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [REPOSITORY / "tools" / "vulnerabilities.sh", LOCKED, "--", "-s", "osv", "--osv-url", address],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_known_hole_a_clean_answer_and_no_answer_are_told_apart(osv: str, monkeypatch: pytest.MonkeyPatch):
    clean = look(osv)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert re.search(r"0 known among 1 packages that were looked up", clean.stdout)

    monkeypatch.setattr(Osv, "hole", "uv")
    bad = look(osv)
    assert bad.returncode == 1
    assert "OSV-2026-1, fixed in 99.0" in bad.stdout

    gone = look("http://127.0.0.1:9/v1/query")
    assert gone.returncode == 4
    assert "could not be asked, so nothing is known" in gone.stdout


def test_the_bill_of_materials_names_each_pinned_package_with_its_hashes(tmp_path: Path):
    out = tmp_path / "bootstrap.cdx.json"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", LOCKED, "-o", out],
        check=True,
        timeout=100,
        capture_output=True,
    )
    bill = json.loads(out.read_text())
    assert bill["bomFormat"] == "CycloneDX"
    pinned = dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", LOCKED.read_text(), re.MULTILINE))
    assert {one["name"]: one["version"] for one in bill["components"]} == pinned
    assert all("sha256" in one["description"] or one.get("externalReferences") for one in bill["components"])
