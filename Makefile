# Each target makes what it needs in .venv, whatever virtual environment is active.
#   PYTHON=python3.12     the interpreter that .venv is made with
#   EXTRAS=evaluate       other extras to install first (this one brings torch, which `make test` alone never does)
#   REFERENCE=DIR         reference images and scores for `make figures`
#   ARGS='-k dicom -x'    more arguments for pytest or for photopeak bench

PYTHON ?= python3
EXTRAS ?=
REFERENCE ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PEERS := .peers
PLANNED := 64,128,256,512,1024x256
KERNELS := --suite iqa,mtf,noise,reconstruction $(ARGS)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# pip builds against the tools in .venv, so that they are pinned too and a rebuild compiles only what changed.
BUILD_TOOLS := scikit-build-core pybind11 cmake ninja
CXX_SOURCES := $(shell find engine kernels -path '*/native/*' -name '*.[ch]*')
CMAKE_LISTS := CMakeLists.txt $(shell find engine kernels -path '*/native/*' -name CMakeLists.txt)
BUILD_INPUTS := pyproject.toml constraints.txt engine/root.py.in $(CMAKE_LISTS) $(CXX_SOURCES)

unexport VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test check bench tune plans figures build clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:[^#]*## /\t/' | expand -t 10

demo: $(VENV)/.ready-run ## enhance a real bone scan and write a report
	$(BIN)/photopeak demo

test: $(VENV)/.ready-test $(EXTRAS:%=$(VENV)/.ready-%) ## run the whole suite, doctests included
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal $(ARGS)

check: $(VENV)/.ready-dev $(EXTRAS:%=$(VENV)/.ready-%) ## lint, formats, types, spelling
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/clang-format --dry-run -Werror $(CXX_SOURCES)
	$(BIN)/codespell
	$(BIN)/validate-pyproject pyproject.toml
	$(BIN)/mypy

bench: $(VENV)/.ready-bench ## measure every suite for every matrix size
	$(BIN)/photopeak bench $(ARGS)

tune: $(VENV)/.ready-run ## measure the fastest plan of every model here; plans and all later runs use them
	$(BIN)/photopeak tune $$($(BIN)/python -c 'from photopeak.engine.zoo import names; print(*names())') \
	    --matrix $(PLANNED) --frames 1 --threads 2 --max-loss-db 0.1 --budget 10

plans: $(VENV)/.ready-bench $(VENV)/.ready-train ## measure every model's plan beside other runtimes: PLANS.md, half an hour
	$(BIN)/photopeak bench --suite plans --matrix $(PLANNED) --threads 2 --peers onnxruntime,openvino,torch --budget 1800 \
	    --json build/plans.json --html build/plans.html $(ARGS)
	$(BIN)/python -m photopeak.benchmarks.plans build/plans.json >benchmarks/PLANS.md

figures: $(PEERS)/.ready ## measure kernels beside other libraries; REFERENCE=DIR has the reference scores
	$(PEERS)/bin/python $(BIN)/photopeak conformance $(REFERENCE:%=--reference %) --output benchmarks/CONFORMANCE.md
	$(PEERS)/bin/python $(BIN)/photopeak bench $(KERNELS) --matrix 64,128,256,512,1024,2048 --threads 1 --json build/one-thread.json
	$(PEERS)/bin/python $(BIN)/photopeak bench $(KERNELS) --matrix 128,512 --threads 2 --json build/two-threads.json
	$(PEERS)/bin/python -m photopeak.benchmarks.speed build/one-thread.json build/two-threads.json >benchmarks/SPEED.md

build: $(VENV)/.ready-dev ## write an sdist, and a wheel made from it, to dist
	$(BIN)/python -m build

clean: ## remove .venv and everything built
	rm -rf $(VENV) $(PEERS) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

# A stamp is written only after its step has ended well, so an interrupted step starts again.
$(VENV)/.ready-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo 'Photopeak needs Python 3.11 or newer; name one with make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, os, sysconfig, venv; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null || \
	    { echo 'Photopeak needs Python with venv and its headers; on Debian: apt-get install python3-venv python3-dev' >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(INSTALL) --upgrade pip
	@touch $@

$(VENV)/.ready-run: $(VENV)/.ready-python $(BUILD_INPUTS)
	$(INSTALL) $(BUILD_TOOLS)
	$(INSTALL) --no-build-isolation --editable .
	@touch $@

# Other libraries would upset the versions in .venv: they live in an environment of their own, which sees .venv's after it.
$(PEERS)/.ready: $(VENV)/.ready-bench $(VENV)/.ready-train benchmarks/peers.txt
	$(BIN)/python -m venv --clear $(PEERS)
	$(BIN)/python -c 'import sysconfig as s; print("import site; site.addsitedir(%r)" % s.get_path("purelib"))' \
	    >"$$($(PEERS)/bin/python -c 'import sysconfig as s; print(s.get_path("purelib"))')/photopeak.pth"
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement benchmarks/peers.txt
	@touch $@

$(VENV)/.ready-%: $(VENV)/.ready-run
	$(INSTALL) --no-build-isolation --editable '.[$*]'
	@touch $@
