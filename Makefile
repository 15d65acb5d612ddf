# Each target makes what it needs in .venv, whatever virtual environment is active.
#   PYTHON=python3.12     the interpreter that .venv is made with
#   EXTRAS=evaluate       another extra to install first (it brings torch, which `make test` alone never does)
#   ARGS='-k dicom -x'    more arguments for pytest or for photopeak bench

PYTHON ?= python3
EXTRAS ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# pip builds against the tools in .venv, so that they are pinned too and a rebuild compiles only what changed.
BUILD_TOOLS := scikit-build-core pybind11 cmake ninja
CXX_SOURCES := $(shell find engine kernels -path '*/native/*' -name '*.[ch]*')
CMAKE_LISTS := CMakeLists.txt $(shell find engine kernels -path '*/native/*' -name CMakeLists.txt)
BUILD_INPUTS := pyproject.toml constraints.txt engine/root.py.in $(CMAKE_LISTS) $(CXX_SOURCES)

unexport VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test check bench build clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:[^#]*## /\t/' | expand -t 10

demo: $(VENV)/.ready-run ## enhance a real bone scan and write a report
	$(BIN)/photopeak demo

test: $(VENV)/.ready-test $(EXTRAS:%=$(VENV)/.ready-%) ## run the whole suite, doctests included
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.ready-dev $(EXTRAS:%=$(VENV)/.ready-%) ## lint, formats, types, spelling
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/clang-format --dry-run -Werror $(CXX_SOURCES)
	$(BIN)/codespell
	$(BIN)/validate-pyproject pyproject.toml
	$(BIN)/mypy

bench: $(VENV)/.ready-bench ## measure every suite for every matrix size
	$(BIN)/photopeak bench $(ARGS)

build: $(VENV)/.ready-dev ## write an sdist, and a wheel made from it, to dist
	$(BIN)/python -m build

clean: ## remove .venv and everything built
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

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

$(VENV)/.ready-%: $(VENV)/.ready-run
	$(INSTALL) --no-build-isolation --editable '.[$*]'
	@touch $@
