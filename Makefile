# The stages of the CI, each a word. `make test` is all of them; `make setup` once before any other.
PYTHON := .venv/bin/python
PYTEST := .venv/bin/pytest
CODE := src tests bench
ENGINE := $(or $(PROA_TEST_CACHE),$(HOME)/.cache/proa-tests)/docker-engine/usr

.PHONY: help setup run fmt lint types unit suites hostile fuzz e2e compat compat-record vm bench docs test clean

help:            ## Show these words
	@sed -n 's/^\([a-z0-9-]*\): .*## \(.*\)/\1\t\2/p' Makefile | expand -t 16

setup:           ## Packages, .venv and a docker CLI: only what is missing
	scripts/setup test

run:             ## The first container: proa run --rm busybox echo …
	scripts/quickstart

fmt:             ## Format the code
	.venv/bin/ruff check --fix $(CODE)
	.venv/bin/ruff format $(CODE)

lint:            ## Style and mistakes; every endpoint is described
	.venv/bin/ruff check $(CODE)
	$(PYTEST) -q tests/test_description.py

types:           ## Types, strict
	.venv/bin/mypy
	MYPYPATH=src:tests .venv/bin/mypy --strict tests/rig tests/conftest.py bench
	MYPYPATH=src:tests .venv/bin/mypy --strict tests/e2e/conftest.py
	MYPYPATH=src:tests .venv/bin/mypy --strict tests/compat/conftest.py

unit:            ## Module by module, and the rules of the house
	$(PYTEST) tests/unit tests/test_layers.py tests/test_rig.py

suites:          ## Behaviour shared by implementations
	$(PYTEST) tests/suites

hostile:         ## Bad input, as tables
	$(PYTEST) tests/hostile

fuzz:            ## The whole API under fire: make fuzz SECONDS=600 SEED=7
	PROA_FUZZ_SECONDS=$(or $(SECONDS),30) PROA_FUZZ_SEED=$(or $(SEED),1) $(PYTEST) tests/fuzz

e2e:             ## A real engine, a real registry, the docker CLI, docker-py and proa
	$(PYTEST) tests/e2e

compat:          ## The clients of others: docker-py, aiodocker, and docker's answers to a long session
	$(PYTEST) tests/compat

compat-record:   ## Record again how dockerd 28.5 answers that session
	scripts/get-docker engine
	PATH="$$PATH:$(ENGINE)/sbin:$(ENGINE)/bin" PROA_RECORD=1 PROA_TEST_DAEMON=dockerd \
	  unshare --net --mount --propagation private \
	  sh -c 'ip link set lo up; exec $(PYTEST) tests/compat/test_session.py -k record --timeout 600'

vm:              ## A part of the suite under systemd and pure cgroup v2
	$(PYTEST) tests/vm

docs:            ## What the documents name is there
	$(PYTEST) tests/test_docs.py

bench:           ## How fast, beside Docker, Podman and runc where they are
	$(PYTHON) -m bench $(BENCH)

test:            ## Everything; no skip passes
	scripts/test

clean:           ## What tools left in the checkout
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build src/*.egg-info
	find src tests bench -name __pycache__ -prune -exec rm -rf {} +
