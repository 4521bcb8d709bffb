"""The notebooks run from top to bottom, and hold no outputs."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))

# Runs the cells of a notebook in one namespace. Jupyter is not needed: what plays a sound there
# only looks at it here.
RUNNER = """
import json, sys, types
import numpy as np

class Audio:
    def __init__(self, wave, rate):
        assert np.ndim(wave) == 1 and len(wave) and np.isfinite(wave).all() and rate > 0

heard = []
display = types.ModuleType("IPython.display")
display.Audio, display.display = Audio, lambda *shown: heard.extend(shown)
ipython = types.ModuleType("IPython")
ipython.version_info, ipython.get_ipython = (9, 0), lambda: None  # matplotlib asks
sys.modules |= {"IPython": ipython, "IPython.display": display}
for number, cell in enumerate(json.load(open(sys.argv[1], encoding="utf-8"))["cells"]):
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), globals())
assert heard
"""


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["convert_a_voice", "find_the_gender_latent"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_text_and_code_and_no_outputs(path):
    kinds = [cell["cell_type"] for cell in cells(path)]
    assert {"markdown", "code"} == set(kinds) and kinds[0] == "markdown"
    for cell in cells(path):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None


@pytest.mark.backend
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, tmp_path):
    environment = {**os.environ, "MPLBACKEND": "agg", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", RUNNER, str(path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert list(tmp_path.glob("runs/notebooks/*/model.keras"))
