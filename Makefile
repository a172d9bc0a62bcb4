# The front door for people and CI. Every target sets up what it needs from a bare python3 (3.11 or later).

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: lambda-python help demo run test conformance fuzz check scan audit format build bench token openapi clean

PYTHON ?= python3
PORT ?= 8000
ENGINE ?= openai
SIZE ?= 1024x1024
PROMPT ?= a lighthouse in a storm, oil on canvas
ARCHITECTURE ?= arm64
TEMPLATE ?= template.yaml
BUILD_DIR ?= .aws-sam/build
LAMBDA_PYTHON ?= 3.13
ROLE ?= admin
NAME ?= $(ROLE)
QUICK ?=
RESULTS ?= .build/bench/results
# Through the environment, any text reaches a program as it is.
export ENGINE SIZE PROMPT STACK ROLE NAME

UV_VERSION := 0.13.9
UV := .venv-uv/bin/uv
PY := .venv/bin/python
SAM_ENV := .venv-template
SECURITY_ENV := .venv-security
export SAM_CLI_TELEMETRY := 0

help: ## This list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(UV):
	@echo "Setting up: uv $(UV_VERSION) …" >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.13 …")'
	@$(PYTHON) -m venv .venv-uv
	@.venv-uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# What the sandbox needs, and nothing else: a first picture should not wait for linters.
.venv/.sandbox: $(UV) uv.lock pyproject.toml
	@echo "Setting up: the gateway and its sandbox …" >&2
	@$(UV) sync --quiet --locked --inexact --no-default-groups --group sandbox --python $(PYTHON)
	@touch $@

.venv/.dev: $(UV) uv.lock pyproject.toml
	@echo "Setting up: the development environment …" >&2
	@$(UV) sync --quiet --locked --inexact --python $(PYTHON)
	@touch .venv/.sandbox $@

# SAM CLI and cfn-lint pin other versions of things, so they have an environment of their own.
$(SAM_ENV)/.ready: $(UV) uv.lock pyproject.toml
	@echo "Setting up: SAM CLI and cfn-lint …" >&2
	@UV_PROJECT_ENVIRONMENT=$(SAM_ENV) $(UV) sync --quiet --locked --only-group template --python $(PYTHON)
	@touch $@

# Checkov pins so much that it has a lock of its own.
$(SECURITY_ENV)/.ready: $(UV) .ci/security/uv.lock .ci/security/pyproject.toml
	@echo "Setting up: checkov and pip-audit …" >&2
	@UV_PROJECT_ENVIRONMENT=$(CURDIR)/$(SECURITY_ENV) $(UV) sync --quiet --locked --project .ci/security --python $(PYTHON)
	@touch $@

# LiteLLM pins another `openai` than the tests use. Where it cannot be installed, its tests say so and are left out.
LITELLM_ENV := .venv-litellm
$(LITELLM_ENV)/.ready: $(UV) tests/conformance/environment/uv.lock tests/conformance/environment/pyproject.toml
	@echo "Setting up: LiteLLM …" >&2
	@UV_PROJECT_ENVIRONMENT=$(CURDIR)/$(LITELLM_ENV) $(UV) sync --quiet --locked --project tests/conformance/environment \
		--python $(PYTHON) && touch $@ || { rm -rf $(LITELLM_ENV); echo "LiteLLM cannot be installed" >&2; }

# What `make bench` draws and serves with; what it measures brings its own.
BENCH_ENV := .venv-bench
$(BENCH_ENV)/.ready: $(UV) uv.lock pyproject.toml
	@echo "Setting up: the benchmarks …" >&2
	@UV_PROJECT_ENVIRONMENT=$(BENCH_ENV) $(UV) sync --quiet --locked --only-group bench --python $(PYTHON)
	@touch $@

LAYERS := layers/shared/requirements.txt layers/imaging/requirements.txt

layers/shared/requirements.txt: $(UV) uv.lock
	@$(UV) export --quiet --locked --no-dev --no-emit-project --no-header -o $@

layers/imaging/requirements.txt: $(UV) uv.lock
	@mkdir -p $(@D)
	@$(UV) export --quiet --locked --only-group imaging --no-emit-project --no-header -o $@

demo: .venv/.sandbox ## One picture by the whole path, in demo.png (PROMPT= ENGINE= SIZE= EDIT=photo.jpg)
	@$(PY) -m sandbox demo --engine "$$ENGINE" --size "$$SIZE" --prompt "$$PROMPT" $(if $(EDIT),--edit "$$EDIT")

run: .venv/.sandbox ## The whole gateway on this machine (PORT= ADMIN_TOKEN= USER_TOKEN=)
	@exec $(PY) -m sandbox run --port $(PORT)

test: .venv/.dev $(SAM_ENV)/.ready $(LITELLM_ENV)/.ready $(LAYERS) ## All tests, with coverage
	@$(PY) -m coverage erase
	@$(PY) -m pytest -n 2 --dist loadgroup --cov --cov-report=

	@$(PY) -m coverage report

conformance: .venv/.dev $(LITELLM_ENV)/.ready ## Real clients against the running sandbox; a part of the tests
	@$(PY) -m pytest tests/conformance

fuzz: .venv/.dev ## Thousands of new requests and inputs for the routes and the parsers (FUZZ_ARGS=)
	@$(PY) -m pytest -n 2 --timeout 0 --hypothesis-profile thorough tests/integration/test_fuzz.py tests/unit/properties $(FUZZ_ARGS)

check: .venv/.dev $(SAM_ENV)/.ready $(LAYERS) ## Format, lint, types, template, generated files
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	$(PY) -m sandbox.openapi --check
	$(PY) -m sandbox.envelope_schema --check
	$(SAM_ENV)/bin/cfn-lint template.yaml
	$(SAM_ENV)/bin/sam validate --lint --region eu-central-1
	@$(MAKE) --no-print-directory scan audit

# Nothing is asked of or told to anybody: no rules are downloaded, no results sent.
scan: $(SECURITY_ENV)/.ready ## Security rules for the template (checkov); what does not apply says why in place
	$(SECURITY_ENV)/bin/checkov --file template.yaml --framework cloudformation --skip-download --quiet --compact

# What the layers ship comes first: a registry that knows none of it is asked no further.
audit: $(SECURITY_ENV)/.ready ## Known vulnerabilities of what is locked (pip-audit)
	@mkdir -p .build/audit
	@$(UV) export --quiet --locked --no-dev --no-emit-project --no-header -o .build/audit/layer.txt
	@$(UV) export --quiet --locked --no-emit-project --no-header -o .build/audit/development.txt
	@$(UV) export --quiet --locked --only-group template --no-emit-project --no-header -o .build/audit/template.txt
	@$(SECURITY_ENV)/bin/python .ci/security/audit.py $(SECURITY_ENV)/bin/pip-audit \
		.build/audit/layer.txt .build/audit/development.txt .build/audit/template.txt

format: .venv/.dev ## Format the code
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

openapi: .venv/.dev ## Write the OpenAPI document and the envelope schema anew
	$(PY) -m sandbox.openapi
	$(PY) -m sandbox.envelope_schema

# On the PATH, or kept by pyenv without being chosen.
FIND_PYTHON = $(UV) python find --system $(LAMBDA_PYTHON) 2>/dev/null || \
	ls "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$(LAMBDA_PYTHON).*/bin/python3 2>/dev/null | tail -n 1 | grep .

lambda-python: $(UV)
	@$(FIND_PYTHON)

# Bytecode goes along, because Lambda cannot keep what it compiles: without it every cold start compiles every module.
# It is not checked against the sources, whose times do not survive the way to Lambda. Pydantic's version 1 goes: FastAPI
# does without it, but imports it where it is. Not uv's own environment, which has no pip, but the interpreter it was
# made from.
build: $(SAM_ENV)/.ready $(LAYERS) ## What SAM deploys (ARCHITECTURE=arm64|x86_64)
	@python=$$($(FIND_PYTHON)) || { \
		echo "sam build needs Python $(LAMBDA_PYTHON), which is what Lambda runs: install it so that python$(LAMBDA_PYTHON) is found"; \
		exit 1; }; \
	PATH="$$(dirname $$python):$$PATH" $(SAM_ENV)/bin/sam build --template "$(TEMPLATE)" --build-dir "$(BUILD_DIR)" \
		--parameter-overrides Architecture=$(ARCHITECTURE) && \
	rm -rf "$(BUILD_DIR)/SharedLayer/python/pydantic/v1" && \
	"$$python" -m compileall -q -j 2 --invalidation-mode unchecked-hash "$(BUILD_DIR)"

# From what is built for this machine, under Lambda's Python, beside a folder that stands for what its runtime brings.
bench: MACHINE := $(subst aarch64,arm64,$(shell uname -m))
bench: $(BENCH_ENV)/.ready ## Speed, memory and cost, side by side with the usual handler (QUICK=1 RESULTS=)
	@mkdir -p .build/bench && \
		$(MAKE) -s build ARCHITECTURE=$(MACHINE) BUILD_DIR=.build/bench/build > .build/bench/build.log 2>&1 || \
		{ cat .build/bench/build.log; exit 1; }
	@$(UV) export --quiet --locked --only-group runtime --no-emit-project --no-header -o .build/bench/runtime.txt
	@$(UV) pip install --quiet --require-hashes --target .build/bench/runtime --python "$$($(FIND_PYTHON))" \
		-r .build/bench/runtime.txt
	@$(UV) pip install --quiet --require-hashes --target .build/bench/packages --python "$$($(FIND_PYTHON))" \
		-r layers/shared/requirements.txt
	@$(BENCH_ENV)/bin/python -m tests.benchmarks --python "$$($(FIND_PYTHON))" --built .build/bench --results "$(RESULTS)" \
		$(if $(QUICK),--quick)

token: .venv/.sandbox ## A token of a deployment (STACK= ROLE=admin|user NAME=)
	@$(PY) -m image_gateway.access.issue_token --stack "$$STACK" --role "$$ROLE" --name "$$NAME"

clean: ## Remove everything that was set up or built
	rm -rf .venv .venv-uv $(SAM_ENV) $(SECURITY_ENV) $(BENCH_ENV) $(LITELLM_ENV) .aws-sam .build .coverage* .mypy_cache .ruff_cache demo.png $(LAYERS)
