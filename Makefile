# One command for each task, the same here and in CI. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help demo privacy-center support-center test test-browser lint bench mutants soak reliability bench-check docs dist clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/demo: pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[cli]'
	@touch $@

$(VENV)/dev: $(VENV)/demo
	$(BIN)/python -m pip install --quiet --editable '.[postgres,service]' --group dev
	@touch $@

$(VENV)-bench/peers: pyproject.toml Makefile
	$(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(VENV)-bench/bin/python -m pip install --quiet --editable '.[postgres,service]' --group bench-peers
	@touch $@

$(VENV)/mutation: $(VENV)/dev
	$(BIN)/python -m pip install --quiet --group mutation
	@touch $@

$(VENV)/examples: $(VENV)/demo
	$(BIN)/python -m pip install --quiet --editable '.[service]' --group examples
	@touch $@

$(VENV)/browser: $(VENV)/dev
	$(BIN)/python -m pip install --quiet --group browser
	@touch $@

demo: $(VENV)/demo ## load 2,000 customers, run a campaign, see one customer say no (DEMO_LANG=en)
	$(BIN)/python examples/demo.py --lang $(or $(DEMO_LANG),vi)

privacy-center: $(VENV)/examples ## serve the page where customers see and change their choices (PORT=)
	@$(BIN)/python -m examples.privacy_center $(if $(PORT),--port $(PORT))

support-center: $(VENV)/examples ## serve the page where staff answer customers' requests (PORT=)
	@$(BIN)/python -m examples.support_center $(if $(PORT),--port $(PORT))

# Some machines set PYTHONDONTWRITEBYTECODE; each of the hundreds of processes of the tests would compile the package.
test: $(VENV)/dev ## run all tests, in random order, on all cores
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist worksteal

test-browser: $(VENV)/browser ## run the tests of both centres and all pages in Chromium
	@command -v "$${CHROMIUM:-chromium}" >/dev/null || { echo "Chromium is needed: apt-get install chromium, or set CHROMIUM to its path"; exit 1; }
	$(BIN)/python -m pytest tests/examples/browser

lint: $(VENV)/lint ## check style, types and the import arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/interrogate --quiet diijam_consent_sdk diijam_consent_cli.py diijam_consent_pytest.py tests examples benchmarks

bench: $(VENV)-bench/peers ## compare what the library costs with others, all or ONLY=guard, and write docs/performance.md
	$(VENV)-bench/bin/python -m benchmarks $(ONLY)

bench-check: $(VENV)/dev ## fail if a guard has become dearer than it may be
	$(BIN)/python -m benchmarks.check

mutants: $(VENV)/mutation ## change the core's code bit by bit, and list the changes that no test of the core notices
	rm -rf mutants
	$(BIN)/mutmut run --max-children 1
	$(BIN)/mutmut results

soak: $(VENV)/dev ## drive the real leases through a million simulated steps of faults (STEPS=, SEED=)
	$(BIN)/python -m tests.simulator.soak --steps $(or $(STEPS),1000000) --seed $(or $(SEED),1)

reliability: $(VENV)/dev ## measure how soon a no is everywhere, and what keeping 100,000 users fresh costs
	$(BIN)/python -m tests.faults.measure

$(VENV)/lint: $(VENV)/dev
	$(BIN)/python -m pip install --quiet --group lint
	@touch $@

$(VENV)/docs: $(VENV)/dev
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@

docs: $(VENV)/docs ## make the documentation's site: docs/_build/index.html
	$(BIN)/sphinx-build -W --keep-going --quiet docs docs/_build

dist: $(VENV)/dev ## build the wheel and the source archive: dist/
	$(BIN)/python -m build --outdir dist

clean: ## remove the environment and what tools left behind
	rm -rf $(VENV) $(VENV)-bench .benchmarks .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist docs/_build mutants
