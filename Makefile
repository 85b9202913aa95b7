# Every target works first on a fresh clone: it makes what it needs, once.
# PYTHON=3.13 chooses the interpreter (python3.13 on PATH, or in ~/.pyenv/versions) and an environment of its own.

PYTHON ?=
DEMO_ARGS ?=
TEST_ARGS ?=
QUICK ?=
SUFFIX := $(if $(PYTHON),-$(PYTHON))
export PYTHON DEMO_ARGS TEST_ARGS QUICK

.PHONY: help setup setup-core setup-bench demo test test-core check stress bench docs clean

help:            ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup:           ## make .venv ready: the project and all that checks, tests, demo and docs need
	@scripts/setup full .venv$(SUFFIX)

setup-core:
	@scripts/setup core .venv-core$(SUFFIX)

setup-bench:
	@scripts/setup bench .venv-bench$(SUFFIX)

demo: setup      ## load a year of real flights (DEMO_ARGS="--once --json")
	@.venv$(SUFFIX)/bin/mainspring demo $(DEMO_ARGS)

test: setup      ## every test, then the coverage of each source file (TEST_ARGS="tests/unit -x" for some tests only)
	@scripts/test .venv$(SUFFIX)

test-core: setup-core  ## the tests that need no extra, in an environment without extras
	@scripts/test-core .venv-core$(SUFFIX)

check: setup     ## ruff, mypy and pyright
	@scripts/check .venv$(SUFFIX)

stress: setup    ## the stress tests with their counts raised
	@scripts/stress .venv$(SUFFIX)

bench: setup-bench  ## every claim beside its rivals (QUICK=1 ends within 5 minutes)
	@.venv-bench$(SUFFIX)/bin/python benchmarks/run.py $(if $(QUICK),--quick)

docs: setup      ## build the manual into site/
	@.venv$(SUFFIX)/bin/mkdocs build --strict --quiet

clean:           ## remove environments, caches and built files
	@scripts/clean
