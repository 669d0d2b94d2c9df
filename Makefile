# Lambent's commands. `make` lists them. Each does all of its own set-up, on a fresh machine too.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test check bench endpoint clean generate lock

export LAMBENT_STATE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/lambent
export PYTHONPATH := $(CURDIR)/operator
export UV_PYTHON_DOWNLOADS := never
UV := $(or $(shell command -v uv),$(LAMBENT_STATE)/uv/bin/uv)
PYTHON := $(CURDIR)/.venv/bin/python
BIN := $(CURDIR)/.venv/bin

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

demo: .venv/.synced ## a cluster, the chart, a function, its answer
	@$(PYTHON) tests/cluster/demo.py

test: check ## everything: make check, then chart and function on a real cluster
	@$(PYTHON) tests/cluster/releases.py
	$(PYTHON) tests/cluster/local helm lint --strict charts/lambent
	LAMBENT_HELM=$$($(PYTHON) tests/cluster/local up | $(PYTHON) -c 'import json, sys; print(json.load(sys.stdin)["helm"])') \
	    $(BIN)/pytest tests/chart tests/cluster

check: .venv/.synced ## everything that needs no cluster
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell
	$(BIN)/yamllint -s .
	$(PYTHON) -m lambent.tools.crds --check
	$(PYTHON) -m lambent.tools.spec_pages --check
	$(PYTHON) -m lambent.tools.argocd --check
	$(BIN)/pytest tests --ignore tests/cluster --ignore tests/chart -n 6 --dist loadgroup -q

bench: .venv/.synced ## measure side by side; make bench ID=P4,P5 for chosen ones
	@$(PYTHON) tests/bench $(if $(ID),--ids $(ID)) $(if $(SHORT),--short)

endpoint: .venv/.synced ## the URL of the running demo's gateway
	@$(PYTHON) tests/cluster/demo.py endpoint

clean: ## stop and remove everything that was started
	@python3 tests/cluster/demo.py clean
	@python3 tests/cluster/local down
	@rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis

generate: .venv/.synced ## write what is generated: CRDs, the copies in the chart, spec pages, the patch for Argo CD
	$(PYTHON) -m lambent.tools.crds
	$(PYTHON) -m lambent.tools.spec_pages
	$(PYTHON) -m lambent.tools.argocd

lock: $(UV) ## resolve the dependencies anew, with hashes and without registry hosts
	$(UV) pip compile -q -U --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --extra otel pyproject.toml --override requirements/overrides.txt -o requirements/control-plane.txt
	$(UV) pip compile -q -U --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group dev \
	    --extra otel pyproject.toml -c requirements/control-plane.txt --override requirements/overrides.txt -o requirements/dev.txt

.venv/.synced: requirements/dev.txt | $(UV)
	@echo "setting up .venv" >&2
	@$(UV) venv -q --allow-existing --python '>=3.11' .venv
	@VIRTUAL_ENV=$(CURDIR)/.venv $(UV) pip sync -q --require-hashes requirements/dev.txt
	@touch $@

$(LAMBENT_STATE)/uv/bin/uv:
	@python3 -m venv $(LAMBENT_STATE)/uv 2>/dev/null || (apt-get install -y -q python3-venv >&2 && python3 -m venv $(LAMBENT_STATE)/uv)
	@$(LAMBENT_STATE)/uv/bin/pip install -q uv
