# POSIX make only, so that it works with the make of any Linux or macOS.
# All paths are relative and all programs are started as `python -m ...`: the path of the checkout may contain spaces.
.POSIX:
.PHONY: help env report test lab lint bench fuzz reference lock ready

PYTHON ?= python3
ARGS =

VENV_PYTHON = .venv/bin/python
# Unset variables that would lead Python, pip or Jupyter away from .venv, or make every process recompile all modules,
# which takes many seconds for TensorFlow.
CLEAN = unset PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH VIRTUAL_ENV CONDA_PREFIX JUPYTER_PATH PIP_USER PIP_TARGET PIP_PREFIX
RUN = @$(CLEAN); exec $(VENV_PYTHON)

help: ## show this list
	@echo 'Usage: make TARGET [ARGS="..."]'
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo 'First time: make report        another Python: make env PYTHON=python3.12'

env: ready ## create .venv with the locked packages (needed once, and after changes of the lock file)
	@echo ".venv is ready: $$($(VENV_PYTHON) --version). To start afresh, remove .venv and run make env."

report: ready ## run the notebooks and write HTML pages, by default on the demo corpus (ARGS="--corpus ravdess")
	$(RUN) -m sernb report $(ARGS)

test: ready ## run the tests (ARGS="-m 'not slow'")
	$(RUN) -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder $(ARGS)

lab: ready ## open the notebooks in JupyterLab, on this machine only
	$(RUN) -m jupyterlab --ip=127.0.0.1 notebooks/00_start_here.ipynb $(ARGS)

lint: ready ## check style, format and spelling of package, notebooks and texts
	@$(CLEAN); set -e; \
	$(VENV_PYTHON) -m ruff check; \
	$(VENV_PYTHON) -m ruff format --check; \
	$(VENV_PYTHON) -m codespell_lib; \
	$(VENV_PYTHON) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-cache

bench: ready ## measure speed and memory
	$(RUN) -m benchmarks $(ARGS)

fuzz: ready ## read 10,000 corrupted recordings (ARGS="--files 500"), upload 200; kill commands 100 times
	$(RUN) -m benchmarks.mutations --through predict $(ARGS)
	$(RUN) -m benchmarks.uploads
	$(RUN) -m benchmarks.kills

reference: ready ## compute missing committed results (ARGS="--list" only lists them)
	$(RUN) -m tools.measure $(ARGS)

lock: ready ## update requirements.lock from pyproject.toml (ARGS=--upgrade: newest versions)
	@$(CLEAN); set -e; \
	new=requirements.lock.new; trap 'rm -f $$new $$new.pins' EXIT; \
	cp requirements.lock $$new.pins; \
	$(VENV_PYTHON) -m uv --quiet pip compile --universal --python-version 3.11 --no-emit-index-url --no-annotate \
	    --no-header --generate-hashes --extra workbook --extra dev $(ARGS) pyproject.toml --output-file $$new.pins; \
	{ echo '# Exact versions of every package and SHA-256 of its files, for Python 3.11 to 3.13 on Linux, macOS and Windows.'; \
	  echo '# Made by `make lock` from pyproject.toml: change that file, not this one.'; \
	  cat $$new.pins; } > $$new; \
	mv $$new requirements.lock

# .venv/.making marks an installation in progress, .venv/.ready a finished one; both contain the path of the checkout.
# An incomplete .venv, one that was moved or copied with its checkout, and one whose Python is missing are recreated.
ready:
	@$(CLEAN); set -e; here=$$(pwd -P); \
	stop() { printf 'make env: %s\n' "$$1" >&2; exit 1; }; \
	version() { "$$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || :; }; \
	fits() { case $$(version "$$1") in 3.11 | 3.12 | 3.13) return 0 ;; *) return 1 ;; esac; }; \
	works() { fits $(VENV_PYTHON) && $(VENV_PYTHON) -m pip --version >/dev/null 2>&1; }; \
	if [ -e .venv/.ready ] && [ "$$(cat .venv/.ready)" = "$$here" ] && fits $(VENV_PYTHON) \
	    && [ -z "$$(find requirements.lock pyproject.toml -newer .venv/.ready)" ]; then exit 0; fi; \
	if [ -e .venv/.making ] || ! works || { [ -e .venv/.ready ] && [ "$$(cat .venv/.ready)" != "$$here" ]; }; then \
	    case $$here in *:*) stop "Python cannot work in a folder with a colon in its path: move the checkout." ;; esac; \
	    [ "$$(uname -sm)" != 'Darwin x86_64' ] || stop "TensorFlow has no packages for Intel Macs: use another machine."; \
	    if ! fits "$(PYTHON)"; then \
	        other=; for name in "$$(uv python find --managed-python --no-python-downloads 3.12 2>/dev/null || :)" \
	            python3.13 python3.12 python3.11; do if fits "$$name"; then other=$$name; fi; done; \
	        if [ -n "$$other" ]; then next="Run: make env PYTHON='$$other'"; \
	        elif command -v uv >/dev/null; then \
	            next="Run: uv python install 3.12 && make env PYTHON=\"\$$(uv python find --managed-python 3.12)\""; \
	        else next="Install one of these, for example with uv (https://docs.astral.sh/uv): uv python install 3.12.\
	 Then run: make env PYTHON=python3.12"; fi; \
	        found=$$(version "$(PYTHON)"); \
	        case $$found in 3.1[4-9] | 3.[2-9]?) lacks=" TensorFlow has no release for Python $$found yet." ;; *) lacks= ;; esac; \
	        stop "sernb needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $${found:-not a Python that runs}.$$lacks $$next"; \
	    fi; \
	    "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || stop "$(PYTHON) lacks the modules venv and ensurepip.\
	 On Debian or Ubuntu run: apt install python$$(version "$(PYTHON)")-venv, then make env again."; \
	    base=$$("$(PYTHON)" -c 'import os, sys; p = sys._base_executable; \
	print(os.path.realpath(p) if os.sep + ".venv" + os.sep in p else p)'); \
	    echo "Making .venv with Python $$(version "$(PYTHON)"): about 3.3 GB, a minute or a few."; \
	    rm -rf .venv; mkdir .venv; printf '%s\n' "$$here" >.venv/.making; \
	    "$$base" -m venv .venv || stop "python -m venv failed, see above. Then run the same command again."; \
	else echo "Bringing .venv in line with requirements.lock."; fi; \
	printf '%s\n' "$$here" >.venv/.making; rm -f .venv/.ready; \
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock >.venv/uv.lock; \
	quiet=; [ -t 2 ] || quiet=--quiet; \
	with_uv() { $(VENV_PYTHON) -m pip install --quiet --require-hashes -r .venv/uv.lock \
	    && $(VENV_PYTHON) -m uv $$quiet pip install --compile-bytecode --python $(VENV_PYTHON) \
	        --require-hashes -r requirements.lock \
	    && $(VENV_PYTHON) -m uv $$quiet pip install --python $(VENV_PYTHON) --no-deps --no-build-isolation -e .; }; \
	with_pip() { echo "uv could not install the packages; trying pip."; \
	    $(VENV_PYTHON) -m pip install $$quiet --require-hashes -r requirements.lock \
	    && $(VENV_PYTHON) -m pip install $$quiet --no-deps --no-build-isolation -e .; }; \
	with_uv || with_pip || stop "the packages could not be installed, the reason stands above.\
	 Check the network and the free disk space (4 GB), then run the same command again."; \
	mv .venv/.making .venv/.ready
