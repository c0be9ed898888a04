# Every target creates .venv by itself and reuses it. Needs Python 3.11-3.13 and make, nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
SHELL  := /bin/sh

# What a test cluster has: api, control (with controllers) or node (runs pods).
LEVEL  ?= control

# Further words for pytest in `make e2e`, such as: make e2e E2E='-k suspended'
E2E    ?=

# One thread a process: tests run side by side, and results must be the same to the bit.
export OMP_NUM_THREADS = 1

.DEFAULT_GOAL := help
.PHONY: help demo test slow chaos e2e e2e-images verify format generate benchmarks cluster-build cluster-up cluster-down clean

help:  ## Show the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY)  ## Train, compress and fit a scaling law on this machine, about three minutes
	$(BIN)/scaling run examples/quickstart.yaml --out results/quickstart

test: $(READY)  ## Run the tests
	@$(MAKE) --no-print-directory cluster-build || echo "Tests that need a Kubernetes API server are skipped."
	$(BIN)/pytest -n auto --dist worksteal -m "not slow"

slow: $(READY)  ## Run the tests that take minutes: reference results, coverage, chaos
	$(BIN)/pytest -n auto --dist worksteal -m "slow and not chaos and not e2e"
	$(BIN)/pytest -m "chaos"

chaos: $(READY)  ## Kill sweeps at random moments and compare what they find with undisturbed ones
	$(BIN)/pytest -m "chaos"

e2e: $(READY)  ## Boot a node with KubeRay and run experiments on it; needs root on Linux
	@[ "$$(id -u)" = 0 ] || [ -n "$$KUBECONFIG" ] || { echo "make e2e boots a Kubernetes node, which needs root on \
	  Linux; or set KUBECONFIG to a cluster with KubeRay" >&2; exit 1; }
	$(BIN)/python tests/cluster build node kuberay kueue helm >/dev/null
	$(BIN)/pytest tests/e2e -m "e2e" $(E2E)

e2e-images: $(READY)  ## Build the images and run an experiment on them; needs root on Linux
	tests/cluster/images/build.sh build/images
	$(BIN)/python tests/cluster build node kuberay helm >/dev/null
	SCALING_IMAGES=$(CURDIR)/build/images $(BIN)/pytest tests/e2e/test_images_on_a_node.py

verify: $(READY)  ## Check format, lint, types, imports and generated files
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m scaling_api.generate --check

format: $(READY)  ## Format the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

generate: $(READY)  ## Write the CRDs from the models
	$(BIN)/python -m scaling_api.generate

benchmarks: $(READY)  ## Measure side by side with what one would use instead
	$(BIN)/python benchmarks/laws/side_by_side.py
	$(BIN)/python benchmarks/executor/overhead.py
	$(BIN)/python benchmarks/trainer/throughput.py

cluster-build: $(READY)  ## Build what tests run on: a cluster of LEVEL=api|control|node, helm and others
	@$(BIN)/python tests/cluster build $(LEVEL) kuberay helm kubeconform s3 >/dev/null

cluster-up: $(READY)  ## Boot a throwaway Kubernetes of LEVEL=api|control|node and print its KUBECONFIG
	@$(BIN)/python tests/cluster up --level $(LEVEL)

cluster-down: $(READY)  ## Take it down; nothing stays
	@$(BIN)/python tests/cluster down

clean:  ## Remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else \
	  "Python 3.11, 3.12 or 3.13 is needed, this is %d.%d: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[trainer,operator,dev]'
	@touch $@
