# One word a task. Each task makes its own virtual environment and installs what it needs.
PYTHON ?= python3
VENV ?= .venv
RUN ?= runs/demo
BIN := $(VENV)/bin
# Where it is set, every process of a test would compile its libraries again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-slow browser check format bench bench-gpu examples site first-hour required-only clean

demo: $(VENV)/.installed-demo  ## train on CartPole through SmolLM2 and evaluate
	$(BIN)/dragoman train recipes/smollm2-cartpole.yaml --out $(RUN)
	$(BIN)/dragoman eval $(RUN)

test: $(VENV)/.installed-dev browser  ## every test but the slow ones
	$(BIN)/pytest -n 2 --durations=30

test-slow: $(VENV)/.installed-dev  ## the slow tests
	$(BIN)/pytest -m slow

browser:  ## Chromium, in which the tests open reports; Debian packages it with its driver
	@{ command -v chromium && command -v chromedriver; } >/dev/null || { apt-get update --quiet && apt-get install \
	--quiet --yes --no-install-recommends chromium chromium-driver fonts-dejavu-core; } \
	|| { echo 'install Chromium and chromedriver, then try again'; exit 1; }

check: $(VENV)/.installed-dev  ## style, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev  ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-dev  ## speed of the model runtime and of its store, as ratios
	$(BIN)/python benchmarks/model_runtime.py
	$(BIN)/python benchmarks/store.py

bench-gpu: $(VENV)/.installed-dev  ## the same on a GPU, for two models, in sixteen minutes
	$(BIN)/python benchmarks/model_runtime.py --device cuda
	$(BIN)/python benchmarks/model_runtime.py --device cuda --model qwen2-1.5b-shape

examples: $(VENV)/.installed-demo  ## train the example comparison and build its pages in docs/examples
	DRAGOMAN=$(BIN)/dragoman docs/examples/build.sh

site: $(VENV)/.installed-dev  ## the documentation, warnings are errors
	$(BIN)/sphinx-build --quiet --fail-on-warning --fresh-env -c docs/site . site

first-hour:  ## minutes from the wheel to a text, an agent and a verdict, in three ways
	$(PYTHON) tools/first_hour.py $(ARGS)

required-only:  ## train without anything optional, from an empty virtual environment
	$(PYTHON) -m venv $(VENV)-required
	$(VENV)-required/bin/pip install --quiet --constraint constraints.txt .
	$(VENV)-required/bin/dragoman train recipe:frozenlake --set observe.model=words --set steps=1024 --out $(VENV)-required/run
	$(VENV)-required/bin/dragoman eval $(VENV)-required/run
	$(VENV)-required/bin/dragoman replay $(VENV)-required/run

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/.installed-demo: pyproject.toml constraints.txt
	@echo 'setting up $(VENV), once: a minute or two'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[gguf]'
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt
	@echo 'setting up $(VENV), once: some minutes'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'  # Python compiles what is used
	touch $@
