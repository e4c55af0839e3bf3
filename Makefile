# `make help` says what there is. Everything is installed into .venv, once; later calls start at once and need
# no network.

PYTHON ?= python3
ARGS ?=
GRID ?= workflow/embedded.yaml
PY := .venv/bin/python
# CONSTRAINTS= (empty) installs the newest versions that pyproject.toml allows, not the tested ones.
CONSTRAINTS ?= constraints.txt
PIP := $(PY) -m pip install --quiet --disable-pip-version-check $(addprefix -c ,$(CONSTRAINTS))
GRADING := PYTHONPATH="$(CURDIR)/notebooks/labs" $(PY) -m grading
NBVAL := $(PY) -m pytest --nbval --ignore=notebooks/labs --ignore=notebooks/run_experiment.ipynb --ignore=tests/browser

# The long files come first (tests/conftest.py), not those with many tests. Two processes share two cores, and
# each takes one thread: more would only wait for each other.
WORKERS := -n 2 --dist loadfile --no-loadscope-reorder
PROCESSORS ?= default:1 default:2 avx2:1 avx2:2

# Kernels start in notebooks/: a relative folder would mean another one there.
ifdef GRMU_STORE
export GRMU_STORE := $(abspath $(GRMU_STORE))
endif

# A kernel draws figures inline only if nobody has chosen another backend.
unexport MPLBACKEND

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-slow test-processors test-browser test-labs kills mutants lint lab explorer site slides bench notebooks results \
        search sweep labs grade mark check-notebooks constraints clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile
	@echo "  PYTHON=python3.12 chooses the Python that .venv is made with; ARGS=\"...\" is passed on (try ARGS=--help)."

run: .venv/.installed ## the five methods on the embedded data: a table, a notebook, a page, a figure
	@$(PY) -m grmu demo $(ARGS)

test: .venv/.installed-test ## all tests, and every lesson run again and compared with what it shows, in two processes
	@$(MAKE) --no-print-directory workflow/.venv/.installed || echo "Without Snakemake, the tests of sweeps are skipped."
	OMP_NUM_THREADS=1 $(NBVAL) $(WORKERS) tests notebooks $(ARGS)

# Each beginning with an empty store; what OpenBLAS shall use stays as it is set.
test-processors: .venv/.installed-test ## make test as other processors would do it: PROCESSORS="default:1 avx2:2", four ways if not set
	@store=$$(mktemp -d) && trap 'rm -rf "$$store"' EXIT && trap 'exit 130' INT TERM && failed= && \
	for processor in $(PROCESSORS); do rm -rf "$$store"/*; \
	  export GRMU_STORE="$$store" MKL_CBWR=COMPATIBLE ATEN_CPU_CAPABILITY="$${processor%:*}" \
	    OMP_NUM_THREADS="$${processor#*:}" MKL_NUM_THREADS="$${processor#*:}"; \
	  echo "ATEN_CPU_CAPABILITY=$$ATEN_CPU_CAPABILITY MKL_CBWR=$$MKL_CBWR, threads: $$OMP_NUM_THREADS"; \
	  $(NBVAL) $(WORKERS) tests notebooks $(ARGS) || failed="$$failed $$processor"; \
	done; test -z "$$failed" || { echo "Failed as:$$failed" >&2; exit 1; }

test-slow: .venv/.installed-test workflow/.venv/.installed ## every lesson twice in a row, beginning with an empty store; the tests that take minutes
	$(PY) -m pytest tests --slow -m slow $(ARGS)
	@store=$$(mktemp -d) && trap 'rm -rf "$$store"' EXIT && trap 'exit 130' INT TERM && export GRMU_STORE="$$store" && \
	for round in 1 2; do echo "Round $$round of 2"; $(NBVAL) notebooks $(ARGS) || exit 1; done

test-browser: .venv/.installed-browser ## lessons, the explorer and the site (as make site left it) in a real browser (Debian's chromium); screenshots in runs/browser
	@command -v chromium >/dev/null || { [ "$$(id -u)" -eq 0 ] && command -v apt-get >/dev/null && \
	  echo "Installing chromium ..." && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || true
	$(PY) -m pytest tests/browser $(ARGS)

test-labs: .venv/.installed-test ## a class of thirty submissions to three labs, graded twice by the real grader: about twenty minutes
	$(PY) -m pytest tests/test_labs.py tests/test_lab_checks.py --all-labs -s $(ARGS)

kills: .venv/.installed-test workflow/.venv/.installed ## kill -9 around a sweep, thirty times: about twenty minutes
	$(PY) -m pytest tests/test_workflow.py --kills -m kills -s $(ARGS)

mutants: .venv/.installed-mutants ## how many small faults in the core would the unit tests notice? at most 90 minutes, resumes
	@export OMP_NUM_THREADS=1 && timeout --foreground -s INT -k 30 90m $(PY) -m mutmut run --max-children 2 $(ARGS); $(PY) tests/mutants.py

lint: .venv/.installed-test ## what is checked first: style, types, walls, notebooks as they are committed
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-cache
	$(PY) docs/notebooks.py --check

lab: .venv/.installed ## open the course in JupyterLab
	@$(PY) -m jupyterlab notebooks/00_start_here.ipynb --LabApp.news_url=None $(ARGS)

explorer: .venv/.installed ## the explorer without a kernel: explorer.js anew (with npm), and build/explorer.html, which works from a file
	@$(PY) docs/build_explorer.py --build $(ARGS)

site: .venv/.installed-site ## the course as a web site, in build/site, its links checked (npm fetches MathJax and reveal.js, once)
	@$(PY) docs/build_site.py && $(PY) -m pytest -q tests/test_site.py && echo "build/site/index.html opens in a browser"

slides: .venv/.installed ## every lesson as slides with speaker's notes (key S), in build/slides; they work from a folder
	@$(PY) docs/build_slides.py && echo "build/slides/00_start_here.html opens in a browser"

labs: .venv/.installed-labs ## the labs for students, without solutions, in build/labs: a zip each and one wheel [LAB=lab3]
	@$(GRADING) release $(if $(LAB),--lab $(LAB)) $(ARGS) && $(PY) tests/labs/mistakes.py > build/mistakes.md

grade: .venv/.installed-labs ## grade a folder of labs in a sandbox: SUBMISSIONS=folder [LAB=lab3]; gradebook and feedback in build/grades
	@test -n "$(SUBMISSIONS)" || { echo "Name the folder: make grade SUBMISSIONS=folder" >&2; exit 2; }
	@UNSAFE=$(UNSAFE) $(GRADING) grade "$(SUBMISSIONS)" $(if $(LAB),--lab $(LAB)) $(ARGS)

mark: .venv/.installed-labs ## mark written answers in nbgrader's formgrader; then run make grade again
	@$(GRADING) mark

bench: .venv/.installed ## measure what the project promises: accuracies with their spread, and times
	@$(PY) docs/benchmarks.py $(ARGS)

notebooks: .venv/.installed ## draw the lessons' diagrams, execute the lessons, and save them as they are committed
	@$(PY) docs/diagrams.py
	@$(PY) docs/notebooks.py $(ARGS)

check-notebooks: .venv/.installed ## are the lessons saved as they should be committed?
	@$(PY) docs/notebooks.py --check $(ARGS)

results: .venv/.installed ## compute the results that ship with the course again, on all cores; resumes where it was stopped
	@$(PY) -m grmu results $(ARGS)

search: .venv/.installed ## choose hyperparameters again, on validation data
	@$(PY) -m grmu search $(ARGS)

sweep: .venv/.installed workflow/.venv/.installed ## a grid of runs, on all cores or on Slurm; resumes (GRID=workflow/embedded.yaml; docs/sweeps.md)
	@workflow/sweep --configfile $(GRID) $(ARGS)

# From 4.25 on, jsonschema reads a grammar for 1.5 s in every process that opens a notebook.
constraints: .venv/.ready ## the newest versions that fit, into constraints.txt (with Python 3.11; then run the tests)
	@report=$$(mktemp) && trap 'rm -f "$$report"' EXIT && \
	$(PY) -m pip install --quiet --disable-pip-version-check --dry-run --ignore-installed --report "$$report" \
	  -e ".[test,browser,site,mutants]" "jsonschema<4.25" && $(PY) .ci/constraints.py < "$$report" > constraints.txt

clean: ## remove .venv, finished runs and caches
	rm -rf .venv workflow/.venv runs mutants .snakemake build dist .pytest_cache .ruff_cache .mypy_cache .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name .ipynb_checkpoints -type d -prune -exec rm -rf {} +

# --- installing
# ---------------------------------------------------------------------------------------------------------

# The stamps are copies of pyproject.toml and the constraints: newer files with the same content install
# nothing, and need no network.
STAMP := cat pyproject.toml $(CONSTRAINTS)

.venv/.installed: pyproject.toml $(CONSTRAINTS) .venv/.ready
	@$(STAMP) | cmp -s - $@ || { \
	  echo "Installing grmu and what it needs into .venv (minutes the first time: torch is large) ..."; $(PIP) -e .; }
	@$(STAMP) > $@

.venv/.installed-%: pyproject.toml $(CONSTRAINTS) .venv/.ready
	@$(STAMP) | cmp -s - $@ || { \
	  echo "Installing grmu and what \"$*\" needs into .venv (minutes the first time: torch is large) ..."; \
	  $(PIP) -e ".[$*]"; }
	@$(STAMP) > $@ && cp $@ .venv/.installed

# .ready holds the folder that .venv serves: a .venv that was moved, or whose Python is gone, is made ready
# again.
ifneq ($(shell test -x $(PY) && cat .venv/.ready 2>/dev/null),$(CURDIR))
.PHONY: .venv/.ready
endif

GOOD_PYTHON := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

.venv/.ready:
	@if ! $(PY) -m pip --version >/dev/null 2>&1; then \
	  $(PYTHON) -c '$(GOOD_PYTHON)' 2>/dev/null || { \
	    echo "grmu needs Python 3.11, 3.12 or 3.13, but $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo 'not there')." \
	         "Name another: make PYTHON=python3.12 ..."; exit 1; } >&2; \
	  $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	    echo "$(PYTHON) cannot make virtual environments: the module venv or ensurepip is missing." \
	         "On Debian and Ubuntu, install the package python3-venv."; exit 1; } >&2; \
	  echo "Making .venv with $$($(PYTHON) --version) ..."; \
	  $(PYTHON) -m venv --clear .venv || exit 1; \
	fi
	@$(PY) -c '$(GOOD_PYTHON)' || { \
	  echo "The .venv here has $$($(PY) --version), grmu needs Python 3.11, 3.12 or 3.13: make clean, then try again." >&2; \
	  exit 1; }
	@rm -f .venv/.installed .venv/.installed-*
	@printf '%s\n' "$(CURDIR)" > $@

# Snakemake's environment, with the Python of the project's.
workflow/.venv/.installed: workflow/requirements.txt | .venv/.ready
	@echo "Making workflow/.venv for Snakemake ..."
	@$(PY) -m venv --clear workflow/.venv
	@workflow/.venv/bin/python -m pip install --quiet --disable-pip-version-check -r workflow/requirements.txt
	@touch $@
