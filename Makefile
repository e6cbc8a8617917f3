# `make` lists the targets. Each sets up what it needs, once; see tools/setup.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON := .venv/bin/python
AUDIO ?=
FORMAT ?= text
N ?= 1
# The name as it was typed. The recipe reads it as a shell variable, so that neither make nor the
# shell interprets any part of it.
override AUDIO := $(value AUDIO)
export AUDIO FORMAT

# What .ci/run runs after style and types. Suites that show a failure sooner come first.
SUITES := test test-speech test-deploy test-compat test-faults test-openapi

# Set in some images to keep them small. Here every process would have to compile torch again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | awk -F'\t' '{printf "  make %-22s %s\n", $$1, $$2}'

.venv/demo.stamp: pyproject.toml constraints.txt tools/setup
	@tools/setup demo

.venv/dev.stamp: pyproject.toml constraints.txt tools/setup
	@tools/setup dev

.PHONY: demo
demo: .venv/demo.stamp ## print the transcript of AUDIO=talk.mp3, or of a sample, as FORMAT=text (srt, vtt, json …)
	@$(PYTHON) -m cli demo --format "$$FORMAT" $${AUDIO:+-- "$$AUDIO"}

.PHONY: serve
serve: .venv/demo.stamp ## run Redis, gateway and worker until Ctrl-C, with their data in data/
	@$(PYTHON) -m cli serve

# Three processes on two cores: there is always one that waits for a program or a time-out.
.PHONY: test
test: .venv/dev.stamp ## all but the suites below: whole stacks, a real Redis, real models; ARGS=… goes to pytest
	@tools/timed test 6 $(PYTHON) -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: test-speech
test-speech: .venv/dev.stamp ## what engines and diarizers make of real recordings, with real weights
	@tools/timed test-speech 8 $(PYTHON) -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m 'speech and not properties' $(ARGS)

.PHONY: test-all
test-all: ## every suite that .ci/run runs, one after the other, also after one has failed
	@failed=; for suite in $(SUITES); do $(MAKE) --no-print-directory $$suite || failed+=" $$suite"; done; \
	if [[ $$failed ]]; then echo "FAILED:$$failed"; exit 1; fi

.PHONY: lint
lint: .venv/dev.stamp ## style, by ruff
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .

.PHONY: types
types: .venv/dev.stamp ## types, by mypy
	@$(PYTHON) -m mypy shared gateway worker cli

.PHONY: check
check: lint types test ## lint, types and test: what has to pass before a commit

.PHONY: test-faults
test-faults: .venv/dev.stamp ## killed workers and engines, Redis away, long jobs and their memory, two hundred jobs in a row
	@tools/timed test-faults 10 $(PYTHON) -m pytest -m faults tests/faults tests/live --durations=10 $(ARGS)

.PHONY: test-properties
test-properties: .venv/dev.stamp ## every recording of ../shared/speech with options in pairs, in every format
	@$(PYTHON) -m pytest -m properties tests/real/test_properties.py $(ARGS)

.PHONY: test-openapi
test-openapi: .venv/dev.stamp ## generated requests to every route: are the answers as documented?
	@tools/timed test-openapi 5 $(PYTHON) -m pytest -s -m openapi tests/openapi $(ARGS)

.PHONY: test-compat
test-compat: .venv/dev.stamp ## other people's clients, each in its own environment, on a whole site
	@tools/system_packages compat
	@tools/timed test-compat 12 $(PYTHON) -m pytest -m compat tests/compat $(ARGS)

.PHONY: compatibility
compatibility: .venv/dev.stamp ## write docs/compatibility.md, after `make test`, `make test-speech` and `make test-compat`
	@$(PYTHON) -m tools.compatibility $(ARGS)

.PHONY: gpu-test
gpu-test: .venv/dev.stamp ## the tests that need a CUDA device
	@$(PYTHON) -m pytest -m gpu

.PHONY: demo-eval
demo-eval: .venv/dev.stamp ## measure the demo models: text, times of words, and who speaks
	@$(PYTHON) -m models.training.demo_model.evaluate
	@$(PYTHON) -m models.training.evaluation $(ARGS)

.PHONY: eval
eval: eval-speakers eval-speech ## eval-speakers and eval-speech, with options of both; ARGS="--save bench/results"

.PHONY: eval-speech
eval-speech: .venv/dev.stamp ## transcripts of real speech, compared with faster-whisper and openai-whisper
	@$(PYTHON) -m bench.evaluation $(ARGS)

.PHONY: eval-speakers
eval-speakers: .venv/dev.stamp ## diarization, compared with pyannote.audio and senko
	@$(PYTHON) -m bench.evaluation.speakers $(ARGS)

.PHONY: bench
bench: .venv/dev.stamp ## speed and overhead on this machine, compared with faster-whisper; ARGS="--save bench/results"
	@$(PYTHON) -m bench $(ARGS)

.PHONY: bench-batching
bench-batching: .venv/dev.stamp ## 16 jobs together, with batches of 8 and of 1; ARGS="--save bench/results"
	@$(PYTHON) -m bench.batching $(ARGS)

.PHONY: soak
soak: .venv/dev.stamp ## 200 jobs in a row: memory and descriptors of every process; ARGS="--save …"
	@$(PYTHON) -m bench.soak $(ARGS)

.PHONY: docs
docs: .venv/demo.stamp ## write what is made from code: settings, modules, OpenAPI, tables of docs/http.md
	@$(PYTHON) -m tools.docs

.PHONY: test-deploy
test-deploy: .venv/dev.stamp ## real images, compose and nginx, with a Docker daemon of its own
	@tools/timed test-deploy 8 tools/test_deploy $(ARGS)

.PHONY: test-deploy-breakages
test-deploy-breakages: .venv/dev.stamp ## check that test-deploy notices what is broken on purpose; NAME=… for one thing
	@tools/test_deploy --breakages $(NAME)

.PHONY: up
up: ## build and start a site in containers: Redis, gateways, workers, nginx; writes .env if missing
	@deploy/setup
	docker compose up --detach --wait --build --remove-orphans

.PHONY: scale
scale: ## run N=3 workers in the site that is up
	docker compose up --detach --wait --no-recreate --scale worker=$(N)

.PHONY: user
user: ## let NAME=ann into the site, or change their password
	@deploy/user "$(NAME)"

.PHONY: key
key: ## give NAME=ann a key, and print it; for LONGHAND_AUTH=keys
	@deploy/key "$(NAME)"

.PHONY: ps
ps: ## the site's containers
	@docker compose ps

.PHONY: logs
logs: ## follow the site's logs
	@docker compose logs --follow --tail 100

.PHONY: backup
backup: ## queue, audio, results and passwords of the site, in FILE=backups/….tar
	@deploy/backup $(FILE)

.PHONY: restore
restore: ## fill the site's volumes from FILE=backups/….tar
	@deploy/restore "$(FILE)"

.PHONY: down
down: ## stop the site; running jobs are finished first, everything stored is kept
	docker compose down
