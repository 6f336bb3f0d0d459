# `make help` lists the targets. Everything runs in a virtual environment of its own, .venv.
.DEFAULT_GOAL := help
.PHONY: demo test test-slow coverage lint format docs clean help

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# What `make demo` measures.
DEMO_LIMIT := 400
DEMO_LEVEL := 2
DEMO_REPORT := build/demo.html
DEMO_RUN := local/self-consistency
DEMO := local/greedy local/single local/self-consistency local/best-by-reward local/reward-vote local/ensemble local/critique-fuse
DEMO_CODE := local/unit-tests
DEMO_SEARCH := small
DEMO_QUESTION := Tom has 48 apples. He buys 3 bags of 8 apples. Then he gives 17 apples to Mia. How many apples does Tom have now? Give the answer after \#\#\#\#.

$(READY): pyproject.toml constraints.txt
	@echo "== installing into .venv (once; a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e ".[local,eval,dev]"
	@touch $@

demo: $(READY) ## measure architectures over the embedded models, and search for the best one
	@echo "== one question through $(DEMO_RUN)"
	@$(BIN)/archon run $(DEMO_RUN) "$(DEMO_QUESTION)" --answer number --mode reuse --trace
	@echo
	@echo "== $(DEMO_LIMIT) test problems of level $(DEMO_LEVEL)"
	@$(BIN)/archon eval $(DEMO) --benchmark arithmetic --split test \
		--level $(DEMO_LEVEL) --limit $(DEMO_LIMIT)
	@echo "== $(DEMO_LIMIT) list functions of level $(DEMO_LEVEL): programs and their tests by one model"
	@$(BIN)/archon eval $(DEMO_CODE) --benchmark listfn --split test \
		--level $(DEMO_LEVEL) --limit $(DEMO_LIMIT)
	@mkdir -p $(dir $(DEMO_REPORT))
	@$(BIN)/archon report --last $(words $(DEMO) $(DEMO_CODE)) --out $(DEMO_REPORT)
	@echo
	@echo "== a search of about a minute: archon search $(DEMO_SEARCH)"
	@$(BIN)/archon search $(DEMO_SEARCH)

lint: $(READY) ## ruff, mypy and the direction of imports
	@echo "== ruff check"
	@$(BIN)/ruff check .
	@echo "== ruff format"
	@$(BIN)/ruff format --check .
	@echo "== mypy"
	@$(BIN)/mypy
	@$(BIN)/mypy examples docs/generate.py
	@echo "== imports"
	@$(BIN)/lint-imports

test: lint ## every gate: lint, then all tests but the slow ones
	@echo "== pytest"
	@$(BIN)/pytest -n 2 -m "not slow" -rs

test-slow: lint ## every gate, slow tests included
	@echo "== pytest, slow tests included"
	@$(BIN)/pytest -n 2

coverage: $(READY) ## all tests but the slow ones, with branch coverage, which takes a third longer
	@$(BIN)/pytest -n 2 -m "not slow" --cov --cov-report=term

format: $(READY) ## rewrite the sources in the one style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(READY) ## rewrite the generated parts of the documentation
	@$(BIN)/python docs/generate.py

clean: ## remove the environment, builds and caches
	rm -rf .venv build dist *.egg-info .coverage .coverage.* \
		.mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12
