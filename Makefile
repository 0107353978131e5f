# The developer's interface: run, test, lint, nightly, mutants, real-servers, bench. Needs Python 3.11 or newer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := run

.PHONY: run test nightly mutants coverage lint real-servers bench clean

# Serve the sample policies on http://localhost:5001; the first time with new keys and a user of its own.
run: $(VENV)/.installed
	@test -f $(RUN)/tokenserver.yaml || $(BIN)/tokenserver init $(RUN) --policies policies --keys keys
	@exec $(BIN)/tokenserver serve --config $(RUN)/tokenserver.yaml

# All tests. What needs a real program is skipped by its name where that is absent; the last line counts those.
test: $(VENV)/.installed-dev
	@$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	@$(BIN)/coverage combine --quiet

# Every property with 100,000 new examples, or with 5,000 where one example is thousands of questions: hours.
nightly: $(VENV)/.installed-dev
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest $$(grep -rlE --include='*.py' '^@given' tests)

# Change the code that decides, one small thing at a time, and print what no test notices; about half an hour.
mutants: $(VENV)/.installed-dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt 'mutmut>=3.8'
	$(BIN)/python scripts/mutants

# How much the tests reach; fails where a line or a branch of the pure core is missed.
coverage: test
	$(BIN)/python scripts/pure-core-coverage
	$(BIN)/coverage report

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Install the registries, clients and directories that the tests in tests/e2e use (Debian packages, released Go tools).
real-servers:
	scripts/real-servers

bench: $(VENV)/.installed-dev
	$(BIN)/python -m bench
	$(BIN)/python -m bench.policies
	$(BIN)/python -m bench.policy_diff
	$(BIN)/python -m bench.patterns_cost
	$(BIN)/python -m bench.reload
	$(BIN)/python -m bench.reload --rules 100000 --reloads 1
	$(BIN)/python -m bench.storm
	$(BIN)/python -m bench.scale
	$(BIN)/python -m bench.pressure
	$(BIN)/python -m bench.directory

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "tokenserver needs Python 3.11 or newer" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --requirement requirements-dev.txt
	@touch $@

clean:
	rm -rf $(VENV) $(RUN) .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
