# make train: set up .venv and train.   make test: set it up and check everything.   make help: the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
ACTIVATE := $(if $(filter Windows_NT,$(OS)),$(VENV)\Scripts\activate,source $(VENV)/bin/activate)
PIP := $(BIN)/python -m pip --disable-pip-version-check

# The CUDA extra that fits the driver: cuda13, cuda12 or none. CUDA 13 dropped GPUs older than compute capability 7.5.
FIND_CUDA := driver=$$(nvidia-smi 2>/dev/null | sed -nE 's/.*CUDA( [A-Z]+)? Version: *([0-9]+).*/\2/p' | head -n 1); \
	gpu=$$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | sed -nE 's/^([0-9]+)\.([0-9]+)$$/\1\2/p' | sort -n | head -n 1); \
	if [ "$${driver:-0}" -ge 13 ] && [ "$${gpu:-0}" -ge 75 ]; then echo cuda13; \
	elif [ "$${driver:-0}" -ge 12 ]; then echo cuda12; fi
CUDA_EXTRA := $(shell $(FIND_CUDA))

comma := ,
TRAIN_EXTRAS := numba,plot$(if $(CUDA_EXTRA),$(comma)$(CUDA_EXTRA))
PLAY_EXTRAS := $(TRAIN_EXTRAS),play
TEST_EXTRAS := dev,$(or $(CUDA_EXTRA),nvrtc)
TRAIN_READY := $(VENV)/.ready-train-$(or $(CUDA_EXTRA),cpu)
PLAY_READY := $(VENV)/.ready-play-$(or $(CUDA_EXTRA),cpu)
TEST_READY := $(VENV)/.ready-test-$(or $(CUDA_EXTRA),cpu)
DOCS_READY := $(VENV)/.ready-docs
SHARE := 1

# Every cupy-cudaNNx provides the same `cupy`, and loads whichever CUDA it finds: keep one of each.
OTHER_CUDA := $(if $(filter cuda13,$(CUDA_EXTRA)),\
	cupy-cuda12x nvidia-cublas-cu12 nvidia-cuda-nvrtc-cu12 nvidia-cuda-runtime-cu12,\
	cupy-cuda13x nvidia-cublas nvidia-cuda-nvrtc nvidia-cuda-runtime)

define install
	@if $(PIP) show -q $(firstword $(OTHER_CUDA)) 2>/dev/null; then \
	  $(PIP) uninstall -qq -y $(OTHER_CUDA) && rm -f $(VENV)/.ready-*; fi
	@echo "Installing nnkit with $(1) into $(VENV): this happens once and takes a few minutes at most."
	@$(PIP) install -q -e '.[$(1)]' || { echo "The installation failed: pip says why above.$(if $(CUDA_EXTRA), To do without the GPU: make $(MAKECMDGOALS) CUDA_EXTRA=)" >&2; exit 1; }
	@touch $@
endef

.DEFAULT_GOAL := help
.PHONY: help train play test test-large stress lint types format docs bench bench-compare bench-check clean extras

help: ## show this list
	@echo "Usage: make TARGET [ARGS='...'] [PYTHON=python3.12]"
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

train: $(TRAIN_READY) ## set up, then train: make train ARGS='mnist --epochs 5'
	@$(BIN)/nnkit train $(ARGS); code=$$?; \
	  [ "$$VIRTUAL_ENV" = "$(CURDIR)/$(VENV)" ] || printf '%s\n' 'To use nnkit in this shell, and to run the examples: $(ACTIVATE)'; \
	  exit $$code

play: $(PLAY_READY) ## set up, then open a page on which networks think and learn: make play ARGS='--port 9000'
	@$(BIN)/nnkit play $(ARGS)

# A process for each core is enough: BLAS's own threads would only wait for each other.
test test-large stress: export OPENBLAS_NUM_THREADS := 1

test: lint types ## set up, then lint, types and the whole test suite
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --benchmark-disable $(ARGS)

test-large: $(TEST_READY) ## what make test leaves out: sizes for a GPU, on the simulator; the GPU check's script
	NNKIT_TEST_LARGE=1 NNKIT_TEST_BACKENDS=cupy $(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal \
	  tests/test_kernel_runs.py tests/test_gpu_check.py::test_on_a_cpu \
	  tests/test_aarch64.py::test_every_operation_compiles_for_an_apple_m1 \
	  tests/operations/test_every_operation.py::test_large_arrays tests/test_bench.py::test_smoke tests/test_textbook.py::test_digits_are_recognised \
	  tests/test_nvrtc.py::test_kernels_compute_in_registers_and_access_16_bytes_at_a_time \
	  tests/test_real_cupy.py::test_all_is_the_same_in_every_order tests/test_streams.py::test_same_bits_in_every_order $(ARGS)

stress: $(TEST_READY) ## random networks, damaged files, kills, threads; a tenth of it: make stress SHARE=0.1
	NNKIT_STRESS=$(SHARE) $(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal tests/stress tests/play/test_abuse.py $(ARGS)

lint: $(TEST_READY) ## ruff: rules and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(TEST_READY) ## mypy, strict
	$(BIN)/mypy

format: $(TEST_READY) ## rewrite the sources the way ruff wants them
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(DOCS_READY) ## set up, then build the site: docs/_build/html/index.html
	$(BIN)/python -m sphinx -W --keep-going -q -E docs docs/_build/html

bench: $(TEST_READY) ## time kernels and training steps, and record the results
	$(BIN)/python -m bench.run $(ARGS)

bench-compare: $(TEST_READY) ## time training steps against other frameworks, those that are installed
	$(BIN)/python -m bench.compare $(ARGS)

bench-check: $(TEST_READY) ## time again, and show what is slower than the results recorded last
	$(BIN)/python -m bench.check $(ARGS)

extras: ## print the extras that train, play and test install here
	@echo "train: $(TRAIN_EXTRAS)"
	@echo "play: $(PLAY_EXTRAS)"
	@echo "test: $(TEST_EXTRAS)"

clean: ## remove .venv, caches and build output (not runs/)
	rm -rf $(VENV) build dist docs/_build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "No '$(PYTHON)' here: install Python 3.11 or newer, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "nnkit needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1): name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' lacks the venv module: install it (on Debian and Ubuntu: sudo apt install python3-venv) and try again" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(TRAIN_READY): pyproject.toml | $(VENV)/.created
	$(call install,$(TRAIN_EXTRAS))
	@$(BIN)/nnkit warm --quiet || true

$(PLAY_READY): pyproject.toml | $(VENV)/.created
	$(call install,$(PLAY_EXTRAS))

$(TEST_READY): pyproject.toml | $(VENV)/.created
	$(call install,$(TEST_EXTRAS))

$(DOCS_READY): pyproject.toml | $(VENV)/.created
	$(call install,docs)
