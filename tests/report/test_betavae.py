"""The page of trained beta-VAEs: what is in it, and what a browser makes of it."""

import base64
import json
import os
import urllib.parse

import numpy as np
import PIL.Image
import pytest

from kvoice import audio, report, runs
from kvoice.audio import SPECS
from kvoice.errors import KvoiceError
from kvoice.files import MADE
from kvoice.report import elements
from tests.report.pages import Page, evaluated, leads_nowhere_else, links, played

RATE_HZ = 22050
ODD = """<b onclick="x">a&b'</b>"""


def run(folder, name="run", beta=4.0, seed=0, model="betavae", **changes):
    model_of = {
        "objective": "beta",
        "beta": beta,
        "domain": "mel",
        "architecture": "utterance",
        "likelihood": "gaussian",
        "sigma": 0.1,
        "latents": 3,
        "seed": 0,
        **changes,
    }
    return runs.create(
        folder / name,
        {
            "model_name": model,
            "variant": "",
            "data_spec": "demo",
            "init": "",
            "corpus": "c",
            "speakers": [],
            "data": {"seed": 0, "split": "train"},
            "model": model_of,
            "train": {"steps": 100, "seed": seed, "rates": {"vae": 1e-3}},
        },
        SPECS["waveglow"],
        {},
        "kvoice train --model=betavae",
    )


def traversal(made_run, label="gender", sounds=True, **changes):
    """Writes a traversal as `kvoice traverse` leaves it; wave -> its length in seconds."""
    folder = made_run.path / "traversal" / (label or "factors")
    folder.mkdir(parents=True)
    waves = {}

    def wave(name):
        seconds = 0.4 + len(waves) % 4 / 5
        tone = np.sin(np.arange(int(seconds * RATE_HZ)) * (0.05 + 0.01 * len(waves)))
        audio.write(folder / name, 0.3 * tone, RATE_HZ)
        waves[folder / name] = seconds
        return name

    def picture(name, size=(1100, 300)):
        PIL.Image.new("RGB", size, "navy").save(folder / name)
        return name

    grids = []
    for name, columns in (
        ("flips", ["original", "reconstruction", "latent 1 flipped"]),
        ("sweep", [f"{k:+d} σ" for k in range(-3, 4)]),
    ):
        cells = [[f"{name}_{r}_{c}.wav" for c in range(len(columns))] for r in range(2)]
        grids.append(
            {
                "name": name,
                "title": f"Of {name}",
                "note": "What it shows.",
                "columns": columns,
                "rows": ["ada, female", "carl, male"],
                "picture": picture(f"{name}.png"),
                "waves": [[wave(cell) for cell in row] for row in cells] if sounds else None,
                "captions": [["female, 212 Hz"] * len(columns), [ODD] * len(columns)]
                if sounds
                else None,
            }
        )
    content = {
        "format": 1,
        "run": "../..",
        "command": "kvoice traverse",
        "label": label,
        "factor": 1,
        "kind": "voices" if sounds else "images",
        "control": 2 if label else None,
        "count": 2,
        "seed": 0,
        "versions": {},
        "activity": {"kl": [0.5, 1.5, 2.0], "active": [1, 2], "dead": [0]},
        "found": {},
        "rankings": {},
        "flips": None,
        "densities": picture("densities.png"),
        "kl": picture("kl.png"),
        "traversal": picture("traversal.png"),
        "tables": [
            {"title": "Found", "note": "", "columns": ["label", "latent"], "rows": [["gender", 1]]}
        ],
        "latents": [
            {
                "latent": d,
                "picture": picture(f"latent_{d}.png"),
                "kl": 1.25,
                "active": d > 0,
                "animation": picture(f"latent_{d}.gif"),
                "role": ("", "gender", "control")[d],
            }
            for d in (1, 2, 0)
        ],
        "grids": grids,
        **changes,
    }
    (folder / "traversal.json").write_text(json.dumps(content))
    return waves


@pytest.fixture
def one(tmp_path):
    made = run(tmp_path)
    return made, traversal(made)


def test_every_wave_is_played_once_every_picture_says_what_it_shows(one, tmp_path):
    made, waves = one
    path = report.traversals([made], tmp_path / "out")
    assert path == tmp_path / "out" / "index.html"
    page = Page(path)
    sources = [urllib.parse.unquote(each["src"]) for each in page.all("audio")]
    assert sorted(sources) == sorted(f"run-0/gender/{wave.name}" for wave in waves)
    labels = [each["aria-label"] for each in page.all("audio")]
    assert len(set(labels)) == len(labels) and "gender, Of sweep, carl, male, -3 σ" in labels
    assert len(page.all("img")) == 2 + 3 + 2 * 3 and all(each["alt"] for each in page.all("img"))
    for wave in waves:
        assert (tmp_path / "out" / "run-0" / "gender" / wave.name).read_bytes() == wave.read_bytes()


def test_links_lead_to_copies_in_the_folder_and_places_of_the_page(one, tmp_path):
    made, _ = one
    traversal(made, "emotion")
    page = leads_nowhere_else(report.traversals([made], tmp_path / "out"))
    assert page.text("nav")[0].split("\n")[0] == "emotion: latent 1, beside latent 2"


def test_a_single_page_holds_its_files(one, tmp_path):
    made, waves = one
    page = Page(report.traversals([made], tmp_path / "out", single=True))
    assert sorted(os.listdir(tmp_path / "out")) == [MADE, "index.html"]
    held = {}
    for kind in ("audio", "img"):
        for each in page.all(kind):
            head, content = each["src"].split(",")
            held.setdefault(head, []).append(base64.b64decode(content))
    assert held.keys() == {
        "data:audio/wav;base64",
        "data:image/png;base64",
        "data:image/gif;base64",
    }
    assert held["data:audio/wav;base64"] == [wave.read_bytes() for wave in waves]
    assert {each for each in links(page) if not each.startswith(("data:", "#"))} == set()


def test_a_cell_shows_the_predictions_and_text_stays_text(one, tmp_path):
    page = Page(report.traversals([one[0]], tmp_path / "out"))
    predicted = page.text("span", **{"class": "predicted"})
    assert predicted == (["female, 212 Hz"] * 3 + [ODD] * 3) + (["female, 212 Hz"] * 7 + [ODD] * 7)
    assert not page.all("b") and not [each for _, each in page.elements if "onclick" in each]


def test_the_predictions_of_a_traversal_of_version_0_1_are_shown(one, tmp_path):
    made, _ = one
    (path,) = made.path.rglob("traversal.json")
    content = json.loads(path.read_text())
    for grid in content["grids"]:
        grid["heard"] = grid.pop("captions")
    path.write_text(json.dumps(content))
    page = Page(report.traversals([made], tmp_path / "out"))
    assert "female, 212 Hz" in page.text("span", **{"class": "predicted"})


def test_latents_stand_with_their_part_and_those_that_have_one_are_open(one, tmp_path):
    page = Page(report.traversals([one[0]], tmp_path / "out"))
    assert page.text("summary") == [
        "Latent 1, gender: 1.25 nats",
        "Latent 2, control: 1.25 nats",
        "Latent 0: 1.25 nats, not in use",
    ]
    assert ["open" in each for each in page.all("details")] == [True, True, False]


def test_images_have_no_players_and_no_notice_of_voices(tmp_path):
    made = run(tmp_path)
    traversal(made, "", sounds=False)
    page = Page(report.traversals([made], tmp_path / "out"))
    assert not page.all("audio") and "generated" not in page.text("main")[0]
    assert "judges" not in page.text("main")[0]
    assert "All latents" in page.text("h2")


def test_what_was_measured_is_shown_and_the_small_measurement_folded(one, tmp_path):
    made, _ = one
    evaluated(made, MIG=0.25)
    page = Page(report.traversals([made], tmp_path / "out"))
    assert "By <judges>." in page.text("section", id="run-0")[0]
    assert "Measured with this traversal, on fewer items" in page.text("summary")
    columns = page.text("th", scope="col")[:7]
    assert columns == ["run", "objective", "beta", "seed", "latents in use", "KL, nats", "MIG"]
    assert page.text("td")[:6] == ["beta", "4.0", "0", "2", "4", "0.25"]


def test_runs_are_compared_by_what_differs_and_seeds_are_put_together(tmp_path):
    made = [
        run(tmp_path, f"{beta}-{seed}", beta, seed, sigma=0.1 * beta)
        for beta in (1.0, 4.0)
        for seed in (0, 1, 2)
    ]
    for k, each in enumerate(made):
        evaluated(each, MIG=0.1 * k, **({"SAP": 0.5} if k == 0 else {}))
    page = Page(report.traversals(made, tmp_path / "out"))
    columns = page.text("th", scope="col")
    assert columns[:7] == ["run", "objective", "beta", "sigma", "seed", "MIG", "SAP"]
    cells = page.text("td")
    assert cells[:6] == ["beta", "1.0", "0.1", "0", "0", "0.5"]
    assert cells[6:12] == ["beta", "1.0", "0.1", "1", "0.1", "–"]
    assert columns[7:11] == ["settings", "runs", "MIG", "SAP"]
    assert cells[36:39] == ["3", "0.1 (0–0.2)", "0.5"]
    assert cells[39:42] == ["3", "0.4 (0.3–0.5)", "–"]
    assert "objective beta, beta 4.0, sigma 0.4" in page.text("th", scope="row")
    assert page.text("a")[:6] == [str(each.path) for each in made]


def test_a_report_is_made_again_and_kept_where_that_fails(one, tmp_path):
    made, waves = one
    path = report.traversals([made], tmp_path / "out")
    assert report.traversals([made], tmp_path / "out", single=True) == path
    assert sorted(os.listdir(tmp_path / "out")) == [MADE, "index.html"]
    before = path.read_bytes()
    wave = list(waves)[-1]
    wave.unlink()
    with pytest.raises(KvoiceError, match=f"{wave.name}: named in traversal.json, but not there"):
        report.traversals([made], tmp_path / "out")
    assert path.read_bytes() == before and sorted(os.listdir(tmp_path)) == ["out", "run"]


def test_what_is_no_report_is_not_replaced(one, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("<p>mine</p>")
    (tmp_path / "file").write_text("")
    for name, message in (
        ("mine", "index.html: not written by kvoice"),
        ("file", "is a file"),
        ("run", "not written by kvoice"),
    ):
        with pytest.raises(KvoiceError, match=message):
            report.traversals([one[0]], tmp_path / name)
    assert (tmp_path / "mine" / "index.html").read_text() == "<p>mine</p>"
    report.traversals([one[0]], tmp_path / "out")
    (tmp_path / "out" / "mine.txt").write_text("")
    with pytest.raises(KvoiceError, match="mine.txt: not written by kvoice"):
        report.traversals([one[0]], tmp_path / "out")


def test_runs_that_cannot_be_shown_are_named(tmp_path):
    with pytest.raises(KvoiceError, match="one run or more"):
        report.traversals([], tmp_path / "out")
    with pytest.raises(KvoiceError, match="gan: is a run of voicegan, expected one of betavae"):
        report.traversals([run(tmp_path, "gan", model="voicegan")], tmp_path / "out")
    with pytest.raises(KvoiceError, match="new: nothing to show yet: `kvoice traverse --run="):
        report.traversals([run(tmp_path, "new")], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"format": 2}, "its format is 2, this version reads 1"),
        ({"kl": "../x.png"}, "not in its folder"),
        ({"grids": [{}]}, "missing"),
        ({"latents": 3}, "cannot be understood"),
    ],
)
def test_a_traversal_that_is_not_as_it_is_written_is_named(tmp_path, changes, message):
    made = run(tmp_path)
    traversal(made, **changes)
    with pytest.raises(KvoiceError, match=f"traversal.json: .*{message}"):
        report.traversals([made], tmp_path / "out")


def test_an_evaluation_without_numbers_is_named(one, tmp_path):
    (one[0].path / "evaluation.json").write_text('{"tables": []}')
    with pytest.raises(KvoiceError, match="evaluation.json: 'metrics' is missing"):
        report.traversals([one[0]], tmp_path / "out")


def test_many_players_load_none_ahead(one, tmp_path, monkeypatch):
    for eager, preload in ((20, "metadata"), (19, "none")):  # 20 players
        monkeypatch.setattr(elements, "EAGER", eager)
        page = Page(report.traversals([one[0]], tmp_path / "out"))
        assert {each["preload"] for each in page.all("audio")} == {preload}


# In a browser


@pytest.mark.parametrize("single", [False, True])
def test_every_wave_loads_plays_and_lasts_as_long_as_its_file(one, tmp_path, shown, single):
    made, waves = one
    played(shown(report.traversals([made], tmp_path / "out", single)), waves.values())


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out_of_the_page(one, tmp_path, shown, width):
    made = [
        one[0],
        *(run(tmp_path, "a" * 60 + str(k), beta, k) for k, beta in enumerate((1.0, 16.0))),
    ]
    for each in made[1:]:
        evaluated(each, **{f"a long name of a metric {k}": 0.123456 for k in range(12)})
    page = shown(report.traversals(made, tmp_path / "out"), width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
