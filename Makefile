# One command each; `make help` lists them. Needs make, a POSIX shell with awk, and Python 3.11, 3.12 or 3.13.

VENV := .venv
BIN := $(VENV)/bin
# Written last, so that a half-made environment does not count; older than the lock file, it is made again.
READY := $(VENV)/.ready
LOCK := requirements.lock
PINS = $(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --quiet

# Own sources count where they are named on the command line, not where the shell happens to have such a variable.
ifeq ($(origin LOGS),command line)
SOURCES += --logs "$$LOGS"
endif
ifeq ($(origin CUSTOMERS),command line)
SOURCES += --customers "$$CUSTOMERS"
endif

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench fuzz lock clean
.NOTPARALLEL:

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile
	@echo "make run LOGS=path-or-glob CUSTOMERS=database-or-csv   the same on your own sources, either or both"

setup: $(READY) ## Make the environment from the lock file

run: $(READY) ## From sources to signed bundles, in a real Airflow under .run/
	@$(BIN)/demographics up $(SOURCES)

test: $(READY) ## Run the tests
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(TESTS)

check: $(READY) ## Style, types, import contracts, and whether the lock file is up to date
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@echo "$(PINS)"
	@new=$$(mktemp -d) && trap 'rm -rf "$$new"' EXIT && cp $(LOCK) "$$new" && $(PINS) --output-file "$$new/$(LOCK)" \
		&& { diff $(LOCK) "$$new/$(LOCK)" || { echo "$(LOCK) is not what pyproject.toml asks for: make lock"; exit 1; }; }

bench: $(READY) ## Measure all, or BENCH="ledger portal", each figure beside something else, into docs/benchmarks.md
	$(BIN)/python -m tests.benchmarks $(BENCH)

fuzz: $(READY) ## Read a million spoiled lines of every log format, guided by coverage
	$(BIN)/python tests/fuzz/fuzz_log_lines.py

lock: $(READY) ## Bring the lock file up to date with pyproject.toml; versions that fit stay
	$(PINS) --output-file $(LOCK)

clean: ## Remove the environment, caches, and .run with every site and ledger in it
	rm -rf $(VENV) .run build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Version managers leave commands that only say that they have no such version, so each is asked.
SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
# Tells every 25th package; pip itself would tell four lines each, or nothing.
COUNT := awk -v all="$$(grep -c '==' $(LOCK))" '/^(Collecting|Processing|Ignoring|Requirement already) / { if (++n % 25 == 0) \
	print "  " n " of " all " packages" } /^Installing/ { print "  unpacking; this takes about half a minute" } { fflush() }'

$(READY): $(LOCK) pyproject.toml
	@if ! { $(BIN)/python -c '$(SUITABLE)' && $(BIN)/python -m pip --version; } >/dev/null 2>&1; then \
		for candidate in $(PYTHON) python3.13 python3.12 python3.11 python3 python none; do \
			if $$candidate -c '$(SUITABLE)' >/dev/null 2>&1; then break; fi; \
		done; \
		if [ $$candidate = none ]; then \
			echo "Python 3.11, 3.12 or 3.13 with venv is needed; name it with make PYTHON=/path/to/python" >&2; exit 1; \
		fi; \
		echo "Making $(VENV) with $$($$candidate --version) ($$candidate)"; \
		$$candidate -m venv --clear $(VENV); \
	fi
	@echo "Installing the packages of $(LOCK); a minute or two the first time"
	@rm -f $(READY) $(VENV)/.failed
	@{ $(BIN)/python -m pip install --no-deps --require-hashes --disable-pip-version-check -r $(LOCK) \
		2>$(VENV)/pip.log || touch $(VENV)/.failed; } | $(COUNT)
	@if [ -e $(VENV)/.failed ]; then tail -n 20 $(VENV)/pip.log >&2; echo "The packages could not be installed." >&2; exit 1; fi
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --disable-pip-version-check -e .
	@touch $(READY)
	@echo "The environment is ready."
