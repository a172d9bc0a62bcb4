# The commands of developers and of CI. Every target sets up what it needs, from Python 3.11 or later with venv.

.DEFAULT_GOAL := help
.PHONY: chromium lambda-python help demo run test conformance fuzz chaos scale check lint scan audit format vendor
.PHONY: screenshots build bench deploy-local deploy diff smoke token openapi clean

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
CONFLICTS ?=
RESULTS ?= .build/bench/results
SEED ?=
KILLS ?= 200
OUTAGE ?= 14
# Passed in the environment, so that values with quotes or spaces reach the program unchanged, and no list of processes
# shows a token.
export ENGINE SIZE PROMPT STACK ROLE NAME CONFLICTS URL ADMIN_TOKEN

UV_VERSION := 0.13.9
UV := .venv-uv/bin/uv
PY := .venv/bin/python
SAM_ENV := .venv-template
SECURITY_ENV := .venv-security
export SAM_CLI_TELEMETRY := 0
# Where this is set, as in many container images, every process compiles every module that it imports: that is half of
# the time of a start, and the tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

# The programs that the recipes use. If one is missing, make stops here with one line that names its package.
TOOLS := awk cat dirname grep ln ls mkdir rm tail touch
PACKAGE_awk := mawk
PACKAGE_grep := grep
MISSING := $(shell for tool in $(TOOLS); do command -v $$tool >/dev/null || echo $$tool; done)
PACKAGES := $(sort $(foreach tool,$(MISSING),$(or $(PACKAGE_$(tool)),coreutils)))
$(if $(MISSING),$(error Missing programs: $(MISSING): apt install $(PACKAGES) (Debian, Ubuntu)))

# Why $(PYTHON) cannot make a virtual environment, in one line; empty if it can. Debian and Ubuntu have `ensurepip` in a
# package of its own. The code that tests the version also runs on Python 2.
PYTHON_VERSION = $(PYTHON) -c "import sys; sys.stdout.write('%d.%d' % sys.version_info[:2])"
PYTHON_PROBLEM = $(shell \
	if ! command -v $(PYTHON) >/dev/null; then \
		echo "$(PYTHON) is missing: apt install $(notdir $(PYTHON))-venv (Debian, Ubuntu)," \
			"or name another Python: make PYTHON=python3.13"; \
	elif ! $(PYTHON) -c "" 2>/dev/null; then \
		echo "$(PYTHON) does not run: name another Python: make PYTHON=python3.13"; \
	elif $(PYTHON) -c "import sys; sys.exit(sys.version_info >= (3, 11))"; then \
		echo "Python 3.11 or later is needed, and $(PYTHON) is version $$($(PYTHON_VERSION)):" \
			"apt install python3.11-venv (Debian, Ubuntu), then make PYTHON=python3.11"; \
	elif ! $(PYTHON) -c "import ensurepip, venv" 2>/dev/null; then \
		echo "Python's venv module is missing: apt install python$$($(PYTHON_VERSION))-venv (Debian, Ubuntu)"; \
	fi)
stop_if = $(if $(1),$(error $(1)))

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	$(call stop_if,$(PYTHON_PROBLEM))
	@echo "Setting up: uv $(UV_VERSION) …" >&2
	@$(PYTHON) -m venv .venv-uv
	@.venv-uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# Only what the sandbox needs, so that `make demo` does not wait for linters.
.venv/.sandbox: $(UV) uv.lock pyproject.toml
	$(call stop_if,$(PYTHON_PROBLEM))
	@echo "Setting up: the gateway and its sandbox …" >&2
	@$(UV) sync --quiet --locked --inexact --no-default-groups --group sandbox --python $(PYTHON)
	@touch $@

.venv/.dev: $(UV) uv.lock pyproject.toml
	$(call stop_if,$(PYTHON_PROBLEM))
	@echo "Setting up: the development environment …" >&2
	@$(UV) sync --quiet --locked --inexact --python $(PYTHON)
	@touch .venv/.sandbox $@

# SAM CLI and cfn-lint need other versions of some packages, so they have an environment of their own.
$(SAM_ENV)/.ready: $(UV) uv.lock pyproject.toml
	@echo "Setting up: SAM CLI and cfn-lint …" >&2
	@UV_PROJECT_ENVIRONMENT=$(SAM_ENV) $(UV) sync --quiet --locked --only-group template --python $(PYTHON)
	@touch $@

# Checkov pins so many versions that it has a lock file of its own.
$(SECURITY_ENV)/.ready: $(UV) .ci/security/uv.lock .ci/security/pyproject.toml
	@echo "Setting up: checkov and pip-audit …" >&2
	@UV_PROJECT_ENVIRONMENT=$(CURDIR)/$(SECURITY_ENV) $(UV) sync --quiet --locked --project .ci/security --python $(PYTHON)
	@touch $@

# LiteLLM needs another version of `openai` than the tests. Without it, its tests are skipped and say so.
LITELLM_ENV := .venv-litellm
$(LITELLM_ENV)/.ready: $(UV) tests/conformance/environment/uv.lock tests/conformance/environment/pyproject.toml
	@echo "Setting up: LiteLLM …" >&2
	@UV_PROJECT_ENVIRONMENT=$(CURDIR)/$(LITELLM_ENV) $(UV) sync --quiet --locked --project tests/conformance/environment \
		--python $(PYTHON) && touch $@ || { rm -rf $(LITELLM_ENV); echo "LiteLLM cannot be installed" >&2; }

# For the charts and the servers of `make bench`; the measured functions use what was built.
BENCH_ENV := .venv-bench
$(BENCH_ENV)/.ready: $(UV) uv.lock pyproject.toml
	@echo "Setting up: the benchmarks …" >&2
	@UV_PROJECT_ENVIRONMENT=$(BENCH_ENV) $(UV) sync --quiet --locked --only-group bench --python $(PYTHON)
	@touch $@

# What checks the console's scripts. Without Node.js, these checks are skipped and say so.
CONSOLE_ENV := .ci/console/node_modules
$(CONSOLE_ENV)/.ready: .ci/console/package.json .ci/console/package-lock.json | .venv/.dev
	@echo "Setting up: TypeScript and Biome, for the console …" >&2
	@$(PY) .ci/console/tools.py install

# MiniStack runs functions in the Python that it runs in, so this environment needs theirs.
MINISTACK_ENV := .venv-ministack
$(MINISTACK_ENV)/.ready: $(UV) tests/deployment/environment/uv.lock tests/deployment/environment/pyproject.toml
	@python=$$($(FIND_PYTHON)) || { echo "Python $(LAMBDA_PYTHON) is missing, so MiniStack is not set up" >&2; exit 0; }; \
	echo "Setting up: MiniStack …" >&2; \
	UV_PROJECT_ENVIRONMENT=$(CURDIR)/$(MINISTACK_ENV) $(UV) sync --quiet --locked --project tests/deployment/environment \
		--python "$$python" && touch $@

LAYERS := layers/shared/requirements.txt layers/imaging/requirements.txt

layers/shared/requirements.txt: $(UV) uv.lock
	@$(UV) export --quiet --locked --no-dev --no-emit-project --no-header -o $@

layers/imaging/requirements.txt: $(UV) uv.lock
	@mkdir -p $(@D)
	@$(UV) export --quiet --locked --only-group imaging --no-emit-project --no-header -o $@

# A browser for the tests of the console, which only CI installs.
chromium:
	@[ -z "$$CI" ] || .ci/chromium

demo: .venv/.sandbox ## Generate one image by the whole path, into demo.png (PROMPT= ENGINE= SIZE= EDIT=photo.jpg)
	@$(PY) -m sandbox demo --engine "$$ENGINE" --size "$$SIZE" --prompt "$$PROMPT" $(if $(EDIT),--edit "$$EDIT")

# The template's parameters: variables given on the command line whose names have a lower-case letter. Make passes their
# values on in the environment, from which the shell takes them unchanged.
LETTERS := a b c d e f g h i j k l m n o p q r s t u v w x y z
has_lower_case = $(strip $(foreach letter,$(LETTERS),$(findstring $(letter),$(1))))
given = $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name)))
PARAMETERS = $(foreach name,$(given),$(if $(call has_lower_case,$(name)),"$(name)=$$$(name)"))

run: .venv/.sandbox ## Run the whole gateway on this computer (PORT= ADMIN_TOKEN= USER_TOKEN= CONFLICTS= and template parameters)
	@exec $(PY) -m sandbox run --port $(PORT) $(PARAMETERS)

# Four processes on two cores: some tests wait for other processes. Some run make, for which this one's options are not.
test: .venv/.dev $(SAM_ENV)/.ready $(LITELLM_ENV)/.ready $(CONSOLE_ENV)/.ready $(MINISTACK_ENV)/.ready $(LAYERS) chromium ## Run all tests, with coverage
	@unset MAKEFLAGS MFLAGS MAKELEVEL; MEASURE_COVERAGE=yes $(PY) -m pytest -n 4 --dist loadgroup --no-loadscope-reorder

conformance: .venv/.dev $(LITELLM_ENV)/.ready ## Test with real clients against the sandbox; a part of `make test`
	@$(PY) -m pytest tests/conformance

fuzz: .venv/.dev ## Test routes and parsers with thousands of random inputs (FUZZ_ARGS=)
	@$(PY) -m pytest -n 2 --timeout 0 --hypothesis-profile thorough \
		tests/integration/all_routes/test_fuzz.py tests/unit/properties \
		tests/unit/images/decoding/full_size_bombs.py $(FUZZ_ARGS)

chaos: .venv/.dev ## Kill processes and let AWS fail, and account for every paid image (SEED= KILLS= OUTAGE=)
	@$(PY) -m tests.chaos --log .build/chaos/log $(if $(SEED),--seed $(SEED)) --kills $(KILLS) --outage $(OUTAGE)

scale: .venv/.dev ## Start 300 processes at once while Parameter Store throttles (SCALE_ARGS=)
	@$(PY) -m tests.scale $(SCALE_ARGS)

check: lint $(SAM_ENV)/.ready $(CONSOLE_ENV)/.ready $(LAYERS) ## Check format, lint, types, template, generated files and dependencies
	$(PY) .ci/console/vendor.py --check
	$(PY) .ci/console/tools.py check
	$(SAM_ENV)/bin/cfn-lint --regions us-east-1 eu-central-1 -- template.yaml
	@$(MAKE) --no-print-directory scan audit

# The part of `check` that can start while its other environments are set up.
lint: .venv/.dev ## Check the format, the types and the imports of Python, and the files generated from it
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	$(PY) -m sandbox.openapi --check
	$(PY) -m sandbox.envelope_schema --check

# Checkov downloads no rules and sends no results. Each suppressed rule has its reason in the template.
scan: $(SECURITY_ENV)/.ready ## Check the template against security rules (checkov)
	$(SECURITY_ENV)/bin/checkov --file template.yaml --framework cloudformation --skip-download --quiet --compact

# The packages of the layers come first: if the registry has no data about any of them, no further request is sent.
audit: $(SECURITY_ENV)/.ready ## Check the locked packages for known vulnerabilities (pip-audit)
	@mkdir -p .build/audit
	@$(UV) export --quiet --locked --no-dev --no-emit-project --no-header -o .build/audit/layer.txt
	@$(UV) export --quiet --locked --no-emit-project --no-header -o .build/audit/development.txt
	@$(UV) export --quiet --locked --only-group template --no-emit-project --no-header -o .build/audit/template.txt
	@$(SECURITY_ENV)/bin/python .ci/security/audit.py $(SECURITY_ENV)/bin/pip-audit \
		.build/audit/layer.txt .build/audit/development.txt .build/audit/template.txt

format: .venv/.dev $(CONSOLE_ENV)/.ready ## Format the code
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
	$(PY) .ci/console/tools.py format

vendor: .venv/.dev $(CONSOLE_ENV)/.ready ## Copy the console's libraries from npm, at the versions of .ci/console
	$(PY) .ci/console/vendor.py

screenshots: .venv/.dev ## Make the manual's screenshots of the console again
	@$(PY) -m tests.browser.screenshots

openapi: .venv/.dev ## Write the OpenAPI document and the envelope schema
	$(PY) -m sandbox.openapi
	$(PY) -m sandbox.envelope_schema

# On the PATH, or installed by pyenv although not selected.
FIND_PYTHON = $(UV) python find --system $(LAMBDA_PYTHON) 2>/dev/null || \
	ls "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$(LAMBDA_PYTHON).*/bin/python3 2>/dev/null | tail -n 1 | grep .

lambda-python: $(UV)
	@$(FIND_PYTHON)

# The build includes bytecode, because Lambda cannot write any: without it, every cold start compiles every module. The
# bytecode is not checked against the sources, whose timestamps change on the way to Lambda. Pydantic's version 1 is
# removed, because FastAPI does not need it but imports it if it is there. SAM needs an interpreter with pip, so the
# PATH starts with the folder of the Python that was found, not with an environment of uv. Where pip's index is a folder,
# SAM takes each wheel that pip says it processes for a source, and starts pip again for it: a quiet pip says nothing.
build: $(SAM_ENV)/.ready $(LAYERS) ## Build what SAM deploys (ARCHITECTURE=arm64|x86_64)
	@python=$$($(FIND_PYTHON)) || { \
		echo "make build needs Python $(LAMBDA_PYTHON), the version of the Lambda runtime: install python$(LAMBDA_PYTHON)"; \
		exit 1; }; \
	PIP_QUIET=1 PATH="$$(dirname $$python):$$PATH" $(SAM_ENV)/bin/sam build --template "$(TEMPLATE)" \
		--build-dir "$(BUILD_DIR)" --parameter-overrides Architecture=$(ARCHITECTURE) && \
	rm -rf "$(BUILD_DIR)/SharedLayer/python/pydantic/v1" && \
	"$$python" -m compileall -q -j 2 --invalidation-mode unchecked-hash "$(BUILD_DIR)"

# Measures a build for this computer under Lambda's version of Python, with the packages of Lambda's runtime.
bench: $(BENCH_ENV)/.ready $(SAM_ENV)/.ready $(LAYERS) ## Measure speed, memory and cost beside a usual handler (QUICK=1 RESULTS=)
	@mkdir -p .build/bench && rm -rf .build/bench/build && \
		$(BENCH_ENV)/bin/python -m tests.template.build_artifact > .build/bench/build.txt && \
		ln -s "$$(cat .build/bench/build.txt)" .build/bench/build
	@$(UV) export --quiet --locked --only-group runtime --no-emit-project --no-header -o .build/bench/runtime.txt
	@$(UV) pip install --quiet --require-hashes --target .build/bench/runtime --python "$$($(FIND_PYTHON))" \
		-r .build/bench/runtime.txt
	@$(UV) pip install --quiet --require-hashes --target .build/bench/packages --python "$$($(FIND_PYTHON))" \
		-r layers/shared/requirements.txt
	@$(BENCH_ENV)/bin/python -m tests.benchmarks --python "$$($(FIND_PYTHON))" --built .build/bench \
		--results "$(RESULTS)" $(if $(QUICK),--quick)

# The build is that of the tests. With TEMPLATE, another template of the same functions.
deploy-local: .venv/.dev $(SAM_ENV)/.ready $(MINISTACK_ENV)/.ready $(LAYERS) ## Deploy to an emulated AWS, use, update, delete
	@unset MAKEFLAGS MFLAGS MAKELEVEL; $(PY) -m tests.deployment --template "$(TEMPLATE)"

# Without --template-file, the SAM CLI deploys `.aws-sam/build` and has its samconfig.toml here. With it, the file would be
# beside the built template, in a folder that every build empties. That nothing changes is no error.
SAM_BUILD_DIR := .aws-sam/build
deploy: override BUILD_DIR := $(SAM_BUILD_DIR)

# Asks for everything the first time, and remembers it in samconfig.toml. Later it shows what it did.
deploy: build ## Deploy to your AWS account: asks the first time (ARCHITECTURE=)
	@exec $(SAM_ENV)/bin/sam deploy --no-fail-on-empty-changeset $(if $(wildcard samconfig.toml),,--guided)

# The list of changes stays in the account as a change set, which the next deployment removes.
diff: $(SAM_ENV)/.ready ## Show what `make deploy` would change, and change nothing (ARCHITECTURE=)
	@[ -e samconfig.toml ] || { echo "There is no samconfig.toml: make deploy writes it"; exit 1; }
	@$(MAKE) --no-print-directory build BUILD_DIR=$(SAM_BUILD_DIR)
	@exec $(SAM_ENV)/bin/sam deploy --no-execute-changeset --no-fail-on-empty-changeset

smoke: .venv/.dev ## Test a deployment without changing it or paying for images (URL= ADMIN_TOKEN=)
	@exec $(PY) -m tests.deployment.smoke

token: .venv/.sandbox ## Create a token of a deployment (STACK= ROLE=admin|user NAME=)
	@$(PY) -m image_gateway.access.issue_token --stack "$$STACK" --role "$$ROLE" --name "$$NAME"

clean: ## Remove everything that was set up or built
	rm -rf .venv .venv-uv $(SAM_ENV) $(SECURITY_ENV) $(BENCH_ENV) $(LITELLM_ENV) $(CONSOLE_ENV) $(MINISTACK_ENV) \
		$(LAYERS) .aws-sam .build .mypy_cache .ruff_cache demo.png
