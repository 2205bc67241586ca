# `make help` lists what there is. Needed: make, Python 3.11 to 3.13, and a network the first time.
# Written for GNU make 3.81 too (the one macOS has) and for any POSIX shell.

PYTHON ?= python3
# Only from the command line: a variable of such a name may be set for something else.
ARGS =
BACKENDS = jax torch

# -P, which Python knows from 3.11 on, and -I: without them, a file in this folder, such as somebody's
# own random.py, would be imported instead of Python's.
unexport PYTHONPATH PYTHONHOME PYTHONSAFEPATH
# With it, cd may go to another folder of the same name.
unexport CDPATH
export JUPYTER_PREFER_ENV_PATH = 1

.PHONY: help run lab test test-fast test-browser test-kit test-cluster test-backends campaign handout kit notebooks bench bench-full work reset lock clean FORCE
.NOTPARALLEL:
.DEFAULT_GOAL := help

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

run: .venv/ready  ## run all notebooks, and make pages of them (options: ARGS="…")
	@.venv/bin/python -P -m mnist_course run $(ARGS)

lab: .venv/ready  ## open your own copies of the notebooks, in work/, in JupyterLab
	@.venv/bin/python -P -m mnist_course.lab $(ARGS)

# Test files are shared out to one process more than there are cores, since many tests wait for a
# process of theirs; five at most, since a notebook's kernel takes 1.5 GB. A file stays whole: the
# cells of a notebook must run in their order. Notebooks take longest and come first.
JOBS = $(shell cores=`getconf _NPROCESSORS_ONLN`; [ "$$cores" -lt 4 ] && expr $$cores + 1 || echo 5)
PARALLEL = -n $(JOBS) --dist loadfile --no-loadscope-reorder

# pytest runs even when ruff complains, so that its closing lines are the last thing printed.
test: .venv/ready-dev  ## check the style, then run all tests and all notebooks (ARGS=FILE: that one)
	@style=0; \
	.venv/bin/ruff check --quiet --output-format concise . || style=1; \
	.venv/bin/ruff format --quiet --output-format concise --check . || style=1; \
	[ $$style = 0 ] || echo 'ruff complains (above): `.venv/bin/ruff check --fix` and `.venv/bin/ruff format` mend most of it.' >&2; \
	.venv/bin/python -m pytest $(PARALLEL) $(ARGS) && [ $$style = 0 ]

test-fast: .venv/ready-dev  ## run the unit tests alone: no notebooks, no kernels, no sweeps
	@.venv/bin/python -m pytest $(PARALLEL) \
	  -m 'not slow and not root and not browser and not kit and not backend' \
	  tests mnist_helpers mnist_course $(ARGS)

test-browser: .venv/ready-dev  ## test the pages and JupyterLab in a real Chromium
	@.venv/bin/python -m pytest $(PARALLEL) -m browser tests $(ARGS)

test-kit: .venv/ready-dev  ## build the kit, then install and use it with no network
	@.venv/bin/python -m pytest -m kit tests $(ARGS)

test-cluster: .venv/ready-dev  ## test sweeps over hosts and disks of their own (needs root, Linux)
	@.venv/bin/python -m pytest -m root tests $(ARGS)

test-backends: .venv/ready-dev  ## run tests and notebooks on JAX and PyTorch (BACKENDS=jax: on one)
	@for backend in $(BACKENDS); do \
	  $(MAKE) --no-print-directory --silent .venv-$$backend/ready && \
	  KERAS_BACKEND=$$backend .venv-$$backend/bin/python -m pytest -n $(JOBS) --dist load \
	    -m 'not root and not browser and not kit' $(or $(ARGS),tests) || exit 1; \
	done

campaign: .venv/ready-dev  ## break things on purpose for ten minutes (ARGS="--minutes 60 --seed 2")
	@cd tests && ../.venv/bin/python -m campaign $(ARGS)

handout: .venv/ready  ## write the notebooks for learners and for the instructor into dist/
	@.venv/bin/python -P -m mnist_course handout

kit: .venv/ready  ## build dist/kit, which installs all of this where no network is
	@.venv/bin/python -P -m mnist_course kit

notebooks: .venv/ready-dev  ## run all notebooks on real MNIST and store their outputs
	@.venv/bin/python -P -m mnist_course.store $(ARGS)

bench: .venv/ready  ## measure notebook 06's recipes beside the articles' (some twenty minutes)
	@.venv/bin/python benchmarks/cumulative_ablation.py
	@.venv/bin/python benchmarks/speed.py

bench-full: .venv/ready  ## train both networks and the large one over five seeds each (hours)
	@.venv/bin/python benchmarks/baselines.py
	@.venv/bin/python benchmarks/accuracy.py
	@.venv/bin/python benchmarks/ablations.py

# Copying needs no more than Python's standard library.
# Where the Python under .venv has gone, or is for another processor, that of .venv does not run.
define any-python
python=.venv/bin/python; \
"$$python" -c '' 2>/dev/null || python="$(PYTHON)"; \
"$$python" -c '' 2>/dev/null || { \
  echo "A Python is needed and \"$$python\" does not run: name one you have: make $@ PYTHON=python3.12" >&2; \
  exit 1; \
}
endef

work:  ## copy into work/ the notebooks that are not there yet
	@$(any-python); "$$python" -I -S mnist_course/work.py

reset:  ## start again with fresh notebooks in work/; the old folder is kept under a dated name
	@$(any-python); "$$python" -I -S mnist_course/work.py --reset

# pip refuses coverage[toml], which pytest-cov needs, when the lock pins plain coverage.
COMPILE = .venv/bin/uv pip compile pyproject.toml --extra course --group build --universal --no-strip-extras \
  --python-version 3.11 --fork-strategy fewest --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet $(ARGS)

lock: .venv/ready-dev  ## write both locks from pyproject.toml (newer versions: ARGS=--upgrade)
	@$(COMPILE) -o requirements.lock
	@$(COMPILE) --extra dev -c requirements.lock -o requirements-dev.lock

clean:  ## remove the environments and all caches; work/ and results/ stay
	@rm -rf .venv .venv.* .venv-* install.log .pytest_cache .ruff_cache dist
	@find . -name .git -prune -o -type d \
	  \( -name __pycache__ -o -name '*.egg-info' \) -prune -exec rm -rf {} +

# --- the virtual environment -------------------------------------------------------------------
# mnist_course/install.py makes it in a folder of its own; .venv is a link to the last one that was
# finished, so that whatever stops an installation, .venv works as before.
# .venv/made       the folder that it was made for, and the version of its Python
# .venv/ready      requirements.lock and the project are installed
# .venv/ready-dev  the same with requirements-dev.lock, which holds all of requirements.lock

# A virtual environment knows its own absolute path: it is made anew when the folder was moved or
# copied, or when the Python under it is gone or is another. What an installation left is removed.
ASK_VERSION = -c 'import sys; print("%d.%d" % sys.version_info[:2])'
SOUND := $(shell [ "$$(cat .venv/made 2>/dev/null)" = "$$(pwd -P; .venv/bin/python $(ASK_VERSION) 2>/dev/null)" ] && echo yes)
LEFT := $(word 2,$(wildcard .venv.????????))
ifneq ($(SOUND)$(LEFT),yes)
.venv/ready .venv/ready-dev: FORCE
endif
FORCE:

.venv/ready: requirements.lock pyproject.toml
	@$(find-python); "$$python" -P mnist_course/install.py requirements.lock
	@touch $@

.venv/ready-dev: requirements-dev.lock pyproject.toml
	@$(find-python); "$$python" -P mnist_course/install.py requirements-dev.lock
	@touch .venv/ready $@

# Another back end goes into an environment of its own: all that is locked, and the extra, which is not.
.venv-%/ready: .venv/ready-dev
	@.venv/bin/python -P mnist_course/install.py requirements-dev.lock --environment $(@D) --extra $*
	@touch $@

define find-python
stop() { echo "$$1" >&2; exit 1; }; \
python=.venv/bin/python; \
if [ "$(SOUND)" != yes ]; then \
  python="$(PYTHON)"; \
  name='name one you have: make $(firstword $(MAKECMDGOALS)) PYTHON=python3.12'; \
  version=$$("$$python" $(ASK_VERSION) 2>&1) || \
    stop "Python 3.11, 3.12 or 3.13 is needed and \"$$python\" does not run: install one of them, or $$name"; \
  case "$$version" in 3.11 | 3.12 | 3.13) ;; \
    *) stop "Python 3.11, 3.12 or 3.13 is needed and \"$$python\" is Python $$version: install one of them, or $$name" ;; \
  esac; \
  "$$python" -P -c 'import venv, ensurepip' 2>/dev/null || \
    stop "\"$$python\" lacks its module venv or ensurepip: install it (on Debian and Ubuntu: apt install python$$version-venv), or $$name"; \
fi
endef
