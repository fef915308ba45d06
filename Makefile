# `make help` lists the verbs. Each sets up .venv by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MODEL ?= yolov5s
# Names of files go through the environment, so that no quote in them ends an argument.
engine: export ASKED_MODEL = $(MODEL)
engine: export ASKED_IMAGES = $(IMAGES)
engine: export ASKED_LABELLED = $(LABELLED)
engine: export ASKED_PROFILE = $(PROFILE)
engine: export ASKED_OUT = $(OUT)
engine_options = $(if $(IMAGES),--images "$$ASKED_IMAGES") $(if $(LABELLED),--labelled "$$ASKED_LABELLED") \
	$(if $(PROFILE),--profile "$$ASKED_PROFILE") $(if $(PRECISION),--precision $(PRECISION)) \
	$(if $(ROUTE),--route $(ROUTE)) $(if $(TOOLCHAIN),--toolchain $(TOOLCHAIN)) $(if $(OUT),-o "$$ASKED_OUT") $(OPTIONS)

.PHONY: help engine test check format bench docs clean

help:  ## list the verbs
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

engine: $(VENV)/run.stamp  ## build and prove an engine: make engine MODEL=yolov5s [IMAGES=dir] [LABELLED=dir] [PROFILE=name] [OUT=dir]
	$(BIN)/polyyolo engine "$$ASKED_MODEL" $(engine_options)

test: $(VENV)/dev.stamp  ## run the whole suite
	$(BIN)/python -m pytest -n auto --dist worksteal $(TESTS)

check: $(VENV)/dev.stamp  ## format, lint, types, import contracts, dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks data_loaders
	$(BIN)/lint-imports --config setup.cfg
	$(BIN)/deptry .

format: $(VENV)/dev.stamp  ## format and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/dev.stamp  ## run the benchmarks that need no GPU
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/decode_speed.py
	$(BIN)/python benchmarks/calibration_speed.py

docs: $(VENV)/dev.stamp  ## write docs/reference.md from the code
	$(BIN)/python docs/make_reference.py

clean:  ## remove .venv and caches, keep runs/
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/run.stamp: setup.cfg pyproject.toml requirements/core.txt requirements/rtx.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[rtx]'
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements/dev.txt
	$(BIN)/python -m pip install --quiet --editable '.[rtx,dev]'
	@touch $@
