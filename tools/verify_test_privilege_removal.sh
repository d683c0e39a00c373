#!/usr/bin/env bash
# Proves that in TEST nothing but the execution gateway can reach the Docker engine. Options as `wingman doctor boundary`
# has them (--json, --project). Exit code 0 where it is so, 1 where not.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
exec "$here/.venv/bin/wingman" doctor boundary --project wingman-test "$@"
