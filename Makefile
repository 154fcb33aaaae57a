# `make run`: clips to a checked submission with figures. `make test`: lint and tests.
# Both make .venv themselves and use it again while requirements and constraints stay the same.
# `make CONSTRAINTS=` installs the newest versions instead of the tested ones.

PYTHON ?= python3
CONSTRAINTS ?= -c constraints.txt
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))
TRAINING := $(sort $(wildcard notebooks/0[1-7]_*.ipynb))

.PHONY: run notebooks test setup clean clean-runs
.DEFAULT_GOAL := run

setup: .venv/installed

.venv/installed: requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python must be >= 3.11. Received: " + sys.version)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip setuptools wheel
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt $(CONSTRAINTS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: setup
	@data="$$($(BIN)/python -m kaggle_speech prepare --or-sample)" && export KAGGLE_SPEECH_DATA="$$data" && \
	echo "data: $$data" && \
	out="$${KAGGLE_SPEECH_OUTPUT:-.}" && \
	convert() { \
		printf '%s\n' "$$@" | xargs -n 1 -P 2 $(BIN)/python -m jupyter nbconvert --execute --to html \
		--output-dir "$$out/runs/notebooks" \
		--HTMLExporter.preprocessors=nbconvert.preprocessors.CoalesceStreamsPreprocessor; } && \
	convert $(TRAINING) && convert $(filter-out $(TRAINING),$(NOTEBOOKS)) && \
	echo "submission: $$out/submissions/10_ensemble.csv (checked), its settings in 10_ensemble.json beside it" && \
	echo "figures:    $$out/runs/figures/*.png" && \
	echo "notebooks:  $$out/runs/notebooks/*.html"

# The notebooks with what they show for the clips of KAGGLE_SPEECH_DATA, for committing.
notebooks: setup
	$(BIN)/python notebooks/execute.py $(NOTEBOOKS)

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# What can be made again in minutes. The trainings in runs/ stay.
clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache data/sample

# What takes hours to make again.
clean-runs:
ifeq ($(CONFIRM),yes)
	rm -rf runs
else
	@echo "make clean-runs removes runs/, with every training, figure and notebook page in it:"
	@du -sh runs/* 2>/dev/null || echo "  (nothing)"
	@echo "To go ahead: make clean-runs CONFIRM=yes"
	@exit 1
endif
