# `make help` lists the commands. The first command installs everything into .venv; later commands start at once
# and need no network.

PYTHON ?= python3
ARGS ?=
GRID ?= workflow/embedded.yaml
PY := .venv/bin/python
# CONSTRAINTS= (empty) installs the newest versions that pyproject.toml allows, not the tested ones.
CONSTRAINTS ?= constraints.txt
PIP := $(PY) -m pip install --quiet --disable-pip-version-check $(addprefix -c ,$(CONSTRAINTS))
GRADING := PYTHONPATH="$(CURDIR)/notebooks/labs" $(PY) -m grading
NBVAL := $(PY) -m pytest --nbval --ignore=notebooks/labs --ignore=notebooks/run_experiment.ipynb --ignore=tests/browser

# The slow files come first (tests/conftest.py), rather than those with many tests. The two processes use one
# thread each, because more threads would only wait for each other on two cores.
WORKERS := -n 2 --dist loadfile --no-loadscope-reorder
PROCESSORS ?= default:1 default:2 avx2:1 avx2:2

# Kernels start in notebooks/, where a relative path would mean another folder.
ifdef GRMU_STORE
export GRMU_STORE := $(abspath $(GRMU_STORE))
endif

# Kernels draw figures inline only if this variable is not set.
unexport MPLBACKEND

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-slow test-processors test-browser test-labs kills mutants lint lab explorer site slides bench notebooks results \
        search sweep labs grade mark check-notebooks constraints clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile
	@echo "  PYTHON=python3.12 chooses the Python for .venv; ARGS=\"...\" is passed to the command (try ARGS=--help)."

run: .venv/.installed ## compare five methods on the embedded data; write a table, a notebook, a web page and a figure
	@$(PY) -m grmu demo $(ARGS)

test: .venv/.installed-test ## run all tests, and run every lesson and compare its output with what is saved, in two processes
	@$(MAKE) --no-print-directory workflow/.venv/.installed || echo "Snakemake could not be installed, so the tests of sweeps are skipped."
	OMP_NUM_THREADS=1 $(NBVAL) $(WORKERS) tests notebooks $(ARGS)

# Each run starts with an empty store. OpenBLAS's settings are left unchanged.
test-processors: .venv/.installed-test ## run make test with the instructions of other processors (PROCESSORS="default:1 avx2:2"; default: four kinds)
	@store=$$(mktemp -d) && trap 'rm -rf "$$store"' EXIT && trap 'exit 130' INT TERM && failed= && \
	for processor in $(PROCESSORS); do rm -rf "$$store"/*; \
	  export GRMU_STORE="$$store" MKL_CBWR=COMPATIBLE ATEN_CPU_CAPABILITY="$${processor%:*}" \
	    OMP_NUM_THREADS="$${processor#*:}" MKL_NUM_THREADS="$${processor#*:}"; \
	  echo "ATEN_CPU_CAPABILITY=$$ATEN_CPU_CAPABILITY MKL_CBWR=$$MKL_CBWR, threads: $$OMP_NUM_THREADS"; \
	  $(NBVAL) $(WORKERS) tests notebooks $(ARGS) || failed="$$failed $$processor"; \
	done; test -z "$$failed" || { echo "Failed as:$$failed" >&2; exit 1; }

test-slow: .venv/.installed-test workflow/.venv/.installed ## run the slow tests, and every lesson twice with a store that is empty at first
	$(PY) -m pytest tests --ignore=tests/browser --slow -m slow $(ARGS)
	@store=$$(mktemp -d) && trap 'rm -rf "$$store"' EXIT && trap 'exit 130' INT TERM && export GRMU_STORE="$$store" && \
	for round in 1 2; do echo "Round $$round of 2"; $(NBVAL) notebooks $(ARGS) || exit 1; done

test-browser: .venv/.installed-browser ## test lessons, the explorer and the site (after make site) in Chromium; screenshots go to runs/browser
	@command -v chromium >/dev/null || { [ "$$(id -u)" -eq 0 ] && command -v apt-get >/dev/null && \
	  echo "Installing chromium ..." && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || true
	$(PY) -m pytest tests/browser $(ARGS)

test-labs: .venv/.installed-test ## grade thirty submissions to three labs twice with the real grader (about 20 minutes)
	$(PY) -m pytest tests/test_labs.py tests/test_lab_checks.py --all-labs -s $(ARGS)

kills: .venv/.installed-test workflow/.venv/.installed ## kill a sweep with kill -9 thirty times and resume it (about 20 minutes)
	$(PY) -m pytest tests/test_workflow.py --kills -m kills -s $(ARGS)

mutants: .venv/.installed-mutants ## count how many small faults in the core the unit tests detect (up to 90 minutes; resumes)
	@export OMP_NUM_THREADS=1 && timeout --foreground -s INT -k 30 90m $(PY) -m mutmut run --max-children 2 $(ARGS); $(PY) tests/mutants.py

lint: .venv/.installed-test ## check style, types, import boundaries and the saved form of the notebooks
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-cache
	$(PY) docs/notebooks.py --check

lab: .venv/.installed ## open the course in JupyterLab
	@mkdir -p .venv/share/jupyter/lab/settings
	@echo '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}' > .venv/share/jupyter/lab/settings/overrides.json
	@$(PY) -m jupyterlab --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $(ARGS)

explorer: .venv/.installed ## build explorer.js (with npm) and build/explorer.html, which works without a kernel or a server
	@$(PY) docs/build_explorer.py --build $(ARGS)

site: .venv/.installed-site ## build the web site in build/site and check its links (npm fetches MathJax and reveal.js once)
	@$(PY) docs/build_site.py && $(PY) -m pytest -q tests/test_site.py && echo "build/site/index.html opens in a browser"

slides: .venv/.installed ## build slides with speaker notes (key S) for every lesson in build/slides; they need no server
	@$(PY) docs/build_slides.py && echo "build/slides/00_start_here.html opens in a browser"

labs: .venv/.installed-labs ## build the labs without solutions in build/labs, as one zip per lab and a wheel [LAB=lab3]
	@$(GRADING) release $(if $(LAB),--lab $(LAB)) $(ARGS) && $(PY) tests/labs/mistakes.py > build/mistakes.md

grade: .venv/.installed-labs ## grade the labs in SUBMISSIONS=folder in a sandbox [LAB=lab3]; gradebook and feedback go to build/grades
	@test -n "$(SUBMISSIONS)" || { echo "SUBMISSIONS must be the folder of submitted labs: make grade SUBMISSIONS=folder" >&2; exit 2; }
	@UNSAFE=$(UNSAFE) $(GRADING) grade "$(SUBMISSIONS)" $(if $(LAB),--lab $(LAB)) $(ARGS)

mark: .venv/.installed-labs ## mark written answers in nbgrader's formgrader; run make grade again afterwards
	@$(GRADING) mark

bench: .venv/.installed ## measure the accuracies, with their spread, and the times that the project promises
	@$(PY) docs/benchmarks.py $(ARGS)

notebooks: .venv/.installed ## draw the lessons' diagrams, run the lessons, and save them in the form that is committed
	@$(PY) docs/diagrams.py
	@$(PY) docs/notebooks.py $(ARGS)

check-notebooks: .venv/.installed ## check that the lessons are saved in the form that is committed
	@$(PY) docs/notebooks.py --check $(ARGS)

results: .venv/.installed ## compute the shipped results again on all cores (resumes)
	@$(PY) -m grmu results $(ARGS)

search: .venv/.installed ## choose the hyperparameters again on validation data
	@$(PY) -m grmu search $(ARGS)

sweep: .venv/.installed workflow/.venv/.installed ## compute a grid of runs on all cores or on Slurm (GRID=workflow/embedded.yaml; resumes; see docs/paper.md)
	@workflow/sweep --configfile $(GRID) $(ARGS)

# Since version 4.25, jsonschema loads a grammar for 1.5 s in every process that opens a notebook.
constraints: .venv/.ready ## write the newest compatible versions to constraints.txt (with Python 3.11; run the tests afterwards)
	@report=$$(mktemp) && trap 'rm -f "$$report"' EXIT && \
	$(PY) -m pip install --quiet --disable-pip-version-check --dry-run --ignore-installed --report "$$report" \
	  -e ".[test,browser,site,mutants]" "jsonschema<4.25" && $(PY) .ci/constraints.py < "$$report" > constraints.txt

clean: ## remove .venv, finished runs and caches
	rm -rf .venv workflow/.venv runs mutants .snakemake build dist .pytest_cache .ruff_cache .mypy_cache .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name .ipynb_checkpoints -type d -prune -exec rm -rf {} +

# --- installing
# ---------------------------------------------------------------------------------------------------------

# The stamps are copies of pyproject.toml and the constraints, so that newer files with the same content install
# nothing and need no network.
STAMP := cat pyproject.toml $(CONSTRAINTS)

.venv/.installed: pyproject.toml $(CONSTRAINTS) .venv/.ready
	@$(STAMP) | cmp -s - $@ || { \
	  echo "Installing grmu and its dependencies into .venv (the first time takes minutes, because torch is large) ..."; $(PIP) -e .; }
	@$(STAMP) > $@

.venv/.installed-%: pyproject.toml $(CONSTRAINTS) .venv/.ready
	@$(STAMP) | cmp -s - $@ || { \
	  echo "Installing grmu and the dependencies of \"$*\" into .venv (the first time takes minutes, because torch is large) ..."; \
	  $(PIP) -e ".[$*]"; }
	@$(STAMP) > $@ && cp $@ .venv/.installed

# .ready contains the folder for which .venv was made. A .venv that was moved or whose Python is missing is made
# again.
ifneq ($(shell test -x $(PY) && cat .venv/.ready 2>/dev/null),$(CURDIR))
.PHONY: .venv/.ready
endif

GOOD_PYTHON := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

.venv/.ready:
	@if ! $(PY) -m pip --version >/dev/null 2>&1; then \
	  $(PYTHON) -c '$(GOOD_PYTHON)' 2>/dev/null || { \
	    echo "grmu needs Python 3.11, 3.12 or 3.13, but $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo missing)." \
	         "Choose another: make PYTHON=python3.12 ..."; exit 1; } >&2; \
	  $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	    echo "$(PYTHON) cannot make virtual environments because its module venv or ensurepip is missing." \
	         "On Debian and Ubuntu, install the package python3-venv."; exit 1; } >&2; \
	  echo "Making .venv with $$($(PYTHON) --version) ..."; \
	  $(PYTHON) -m venv --clear .venv || exit 1; \
	fi
	@$(PY) -c '$(GOOD_PYTHON)' || { \
	  echo "grmu needs Python 3.11, 3.12 or 3.13, but .venv has $$($(PY) --version): run make clean and try again." >&2; \
	  exit 1; }
	@rm -f .venv/.installed .venv/.installed-*
	@printf '%s\n' "$(CURDIR)" > $@

# Snakemake has an environment of its own, with the same Python.
workflow/.venv/.installed: workflow/requirements.txt | .venv/.ready
	@echo "Making workflow/.venv for Snakemake ..."
	@$(PY) -m venv --clear workflow/.venv
	@workflow/.venv/bin/python -m pip install --quiet --disable-pip-version-check -r workflow/requirements.txt
	@touch $@
