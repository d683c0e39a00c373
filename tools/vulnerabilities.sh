#!/usr/bin/env bash
# Asks pip-audit whether what the requirements pin is known to be vulnerable; nothing is installed for it.
#
#   tools/vulnerabilities.sh FILE... [-- options of pip-audit]
#
# Exit codes: 0 every package was looked up and none is known to be; 1 some are, they are listed;
# 4 the database could not be asked about all of them, which says nothing of those.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
files=()
while (($#)) && [[ $1 != -- ]]; do files+=("$1") && shift; done
(($# == 0)) || shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for number in "${!files[@]}"; do # one by one: no two may pin the same package
  "$top/.venv/bin/pip-audit" --disable-pip --require-hashes --progress-spinner off --timeout 10 --format json "$@" \
    --requirement "${files[number]}" >"$work/$number.json" 2>>"$work/errors" || true
done
"$top/.venv/bin/python" - "$work" <<'PYTHON'
import json, pathlib, sys
work = pathlib.Path(sys.argv[1])
try:
    found = [one for path in work.glob("*.json") for one in json.loads(path.read_text())["dependencies"]]
except ValueError:
    last = ((work / "errors").read_text().strip().splitlines() or ["nothing was said"])[-1]
    print(f"vulnerabilities: the database could not be asked, so nothing is known: {last[:300]}")
    sys.exit(4)
unknown = [one["name"] for one in found if "skip_reason" in one]
bad = [
    (one["name"], one["version"], hole) for one in found for hole in one.get("vulns", ())
]
for name, version, hole in bad:
    print(f"{name} {version}: {hole['id']}, fixed in {', '.join(hole['fix_versions']) or 'no version yet'}")
if unknown:
    print(f"vulnerabilities: the database does not know {len(unknown)} of {len(found)} packages: {', '.join(unknown[:5])}")
print(f"vulnerabilities: {len(bad)} known among {len(found) - len(unknown)} packages that were looked up")
sys.exit(1 if bad else 4 if unknown else 0)
PYTHON
