#!/bin/bash
# Runs once, on an empty database: the roles of each process, with the rights that wingman up gives them on one machine.
set -euo pipefail

# No password is an argument: psql takes them from its environment.
psql --no-psqlrc -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -v database="$POSTGRES_DB" <<'SQL'
\getenv owner DB_PASSWORD_OWNER
\getenv api DB_PASSWORD_API
\getenv gateway DB_PASSWORD_GATEWAY
\getenv auditor DB_PASSWORD_AUDITOR
\set rights 'LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS'
CREATE ROLE wingman_owner :rights PASSWORD :'owner';
CREATE ROLE wingman_api :rights PASSWORD :'api';
CREATE ROLE wingman_gateway :rights PASSWORD :'gateway';
CREATE ROLE wingman_auditor :rights PASSWORD :'auditor';
ALTER DATABASE :"database" OWNER TO wingman_owner;
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO wingman_gateway, wingman_api, wingman_auditor;
GRANT ALL ON SCHEMA public TO wingman_owner;
SQL
