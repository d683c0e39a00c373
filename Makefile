# Wingman's front door: every target sets up what it needs. `make` or `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
STUBS := src/wingman_rpc/v1

.PHONY: help setup hooks run demo backup restore status test test-fast faults fuzz check fmt proto openapi pictures lock sbom vulnerabilities schema bench soak clean test-env test-env-down prd-env prd-env-down

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Install everything into .venv (Python 3.11 or later), from hash-locked requirements

$(READY): requirements/dev.txt requirements/bootstrap.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "setup: Python 3.11 or later is needed; say which: make PYTHON=/path/to/python3.11 setup"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "setup: this Python has no ensurepip; on Debian: apt-get install python3-venv"; exit 1; }
	@echo "setup: installing into .venv (once; about half a minute)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@$(BIN)/uv pip sync --quiet --require-hashes requirements/dev.txt
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

hooks: $(READY) ## Have git scan each commit of this clone for secrets (.githooks/pre-commit)
	@git config core.hooksPath .githooks && echo "hooks: .githooks/pre-commit runs before each commit"

run: $(READY) ## Start Wingman on this machine: embedded Postgres, gateway, API; Ctrl-C stops it
	@$(BIN)/wingman up --engine auto

demo: $(READY) ## Play the whole story on a private instance, three attacks included, and clean up
	@$(BIN)/wingman demo --engine auto

backup: $(READY) ## Back up (ENV=test, ENV=prd) into one file, and prove that it can be restored
	@file="$(FILE)"; $(BIN)/wingman backup create $${file:+"$$file"} --prove $(if $(ENV),--env $(ENV))

restore: $(READY) ## Restore FILE=... into an empty deployment (ENV=...), verified against its checkpoint
	@[ -n "$(FILE)" ] || { echo "restore: say which backup: make restore FILE=data/local/backups/..."; exit 2; }
	@$(BIN)/wingman backup restore "$(FILE)" $(if $(ENV),--env $(ENV))

test-env: $(READY) ## Bring the TEST environment up from nothing: secrets, images, containers, healthy
	@$(BIN)/wingman stack up --env test --engine auto

test-env-down: $(READY) ## Stop TEST, data kept; VOLUMES=1 deletes its database, after asking
	@$(BIN)/wingman stack down --env test $(if $(VOLUMES),--volumes)

prd-env: $(READY) ## Bring PRD up; refuses missing, default and weak secrets of .env.prd by name
	@$(BIN)/wingman stack up --env prd

prd-env-down: $(READY) ## Stop PRD, data kept; VOLUMES=1 deletes its database, after asking
	@$(BIN)/wingman stack down --env prd $(if $(VOLUMES),--volumes)

status: $(READY) ## Say in a few lines what is well and what is not (ENV=test, ENV=prd)
	@$(BIN)/wingman status $(if $(ENV),--env $(ENV))

test: $(READY) ## The whole suite with coverage (at least 95 % of lines and branches)
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run -m pytest -q -n auto --maxprocesses=4 --dist loadfile --max-worker-restart=1 --durations=15 --ignore=tests/stack; \
	  beside=$$?; $(BIN)/coverage run -m pytest -q --durations=15 tests/stack; alone=$$?; \
	  $(BIN)/coverage combine -q; (( beside == 0 && alone == 0 )) && $(BIN)/coverage report

test-fast: $(READY) ## The suite without faults, end-to-end stories and the stack
	@$(BIN)/pytest -q --ignore=tests/e2e --ignore=tests/faults --ignore=tests/stack

faults: $(READY) ## Processes killed, database and engine gone, at every step
	@KILLS=20 $(BIN)/pytest -q tests/faults tests/api/test_killed.py

fuzz: $(READY) ## The parser and tokens under mutated input, for MINUTES (60)
	@MINUTES=$(or $(MINUTES),60) $(BIN)/pytest -q --timeout 0 -o faulthandler_timeout=0 tests/fuzz

check: $(READY) ## ruff, mypy --strict, import rules, stub drift, buf, shellcheck, hadolint, secrets
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/buf lint protos && $(BIN)/buf format --diff --exit-code protos
	@drift=$$(mktemp -d) && trap 'rm -rf "$$drift"' EXIT && $(MAKE) --no-print-directory proto OUT="$$drift" && \
	  diff -ru --exclude='__init__.py' --exclude='__pycache__' $(STUBS) "$$drift/wingman_rpc/v1" || \
	  { echo "check: the stubs differ from the contract; run make proto and commit"; exit 1; }
	@$(BIN)/shellcheck tools/*.sh tools/postgres-stand-in/*.sh deploy/compose/postgres/*.sh .githooks/* .ci/run
	@$(BIN)/hadolint deploy/compose/Dockerfile tools/postgres-stand-in/Dockerfile
	@tools/secret_scan.sh

fmt: $(READY) ## Format and fix what can be fixed
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format . && $(BIN)/buf format -w protos

OUT ?= src
proto: $(READY) ## Generate the RPC stubs from protos/
	@$(BIN)/python -m grpc_tools.protoc -Iprotos --python_out=$(OUT) --grpc_python_out=$(OUT) \
	  --mypy_out=quiet:$(OUT) --mypy_grpc_out=quiet:$(OUT) \
	  --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
	  protos/wingman_rpc/v1/gateway.proto

openapi: $(READY) ## Write docs/openapi.json; a change that breaks clients needs BREAKING=1
	@new=$$(mktemp) && trap 'rm -f "$$new"' EXIT && $(BIN)/wingman openapi --output "$$new" >/dev/null && \
	  { [ "$(BREAKING)" = 1 ] || $(BIN)/python -m tests.api.openapi_changes docs/openapi.json "$$new" || \
	    { echo "openapi: the change breaks clients; if that is meant: make openapi BREAKING=1"; exit 1; }; } && \
	  $(BIN)/wingman openapi --output docs/openapi.json

pictures: $(READY) ## Draw the pictures of docs/telegram.md from the bot's own texts
	@$(BIN)/python -m tests.bot.pictures

lock: $(READY) ## Compile the hash-locked requirements anew
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --universal \
	  --python-version 3.11 requirements/bootstrap.in -o requirements/bootstrap.txt
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --universal \
	  --python-version 3.11 --extra dev --extra embedded pyproject.toml -o requirements/dev.txt
	@for name in clients build api gateway bot; do \
	  $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --universal \
	    --python-version 3.11 requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done

sbom: $(READY) ## Write a CycloneDX bill of materials for each set of requirements to build/sbom/
	@mkdir -p build/sbom && for file in requirements/*.txt; do \
	  out=build/sbom/$$(basename "$$file" .txt).cdx.json; \
	  $(BIN)/python -W ignore -m cyclonedx_py requirements "$$file" --pyproject pyproject.toml --output-reproducible \
	    -o "$$out" && echo "sbom: $$out" || exit 1; done

vulnerabilities: $(READY) ## Ask pip-audit about what the requirements pin; 4 says that its database cannot be asked
	@tools/vulnerabilities.sh requirements/*.txt

schema: $(READY) ## Schemathesis over the whole API: all phases, more than 10,000 cases; prints its figures
	@SCHEMA=long $(BIN)/pytest -q -o faulthandler_timeout=0 tests/api/test_schema.py

bench: $(READY) ## Measure against baselines in the same run
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.bench.api_bench
	@$(BIN)/python -m tests.bench.event_readers

soak: $(READY) ## Half an hour of mixed load on one instance: what its memory does
	@$(BIN)/python -m tests.bench.soak --minutes 30

clean: ## Remove what was built and cached; data/ stays
	@rm -rf .venv .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
