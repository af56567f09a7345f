# tritonforge, on a machine with CPython 3.10, 3.11 or 3.12 and pip: `make run`, `make test`. Each sets up what it needs.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
REPOSITORY := model_repository
JOBS ?= 2
RERUNS ?= 0
EXAMPLES ?= untimed

.DEFAULT_GOAL := help
.PHONY: help setup run test lint build bench clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with all that the rest needs; PYTHON=… picks the Python

run: $(STAMP) ## build the examples, serve them with a real Triton, ask over HTTP and gRPC, compare with the known answers
	$(BIN)/tritonforge build -o $(REPOSITORY)
	$(BIN)/python examples/run.py $(REPOSITORY)

test: $(STAMP) ## run all tests, those with a real Triton server among them; JOBS=2 files at once
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder --reruns $(RERUNS) -rR --hypothesis-profile $(EXAMPLES)

lint: $(STAMP) ## style, format, strict types, and the contract of which layer may import which
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@# Each example and backend is a program of its own. All find the same libraries, so that each run goes on with the cache of
	@# those before it (torch takes a quarter of a minute). The folder named onnxruntime is not the library: who imports that finds
	@# the runtime by a link to it alone. The runtime's own folder lies beside it: no namespaces, which matter to torch only.
	mkdir -p .mypy_cache/runtime && ln -sfn ../../python_backends/tritonforge_runtime .mypy_cache/runtime/tritonforge_runtime
	for program in examples/*/ $(filter-out %/tritonforge_runtime/,$(wildcard python_backends/*/)); do \
		MYPYPATH=.mypy_cache/runtime $(BIN)/mypy $$program || exit 1; done
	$(BIN)/mypy --no-namespace-packages python_backends/tritonforge_runtime/
	@# The benchmarks, and of the peers what is not written for a library that only the peer's own environment has.
	MYPYPATH=perf:perf/peers:tests/integration:examples/breast_cancer:examples/digits $(BIN)/mypy --explicit-package-bases \
		--exclude 'perf/peers/(?!common|tritonforge_up).+/' perf
	$(BIN)/lint-imports --config .importlinter

build: $(STAMP) ## rebuild generated_repo, the committed build of the examples
	$(BIN)/tritonforge build

bench: $(STAMP) ## measure all, peers among it, into perf/REPORT.md (needs wrk, h2load, java); BENCH=quick is shorter
	$(BIN)/python perf/report.py $(if $(filter quick,$(BENCH)),--quick)

clean: ## remove .venv and all caches and outputs
	rm -rf $(VENV) $(REPOSITORY) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@scripts/setup.sh $(VENV)
	@touch $@
