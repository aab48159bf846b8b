# Needs GNU make 3.81 or newer and Python 3.11 or newer; everything else goes into .venv.
# On a machine with CUDA, install your own build of torch into .venv after `make setup`; later calls keep it.
PYTHON ?= python3
MODEL  ?= smollm2-135m-instruct
# Processes of a catalogue, each with its share of the processors.
WORKERS ?= 2
BIN    := .venv/bin
STAMP  := .venv/.installed
# The pages with generated tables, and the command that regenerates them.
PAGES  := README.md docs/adding-a-claim.md docs/judging.md docs/models.md docs/public-face.md docs/reference.md \
          docs/replication.md docs/scale-out.md docs/speed.md docs/verdicts.md
COG    := $(BIN)/cog -I . -P -p 'from tools.doc_tables import *' --verbosity=1

.DEFAULT_GOAL := help
.PHONY: help setup report catalogue confirm test sweep kills lint docs bench growth pair clean weights

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP) ## Build .venv with the pinned dependencies (does nothing if it is up to date)

# The stamp is written last and removed first, so that an interrupted install is repeated.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed, but $(PYTHON) is: $$($(PYTHON) --version 2>/dev/null || echo missing). Choose another: make setup PYTHON=python3.12" >&2; exit 1; }
	@test -f $(STAMP) || rm -rf .venv
	@rm -f $(STAMP)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

weights: setup
	@$(BIN)/vsg models fetch $(MODEL)

report: weights ## Run the headline claims on the embedded model and write reports/claims.html
	$(BIN)/pytest --model $(MODEL) -m headline

catalogue: weights ## Run every claim on the embedded model, in two processes, and write reports/claims.html
	$(BIN)/pytest --model $(MODEL) --on local:$(WORKERS) --split

confirm: weights ## Confirm a freeze on new items, after the estimated time per model: FREEZE=primary-1 NONCE=...
	@test -n "$(FREEZE)" && test -n "$(NONCE)" || { echo "Name the freeze and give its nonce: make confirm FREEZE=primary-1 NONCE=..." >&2; exit 2; }
	$(BIN)/vsg status --freeze '$(FREEZE)'
	$(BIN)/pytest --confirm '$(FREEZE)' --nonce '$(NONCE)' $(OPTIONS)

test: lint weights ## Check the code, run its tests, and compare the headline claims with their recorded verdicts
	OMP_NUM_THREADS=1 $(BIN)/pytest tests -n logical --maxprocesses 4 --dist worksteal --cov --cov-report=term
	$(BIN)/pytest --model $(MODEL) -m headline

sweep: setup ## Judge every architecture of transformers as a tiny model, and write docs/sweep.json (6 minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.sweep.run
	$(COG) -r docs/models.md

kills: setup ## Kill runs at random moments, resume them, and compare their evidence (10 minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.campaign.run

lint: setup ## Check style, spelling, prose, imports, generated tables and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/python tools/prose.py
	$(BIN)/lint-imports --no-logo
	$(COG) --check --check-fail-msg="run 'make docs'" $(PAGES)
	$(BIN)/mypy

docs: setup ## Regenerate the tables in README and docs
	$(COG) -r $(PAGES)

bench: weights ## Compare decoding speed with transformers' generate, bare passes and llama.cpp, and time the catalogue
	$(BIN)/pytest benchmarks --bench-model $(MODEL) -rs

growth: weights ## Measure how cost grows with prompts, claims, models, ..., and write docs/speed.* (8 minutes)
	$(BIN)/python -m benchmarks.growth

pair: setup ## Train the two small models that calibrate retained shares (10 minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.train_pair

clean: ## Remove .venv, caches and reports (weights stay in the user's cache)
	rm -rf .coverage .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks *.egg-info
	find reports -mindepth 1 -maxdepth 1 ! -name example -exec rm -rf {} + 2>/dev/null || true
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
