# make book    the book, from the sources in book/, as HTML
# make test    every test, on all cores; some of them with ARGS="tests/formulas -x", on one core with ARGS="-n0",
#              in another order with ARGS="--shuffle 1"; it ends with the ten slowest files
# make check   the format and the lint of the sources (of JavaScript where there is npm); make format mends what can be mended
# make results measures the experiments behind the pages again; one or some with NAME="rprop_pace rprop_forms"
# make site    what is published: the HTML, the notebooks and the library's wheel
# make bench   our code side by side with its peers
# make clean   removes what these wrote, but for .venv
PYTHON ?= python3
BIN := .venv/bin
PRETTIER := tests/node_modules/.bin/prettier
SCRIPTS := "course_lib/**/*.js"

.PHONY: book test check format results site bench clean

book: .venv/.installed
	@echo "Building the book. Only pages that changed are executed."
	@$(BIN)/jupyter-book build . -W --keep-going -n -q >/dev/null
	@$(BIN)/python -c "import pathlib; print('The book:', pathlib.Path('_build/html/index.html').resolve().as_uri())"

test: .venv/.installed
	@$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

check: .venv/.installed
	@$(BIN)/ruff format --quiet --check . || { echo "Some files are not formatted: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@if command -v npm >/dev/null; then \
	  $(MAKE) --no-print-directory tests/node_modules/.installed && $(PRETTIER) --log-level warn --check $(SCRIPTS) || { echo "Some JavaScript is not formatted: make format"; exit 1; }; \
	elif [ "$$CI" = true ]; then echo "npm is missing, so JavaScript can't be checked: install nodejs and npm."; exit 1; \
	else echo "npm is missing, so JavaScript was not checked."; fi

format: .venv/.installed
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .
	@! command -v npm >/dev/null || { $(MAKE) --no-print-directory tests/node_modules/.installed && $(PRETTIER) --log-level warn --write $(SCRIPTS); }

results: .venv/.installed
	@$(BIN)/python -m course_lib.experiments.results $(NAME)

site: book
	@$(BIN)/python -m course_lib.publishing.site _build/site

bench: .venv/.installed
	@$(BIN)/python -m benchmarks

clean:
	rm -rf _build build *.egg-info .pytest_cache .hypothesis
	find book course_lib tests -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf

.venv/.installed: requirements.txt pyproject.toml
	@$(PYTHON) --version >/dev/null || { echo "The course needs Python 3.11 or newer. If it has another name here: make book PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'The course needs Python 3.11 or newer; this is ' + sys.version.split()[0] + '. If you have a newer one: make book PYTHON=python3.12')"
	@$(PYTHON) -c "import venv, ensurepip" 2>/dev/null || { echo "This Python cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing what requirements.txt lists into .venv. The first time this takes a few minutes."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

tests/node_modules/.installed: tests/package.json
	@npm --prefix tests install --no-package-lock --silent
	@touch $@
