"""Runs made by an earlier kvoice, on earlier frameworks, still load and go on."""

import csv
import importlib.util
import os
import pathlib
import shutil

import numpy as np
import pytest

import kvoice
from kvoice.cli.main import main

pytestmark = pytest.mark.backend

HERE = pathlib.Path(__file__).parent / "old_runs"
FOLDER = HERE / "format_1"
_spec = importlib.util.spec_from_file_location("stopped", HERE / "stopped.py")
stopped = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(stopped)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", stopped.CHANGES)
def test_a_loaded_model_gives_what_it_gave(name):
    wanted = np.load(FOLDER / name / "outputs.npz")
    found = stopped.outputs(name, kvoice.load(FOLDER / name / "run").model)
    assert set(found) == set(wanted)
    for key, value in found.items():
        # Sums of float32 in another order: relative to the largest value, 1e-6 was measured between
        # backends.
        np.testing.assert_allclose(
            value, wanted[key], rtol=0, atol=1e-4 * np.abs(wanted[key]).max()
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the corpus of the runs and copies of them."""
    place = tmp_path_factory.mktemp("old_runs")
    stopped.corpus(place)
    for name in stopped.CHANGES:
        shutil.copytree(FOLDER / name / "run", place / name)
    return place


@pytest.mark.parametrize("name", stopped.CHANGES)
def test_the_same_command_resumes_the_run(name, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    assert main(stopped.words(name)) == 0, capsys.readouterr().err
    before, now = rows(FOLDER / name / "finished.csv"), rows(place / name / "log.csv")
    assert [row["step"] for row in now] == [row["step"] for row in before]
    assert now[0] == before[0]
    assert all(np.isfinite(float(value)) for value in now[1].values())
    if os.environ["KERAS_BACKEND"] != "tensorflow":
        return  # its random numbers are others
    for term, value in before[1].items():
        assert float(now[1][term]) == pytest.approx(float(value), rel=0.02, abs=0.02), term
