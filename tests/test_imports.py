import importlib.util
import os
import subprocess
import sys

import pytest

LINES = """
import os, sys
os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n"
            b"I0000 00:00:1795843184.882087   10785 port.cc:153] oneDNN custom operations are on.\\n"
            b"E0000 00:00:1795843184.882087   10785 a.cc:1] something is wrong\\n")
print("of Python", file=sys.stderr)
"""


def imported(folder, text):
    """What a process writes to standard error that imports kvoice, then a package "tensorflow" of
    this text.
    """
    (folder / "tensorflow").mkdir()
    (folder / "tensorflow" / "__init__.py").write_text(text)
    script = "import kvoice, tensorflow; print(type(tensorflow.__spec__.loader).__name__)"
    path = os.pathsep.join([str(folder), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    return done.stderr.splitlines(), done.stdout.strip()


def test_only_what_tensorflow_says_of_itself_is_kept_back(tmp_path):
    errors, loader = imported(tmp_path, LINES)
    assert [line.rpartition("] ")[2] for line in errors] == ["something is wrong", "of Python"]
    assert loader == "SourceFileLoader"  # the module is as it is without kvoice


def test_an_import_that_fails_says_why(tmp_path):
    errors, _ = imported(tmp_path, LINES + "raise ImportError('no such kernel')")
    assert errors[0].endswith("something is wrong") and errors[-1] == "ImportError: no such kernel"


@pytest.mark.skipif(
    not importlib.util.find_spec("tensorflow"), reason="tensorflow is not installed"
)
def test_tensorflow_itself_is_imported_without_a_line():
    done = subprocess.run(
        [sys.executable, "-c", "import kvoice, tensorflow"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def printed(script):
    """What a process prints that imports Keras as commands do, then runs a script."""
    alone = "import sys; from kvoice import imports; imports.keras_alone(); "
    done = subprocess.run([sys.executable, "-c", alone + script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.backend
def test_what_converts_and_classifies_and_encodes_imports_little():
    made = printed(
        "from kvoice.inference import classify, convert, encode, vocode, voice; "
        "print({'matplotlib', 'sklearn', 'scipy.signal', 'librosa'} & {*sys.modules})"
    )
    assert made == "set()"


@pytest.mark.backend
def test_keras_is_imported_without_what_no_command_uses():
    made = printed(
        "import keras; print({'sklearn', 'matplotlib', 'jax'} & {*sys.modules}); "
        "import sklearn, matplotlib"
    )
    assert made == ("{'jax'}" if os.environ.get("KERAS_BACKEND") == "jax" else "set()")
