#!/bin/bash
# Initialises an empty PGDATA as the postgres image documents it (POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB,
# POSTGRES_INITDB_ARGS, /docker-entrypoint-initdb.d), then becomes the server.
set -euo pipefail

from_file() { # from_file VARIABLE: take its value from the file that VARIABLE_FILE names
  local variable=$1 file=${1}_FILE
  [[ -z ${!file:-} ]] || export "$variable=$(<"${!file}")"
}

initialise() {
  from_file POSTGRES_PASSWORD
  local user=${POSTGRES_USER:-postgres} database script
  database=${POSTGRES_DB:-$user}
  [[ -n ${POSTGRES_PASSWORD:-} ]] || { echo "postgres: POSTGRES_PASSWORD is needed to initialise" >&2; exit 1; }
  # shellcheck disable=SC2086 # several arguments, as the image has it
  initdb --username="$user" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") ${POSTGRES_INITDB_ARGS:-}
  printf '\nhost all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
  pg_ctl --wait -D "$PGDATA" -o "$(printf '%q ' "${@:2}") -c listen_addresses=''" start
  export PGPASSWORD=$POSTGRES_PASSWORD
  [[ $database == postgres ]] ||
    psql -v ON_ERROR_STOP=1 --no-psqlrc -U "$user" -d postgres -v name="$database" <<<'CREATE DATABASE :"name";'
  for script in /docker-entrypoint-initdb.d/*; do
    case $script in
      *.sh) if [[ -x $script ]]; then "$script"; else bash "$script"; fi ;;
      *.sql) psql -v ON_ERROR_STOP=1 --no-psqlrc -U "$user" -d "$database" -f "$script" ;;
    esac
  done
  unset PGPASSWORD
  pg_ctl --wait -D "$PGDATA" -m fast stop
}

if [[ ${1:-postgres} == postgres ]]; then
  [[ -s $PGDATA/PG_VERSION ]] || initialise "$@"
fi
exec "$@"
