# `make run` starts the service, `make test` checks it. Both need Python 3.11 or newer, make, and what pip can reach; `make test` also
# wants Chromium and pgbouncer, which it installs as root on Debian, and goes without elsewhere.
# Settings are given in the environment, in `.env`, or behind the target: `make run PORT=9000`.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
# The locks are complete, so pip installs them without its resolver: with it, a newer release of a locked package can make the same lock fail.
INSTALL := $(BIN)/python -m pip --disable-pip-version-check --no-input install --no-deps --require-hashes
UV_VERSION := 0.13.8
LOCK := $(VENV)/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-strip-extras --no-header --no-annotate --no-emit-index-url --no-emit-find-links $(UPGRADE)

# The rooms in which most mistakes show, for a look between two changes; `make test` is the whole.
QUICK := tests/model tests/domain tests/store \
	$(addprefix tests/execution/test_, compiler.py compiled_graph.py canvas_refusals.py pause_canvas.py \
		claiming.py settling.py draining.py steering.py retrying.py) \
	$(addprefix tests/web/test_, operations.py steering.py)

.PHONY: help run test test-long quick coverage browser pooler pictures lint format bench chaos soak lock clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.for-running ## start everything on this machine; Ctrl-C stops it
	@exec $(BIN)/python -m app.supervisor

test: lint browser pooler ## lint, types, import contracts and every test
	@$(BIN)/python -m pytest -n 2 --dist worksteal

# The hundreds of programs that tests start find their modules compiled.
test test-long quick: export PYTHONDONTWRITEBYTECODE :=

test-long: export LONG := 1
test-long: test ## the same with as many random examples as they once had, and more of it on PostgreSQL too

quick: $(VENV)/.for-testing ## the model, the store on SQLite, canvas, engine and web: a part of the tests for in between
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal -k "not postgresql" $(QUICK)

coverage: browser pooler ## the tests again, slower, and which lines and branches they have run: 90 % at least
	@$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term

browser: $(VENV)/.for-testing ## find Chromium for the tests of the console; as root on Debian, install it
	@$(BIN)/python -m tests.console.chromium

pooler: $(VENV)/.for-testing ## find pgbouncer for the tests on PostgreSQL; as root on Debian, install it
	@$(BIN)/python -m tests.pgbouncer

pictures: browser ## renew the pictures of the console that its manual shows
	@PICTURES=$(VENV)/pictures $(BIN)/python -m pytest -q tests/console/test_every_page.py
	@for picture in docs/console/*.png; do cp $(VENV)/pictures/$${picture##*/} docs/console/; done

lint: $(VENV)/.for-testing ## the checks that run no code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/deptry .

format: $(VENV)/.for-testing ## put the code into shape
	@$(BIN)/ruff check --fix --show-fixes .
	@$(BIN)/ruff format .

bench: $(VENV)/.for-testing ## measure, and compare with plain Celery
	@$(BIN)/python -m bench

chaos: $(VENV)/.for-testing ## break everything at random for three minutes, and judge (SEED=number repeats a run)
	@$(BIN)/python -m chaos $(if $(SEED),--seed $(SEED))

soak: $(VENV)/.for-testing ## a steady load for an hour; what each process takes, every minute (MINUTES=number)
	@$(BIN)/python -m chaos.soak $(if $(MINUTES),--minutes $(MINUTES))

lock: $(VENV)/uv/bin/uv ## write the lock files anew (UPGRADE=--upgrade takes newer versions)
	@$(LOCK) requirements.in --output-file requirements.txt
	@$(LOCK) requirements-test.in --constraint requirements.txt --output-file requirements-test.txt

clean: ## remove the environment and all caches; never data
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.for-running: requirements.txt $(BIN)/python
	@echo "Installing the 60 packages of requirements.txt into $(VENV), once. It takes a minute or two; pip names each package:"
	@$(INSTALL) --requirement requirements.txt
	@$(PIP) check
	@touch $@

$(VENV)/.for-testing: requirements-test.txt $(BIN)/python
	@echo "Installing the 150 packages of requirements-test.txt into $(VENV), once. It takes a minute or two; pip names each package:"
	@$(INSTALL) --requirement requirements-test.txt
	@$(PIP) check
	@touch $@ $(VENV)/.for-running

$(VENV)/uv/bin/uv: $(BIN)/python
	@$(PIP) install --target $(VENV)/uv uv==$(UV_VERSION)

# Order: a Python that is new enough, then the module that puts pip into a new environment. Each lack has its remedy.
$(BIN)/python:
	@for name in python3.11 python3 python3.12 python3.13 python3.14; do \
		$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && python=$$name && break; \
	done; \
	if [ -z "$$python" ]; then \
		echo "Python 3.11 or newer is needed, and neither python3.11 nor python3 is one: install it (Debian, Ubuntu:" \
			"apt install python3 python3-venv; macOS: brew install python)." >&2; exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$$python cannot make environments: install the package that lets it (Debian, Ubuntu:" \
			"apt install python3-venv)." >&2; exit 1; \
	fi; \
	$$python -m venv $(VENV)
