# `make` lists the targets. Each sets up what it needs, once; see tools/setup.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON := .venv/bin/python
AUDIO ?= samples/demo.wav
FORMAT ?= text
# The name as it was typed, read by the recipe as a shell variable: neither make nor the
# shell takes a part of it for their own.
override AUDIO := $(value AUDIO)
export AUDIO FORMAT

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

.venv/demo.stamp: pyproject.toml constraints.txt tools/setup
	@tools/setup demo

.venv/dev.stamp: pyproject.toml constraints.txt tools/setup
	@tools/setup dev

.PHONY: demo
demo: .venv/demo.stamp ## print the transcript of AUDIO=samples/demo.wav as FORMAT=text (srt, vtt, json …)
	@$(PYTHON) -m cli demo --format "$$FORMAT" -- "$$AUDIO"

.PHONY: serve
serve: .venv/demo.stamp ## keep Redis, gateway and worker up until Ctrl-C; data lies in data/
	@$(PYTHON) -m cli serve

.PHONY: test
test: .venv/dev.stamp ## every test, on a real Redis and the real demo model; ARGS=… goes to pytest
	@tools/timed test 12 $(PYTHON) -m pytest $(ARGS)

.PHONY: lint
lint: .venv/dev.stamp ## style, by ruff
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .

.PHONY: types
types: .venv/dev.stamp ## types, by mypy
	@$(PYTHON) -m mypy shared gateway worker cli

.PHONY: check
check: lint types test ## lint, types and test: what has to pass before a commit

.PHONY: gpu-test
gpu-test: .venv/dev.stamp ## the tests that need a CUDA device
	@$(PYTHON) -m pytest -m gpu

.PHONY: demo-eval
demo-eval: .venv/dev.stamp ## measure the demo model against its gate and target
	@$(PYTHON) -m tools.demo_model.evaluate

.PHONY: bench
bench: .venv/dev.stamp ## speed and overhead on this machine, against faster-whisper; ARGS="--save bench/results"
	@$(PYTHON) -m bench $(ARGS)

.PHONY: docs
docs: .venv/demo.stamp ## write docs/settings.md and .env.example from the code
	@$(PYTHON) -m tools.docs
