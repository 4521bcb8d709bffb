# make train      installs into .venv, then trains voicegan on the built-in corpus
# make convert    installs into .venv, then converts a recording to the voice of another by the weights that ship;
#                 SOURCE=me.wav TARGET=you.wav OUTPUT=out.wav name them, built-in voices speak if not given
# make test       installs what the tests need as well, then runs them on the three backends
# make test-jax   one part of the tests (-tensorflow, -torch, -numpy)
# make test-bare  the commands on JAX and on PyTorch, in environments without TensorFlow
# make test-tfio  the reading of sound, in an environment with tensorflow-io (Python 3.11 or 3.12)
# make install    only installs
# PYTHON=/path/to/python3.12 chooses the Python that the environments are made with.

PYTHON = python3 python3.13 python3.12 python3.11
BACKENDS = tensorflow jax torch
INSTALL = -m pip install --constraint constraints.txt --editable
PYTEST = -m pytest --numprocesses=2

.PHONY: train convert install test test-numpy $(BACKENDS:%=test-%) test-bare test-bare-jax test-bare-torch test-tfio

train: install
	PATH="$(CURDIR)/.venv/bin:$$PATH" bin/train --model=voicegan

SOURCE = converted/source.wav
TARGET = converted/target.wav
OUTPUT = converted/output.wav

convert: install $(SOURCE) $(TARGET)
	PATH="$(CURDIR)/.venv/bin:$$PATH" bin/convert --source="$(SOURCE)" --target="$(TARGET)" --output="$(OUTPUT)"

converted/source.wav converted/target.wav: | .venv/.installed
	mkdir -p $(@D)
	.venv/bin/python -m kvoice.data.synthetic.demo $(if $(filter %source.wav,$@),ada,carl) $@

install: .venv/.installed

test: test-numpy $(BACKENDS:%=test-%)

test-numpy: .venv/.installed-test
	.venv/bin/python $(PYTEST) -m "not backend"

$(BACKENDS:%=test-%): test-%: .venv/.installed-test
	KERAS_BACKEND=$* .venv/bin/python $(PYTEST) -m backend

test-bare: test-bare-jax test-bare-torch

test-bare-jax test-bare-torch: test-bare-%: .venv-%/.installed-test
	! .venv-$*/bin/python -c 'import tensorflow' 2>/dev/null
	KERAS_BACKEND=$* .venv-$*/bin/python $(PYTEST) -m backend tests/test_cli.py

test-tfio: .venv-tfio/.installed-test
	.venv-tfio/bin/python -c 'from kvoice.data import features; assert features._kernels()'
	.venv-tfio/bin/python $(PYTEST) tests/data/test_features.py tests/data/test_pipeline.py

.venv/.installed: setup.py constraints.txt | .venv/.made
	.venv/bin/python $(INSTALL) '.[tensorflow]'
	touch $@

.venv/.installed-test: setup.py constraints.txt | .venv/.made
	.venv/bin/python $(INSTALL) '.[tensorflow,jax,torch,test]'
	touch .venv/.installed $@

.venv-jax/.installed-test .venv-torch/.installed-test: .venv-%/.installed-test: setup.py constraints.txt | .venv-%/.made
	.venv-$*/bin/python $(INSTALL) '.[$*,test]'
	touch $@

.venv-tfio/.installed-test: setup.py constraints-tfio.txt | .venv-tfio/.made
	.venv-tfio/bin/python $(subst constraints,constraints-tfio,$(INSTALL)) '.[tfio,test]'
	touch $@

ENVIRONMENTS = .venv/.made .venv-jax/.made .venv-torch/.made .venv-tfio/.made

$(ENVIRONMENTS): PYTHONS = 3.11 3.12 3.13
.venv-tfio/.made: PYTHONS = 3.11 3.12
ifeq ($(origin PYTHON),command line)
$(ENVIRONMENTS): FORCE  # one of another Python is told
FORCE:
endif

# An environment without pip is what a kill left behind, and is made anew.
$(ENVIRONMENTS):
	@minor_of() { "$$@" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }; \
	for python in $(PYTHON); do \
	  minor=$$(minor_of $$python); \
	  case " $(PYTHONS) " in *" $${minor:-none} "*) break;; *) minor=;; esac; \
	done; \
	if [ -z "$$minor" ]; then \
	  echo "this needs a Python of $(PYTHONS), found in none of: $(PYTHON); name one with make PYTHON=..." >&2; exit 1; \
	fi; \
	if $(@D)/bin/python -m pip --version >/dev/null 2>&1; then \
	  there=$$(minor_of $(@D)/bin/python); \
	  case " $(if $(filter command,$(origin PYTHON)),$$minor,$(PYTHONS)) " in *" $$there "*) touch $@; exit 0;; esac; \
	  echo "$(@D) is of Python $$there; delete it, then make again" >&2; exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "$$python cannot make an environment: install python$$minor-venv (apt install), then make again" >&2; exit 1; \
	fi; \
	$$python -m venv --clear $(@D) && touch $@
