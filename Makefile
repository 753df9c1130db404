# One command each; the first use of a command creates .venv and installs what it needs, later uses
# install nothing. All that is assumed of the machine is a Python 3.11 or newer with venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo guide test quick oracles bench lint format clean

demo: $(VENV)/.demo ## train the digits network; equations, gradients, pictures, accuracy
	$(BIN)/python examples/digits.py

guide: $(VENV)/.guide ## the guide as a site, in out/guide
	$(BIN)/python -m graphnn guide out/guide

test: $(VENV)/.test ## everything that needs no other framework
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

quick: $(VENV)/.test ## every test, but of those with many cases one each: what to run while working
	$(BIN)/python -m pytest -n auto --dist worksteal --sample 1 $(ARGS)

oracles: $(VENV)/.test $(VENV)/.oracles ## the tests that compare with torch, jax and keras
	$(BIN)/python -m pytest -n auto --dist worksteal -m oracle $(ARGS)

bench: $(VENV)/.demo $(VENV)/.oracles ## the ratio table against PyTorch and JAX
	$(BIN)/python -m benchmarks $(ARGS)

lint: $(VENV)/.dev ## what CI and the commit hooks check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) build dist out *.egg-info

# A stamp per extra of pyproject.toml says that it is installed.
$(VENV)/.%: pyproject.toml | $(BIN)/python
	@echo "Installing graphnn[$*] into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "graphnn needs Python 3.11 or newer; name one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
