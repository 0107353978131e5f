# The developer's interface: `make help` lists the targets. Needs Python 3.11 or newer, and nothing else to start.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := run

.DEFAULT_GOAL := help
.PHONY: help run demo test quick test-fast nightly mutants page-pictures coverage lint real-servers real-servers-nightly bench bench-compare bench-history clean

help: ## list these targets
	@awk -F ' ## ' '/^[a-z-]+:.* ## / { sub(/:.*/, "", $$1); printf "  make %-22s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.installed ## serve the sample policies on http://localhost:5001, the first time with new keys and a new user
	@exec $(BIN)/tokenserver demo $(RUN) --no-registry --policies policies

demo: $(VENV)/.installed ## the same in run/demo with a registry next to it, and the commands to try both
	@exec env PATH="$(CURDIR)/.tools/bin:$$PATH" $(BIN)/tokenserver demo $(RUN)/demo --policies policies

# Python keeps what it compiled, whatever the caller's shell says: the tests start it hundreds of times.
unexport PYTHONDONTWRITEBYTECODE

# In four runs: two on all cores; the tests that wait for time-outs, restarts or slow clients, four at a time; then those
# that load the machine or measure time, one after the other.
# Tests that need a missing program are skipped; the last line counts those of all runs.
QUICK := --numprocesses=auto --dist=worksteal --ignore=tests/e2e
BESIDE := --numprocesses=auto --dist=loadfile -m "not nightly and not alone and not waits" tests/e2e
WAITING := --numprocesses=4 --dist=worksteal -m "waits and not alone and not nightly" tests/e2e
ALONE := -m "alone and not nightly" tests/e2e
SKIPPED := .pytest_cache/missing-programs
# Folders of tests that passed are removed, so that they do not fill the memory.
IN_MEMORY := --folders-in-memory -o tmp_path_retention_policy=failed
test: $(VENV)/.installed-dev ## run all tests, and measure the pure core; `make real-servers` installs what they need
	@mkdir -p $(dir $(SKIPPED)) && rm -f $(SKIPPED)
	$(BIN)/python -m pytest --missing-programs=$(SKIPPED) $(QUICK)
	$(BIN)/python scripts/pure-core-coverage
	$(BIN)/python -m pytest --missing-programs=$(SKIPPED) $(BESIDE)
	$(BIN)/python -m pytest --missing-programs=$(SKIPPED) $(WAITING)
	$(BIN)/python -m pytest --missing-programs=$(SKIPPED) $(ALONE)

quick: $(VENV)/.installed-dev ## run the tests that need no real program, without the longest, on all cores: under two minutes
	HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest --quiet $(IN_MEMORY) -m "not nightly and not long" $(QUICK)

test-fast: $(VENV)/.installed-dev ## run one test file without coverage: make test-fast FILE=tests/test_scopes.py
	$(BIN)/python -m pytest --quiet --exitfirst $(FILE)

lint: $(VENV)/.installed-dev ## check format, style, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

coverage: $(VENV)/.installed-dev ## run the tests of the pure core; fails where they miss a line or a branch of it
	$(BIN)/python scripts/pure-core-coverage

real-servers: ## install the registries, clients and directories of tests/e2e (Debian packages, released Go tools)
	scripts/real-servers

real-servers-nightly: ## install also what `make nightly` needs and is slow to build: cosign, BuildKit, containerd 2, docker 28, helm 4, Keycloak, Kubernetes, the OpenTelemetry Collector
	scripts/real-servers --nightly

bench: $(VENV)/.installed-dev ## measure against yardsticks in the same run: about half an hour
	$(BIN)/python -m bench --json bench/results/figures.json
	$(BIN)/python -m bench.history --beside bench/results/figures.json
	$(BIN)/python -m bench.policies
	$(BIN)/python -m bench.every_word
	$(BIN)/python -m bench.machines
	$(BIN)/python -m bench.policy_diff
	$(BIN)/python -m bench.wildcards
	$(BIN)/python -m bench.patterns_cost
	$(BIN)/python -m bench.reload
	$(BIN)/python -m bench.reload --rules 100000 --reloads 1
	$(BIN)/python -m bench.storm
	$(BIN)/python -m bench.scale
	$(BIN)/python -m bench.pressure
	$(BIN)/python -m bench.directory
	$(BIN)/python -m bench.many_scopes
	$(BIN)/python -m bench.fresh
	$(BIN)/python -m bench.storage
	$(BIN)/python -m bench.credentials
	$(BIN)/python -m bench.stored_keys
	$(BIN)/python -m bench.shadow_peer
	$(BIN)/python -m bench.audit_store
	$(BIN)/python -m bench.pages
	$(BIN)/python -m bench.credential_helper

bench-compare: $(VENV)/.installed-dev ## measure this tree and another revision in turn, and print ratios: make bench-compare REV=v0.1.0
	@test -n "$(REV)" || { echo "make bench-compare REV=REVISION" >&2; exit 2; }
	$(BIN)/python -m bench.compare $(REV)

bench-history: $(VENV)/.installed-dev ## measure the shares of the yardstick for this release, and write them to bench/history/
	$(BIN)/python -m bench --only work --only sweeps --only logins --json bench/results/history.json
	$(BIN)/python -m bench.history --record bench/results/history.json

# Failures are written as they happen, after those of other nights: a night may be cut off before it prints them.
FAILURES := $(RUN)/nightly-failures.txt
# One example of some properties is thousands of questions; those try 5,000 new ones. The properties run also after a failure.
nightly: $(VENV)/.installed-dev ## run what takes too long for every change, then 100,000 new examples of every property: hours
	failed=0; \
	$(BIN)/python -m pytest --failures=$(FAILURES) -m nightly || failed=1; \
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest --failures=$(FAILURES) $$(grep -rlE --include='test_*.py' '^@given|RuleBasedStateMachine' tests) || failed=1; \
	test $$failed = 0 || echo "What failed is in $(FAILURES), with the examples." >&2; \
	exit $$failed

mutants: $(VENV)/.installed-dev ## change the code that decides, bit by bit, and list what no test notices: half an hour
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt 'mutmut>=3.8'
	$(BIN)/python scripts/mutants

page-pictures: $(VENV)/.installed-dev ## make the pictures of pages in docs/images again, after a template or the style sheet has changed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt 'pillow>=12'
	$(BIN)/python scripts/page-pictures

clean: ## remove everything that these targets made
	rm -rf $(VENV) $(RUN) .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "tokenserver needs Python 3.11 or newer" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "Creating $(VENV) …" >&2; $(PYTHON) -m venv $(VENV); }
	@echo "Installing tokenserver into $(VENV), with the versions of constraints.txt …" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	@echo "Installing the tools of the tests into $(VENV) …" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --requirement requirements-dev.txt
	@touch $@
