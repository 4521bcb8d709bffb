# make train    installs into .venv, then trains voicegan on the built-in corpus
# make test     installs what the tests need as well, then runs them on the three backends
# make test-jax (-tensorflow, -torch, -numpy)  one part of the tests
# make install  only installs
# PYTHON=/path/to/python3.12 chooses the Python that .venv is made with.

PYTHON = python3 python3.12 python3.11
BACKENDS = tensorflow jax torch
PIP_INSTALL = .venv/bin/python -m pip install --constraint constraints.txt --editable

.PHONY: train install test test-numpy $(BACKENDS:%=test-%)

train: install
	PATH="$(CURDIR)/.venv/bin:$$PATH" bin/train --model=voicegan

install: .venv/.installed

test: test-numpy $(BACKENDS:%=test-%)

test-numpy: .venv/.installed-test
	.venv/bin/python -m pytest -m "not backend"

$(BACKENDS:%=test-%): test-%: .venv/.installed-test
	KERAS_BACKEND=$* .venv/bin/python -m pytest -m backend

.venv/.installed: setup.py constraints.txt | .venv/bin/python
	$(PIP_INSTALL) .
	touch $@

.venv/.installed-test: setup.py constraints.txt | .venv/bin/python
	$(PIP_INSTALL) '.[test]'
	touch .venv/.installed $@

.venv/bin/python:
	@for python in $(PYTHON); do \
	  minor=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); \
	  case $$minor in 3.11|3.12) break;; *) minor=;; esac; \
	done; \
	if [ -z "$$minor" ]; then \
	  echo "kvoice needs Python 3.11 or 3.12, found in none of: $(PYTHON); name one with make PYTHON=..." >&2; exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "$$python cannot make an environment: install python$$minor-venv (apt install), then make again" >&2; exit 1; \
	fi; \
	$$python -m venv .venv
