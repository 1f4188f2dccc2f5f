# Two commands on a fresh machine (Python 3.11 or later and a C compiler):
#   make run    a demo: three small servers and lb in front of them, until Ctrl-C
#   make test   every test, on the compiled and on the interpreted build
# `make help` lists the rest. Everything is kept in .venv/ and build/; `make clean` removes both.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-compiled test-interpreted lint format docs build install install-dev bench clean

# The first Python that is new enough; choose another with `make PYTHON=/path/to/python3.12 …`.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

# Tests that need no process of lb, only its modules: they run on both builds.
PURE := $(wildcard tests/message tests/http1 tests/routing tests/balancing tests/upstream tests/proxy \
	tests/snapshot tests/telemetry tests/project tests/architecture tests/test_*.py)

# Tests that mostly wait, for real engines and their leases: four files at a time. Other scenarios: three, they work
# more. What is neither: two, it works all the time.
WAITING := $(wildcard tests/cluster tests/safety tests/scenarios/test_cluster*.py tests/scenarios/test_consul*.py \
	tests/scenarios/test_rollout.py tests/scenarios/test_compose.py)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 26

run: install ## three demo servers and lb in front of them
	@exec $(BIN)/lb demo config/quickstart.yaml

test: test-compiled test-interpreted ## every test on the compiled build, then the pure-Python ones interpreted

test-compiled: install-dev ## the whole suite on the build that is installed
	@$(BIN)/python -m tests.cluster.packages >/dev/null || true # the suite names what is missing
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore=tests/scenarios $(foreach path,$(WAITING),--ignore=$(path)) -m "not alone" $(ARGS)
	$(BIN)/python -m pytest -n 3 --dist loadfile $(filter-out $(WAITING),$(wildcard tests/scenarios/test_*.py)) -m "not alone" $(ARGS)
	$(BIN)/python -m pytest -n 4 --dist loadfile $(WAITING) -m "not alone" $(ARGS)
	$(BIN)/python -m pytest -m alone $(ARGS)

# The sources without their extensions in a tree of their own: Python takes the package from there.
test-interpreted: install-dev ## the pure-Python tests on the interpreted build
	@rm -rf build/interpreted && mkdir -p build/interpreted
	@cp -R Makefile pyproject.toml setup.py mkdocs.yml *.md LICENSE $(wildcard .ci bench config docker docs) lb tests build/interpreted
	@find build/interpreted/lb \( -name '*.so' -o -name _build.json -o -name __pycache__ \) -prune -exec rm -rf {} +
	cd build/interpreted && ../../$(BIN)/python -m pytest $(PURE) $(ARGS)

lint: install-dev ## ruff (format and rules) and mypy
	@failed=; for check in "ruff format --check ." "ruff check ." mypy; do \
		echo "$(BIN)/$$check"; $(BIN)/$$check || failed=1; done; test -z "$$failed"

format: install-dev ## let ruff put the sources in shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: install-dev ## the pages as a site in build/site; a link that leads nowhere is an error
	$(BIN)/python -m mkdocs build --strict

build: .venv/installed ## compile the hot rooms, where they changed
	$(BIN)/python setup.py --quiet build_ext --inplace

bench: install ## lb beside nginx, HAProxy, Envoy, Traefik and Caddy (bench/README.md)
	$(BIN)/python -m bench $(ARGS)

clean: ## remove the environment and everything that was built
	rm -rf .venv build *.egg-info lb/_build.json .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find lb -name '*.so' -delete

# The environment is made again when a file that describes it changes. What is compiled is judged by
# content, not by date: `python -m lb.build` fails where a hot source is not what was compiled.
install: .venv/installed ## the environment that lb needs, with the hot rooms compiled
	@$(BIN)/python -m lb.build >/dev/null || $(MAKE) --no-print-directory build

install-dev: .venv/installed-dev install ## the same, and what the tests and linters need

.venv/python:
	@test -n "$(PYTHON)" || { echo "lb needs Python 3.11 or later; none was found (make PYTHON=…)" >&2; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) "setuptools>=77" "Cython>=3.1,<4"
	@touch $@

# LB_PURE: the extensions are not built twice, but by `make build`, which shows what it does.
.venv/installed: .venv/python pyproject.toml setup.py lb/__init__.py
	@echo "Installing lb and what it needs into .venv"
	@LB_PURE=1 $(PIP) --no-build-isolation --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	@echo "Installing what the tests and linters need"
	@LB_PURE=1 $(PIP) --no-build-isolation --editable '.[dev]'
	@touch $@
