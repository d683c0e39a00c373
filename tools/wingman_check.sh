#!/usr/bin/env bash
# For cron, which mails what is printed: silent while all is well, else what is not, and exit code 1 (4: no answer).
#
#   */5 * * * * /path/to/wingman/tools/wingman_check.sh --env prd
set -euo pipefail
cd "$(dirname "$0")/.."
exec .venv/bin/wingman status --quiet "$@"
