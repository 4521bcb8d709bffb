"""The page of an activation maximisation: what is in it, and what a browser makes of it."""

import json
import os
import urllib.parse

import numpy as np
import PIL.Image
import pytest

from kvoice import audio, report
from kvoice.errors import KvoiceError
from kvoice.report import elements
from tests.report.pages import Page, leads_nowhere_else, links

RATE_HZ = 22050
STEPS, STRENGTHS = [0, 1, 16, 300], [0, 0.5, 1]


@pytest.fixture
def ascent(tmp_path):
    """Writes a folder as an ascent leaves it; returns a function that writes it."""

    def write(targets=("angry", "sad"), shown=2, count=3, judged=True, start=False, **changes):
        def wave(name):
            seconds = 1 + len(written) % 3 / 4
            tone = np.sin(np.arange(int(seconds * RATE_HZ)) * (0.05 + 0.002 * (len(written) % 50)))
            audio.write(tmp_path / name, 0.3 * tone, RATE_HZ)
            written[name] = seconds
            return name

        def picture(name):
            PIL.Image.new("RGB", (1000, 300), "navy").save(tmp_path / name)
            return name

        written = {}
        hearer = {
            "run": "runs/classifier/default",
            "domain": "mel",
            "architecture": "cnn",
            "condition": "emotion",
            "names": ["angry", "happy", "neutral", "sad"],
        }
        made = {
            "format": 1,
            "command": "KERAS_BACKEND=tensorflow kvoice maximize --count=3",
            "versions": {"keras": "3.15.1"},
            "generator": {"run": "runs/voicegan/plain", "domain": "mel", "condition": ""},
            "classifier": hearer,
            "judge": hearer | {"run": "runs/judge"} if judged else None,
            "prior": "typical",
            "strength": 1.0,
            "seed": 7,
            "count": count,
            "sample_rate_hz": RATE_HZ,
            "targets": [],
            "start": {
                "file": "me.wav",
                "second": 0.42,
                "error_db": 4.1,
                "wave": wave("start.wav"),
                "reconstruction": wave("start_reconstruction.wav"),
            }
            if start
            else None,
        }
        for name in targets:
            file = urllib.parse.quote(name, safe=" &#%'")  # a name of a file, though an odd one
            probability = np.linspace(0.11, 0.97, len(STEPS) * count).reshape(len(STEPS), count)
            made["targets"].append(
                {
                    "target": name,
                    "label": "",
                    "steps": STEPS,
                    "probability": probability.tolist(),
                    "judge_probability": (probability / 2).tolist() if judged else None,
                    "stopped": [300] * (count - 1) + [16],
                    "agreed": {
                        "classifier": {"before": 0.25, "after": 1.0},
                        "judge": {"before": 0.19, "after": 0.94} if judged else None,
                    },
                    "figure": picture(f"{file}.png"),
                    "curve": picture(f"{file}_scores.png"),
                    "animation": picture(f"{file}.gif"),
                    "results": [wave(f"{file}_{k}.wav") for k in range(count)],
                    "waves": [
                        {
                            "start": k,
                            "files": [wave(f"{file}_{k}_step-{step:03}.wav") for step in STEPS],
                        }
                        for k in range(shown)
                    ],
                    "dial": [
                        {
                            "start": k,
                            "strengths": STRENGTHS,
                            "files": [
                                wave(f"{file}_{k}_dial-{share:g}.wav") for share in STRENGTHS
                            ],
                            "probability": [0.2, 0.6, 0.98],
                            "judge_probability": [0.1, 0.3, 0.49] if judged else None,
                        }
                        for k in range(shown)
                    ],
                }
            )
        (tmp_path / "maximization.json").write_text(json.dumps(made | changes))
        return written

    return write


def test_every_wave_is_linked_once_and_every_picture_says_what_it_shows(ascent, tmp_path):
    waves = ascent(start=True)
    path = report.maximization(tmp_path)
    assert path == tmp_path / "index.html"
    page = Page(path)
    players = page.all("audio")
    assert sorted(urllib.parse.unquote(each["src"]) for each in players) == sorted(waves)
    assert all("controls" in each and each["preload"] == "metadata" for each in players)
    labels = [each["aria-label"] for each in players]
    assert len(set(labels)) == len(labels) and "angry, start 1, step 16" in labels
    assert len(page.all("img")) == 6 and all(each["alt"] for each in page.all("img"))


def test_links_lead_to_files_of_the_folder_and_places_of_the_page(ascent, tmp_path):
    ascent(start=True)
    page = leads_nowhere_else(report.maximization(tmp_path))
    assert not [each for each in page.all("link")]


def test_a_cell_shows_the_predicted_probabilities(ascent, tmp_path):
    ascent(targets=["sad"], shown=2)
    page = Page(report.maximization(tmp_path))
    probability = np.linspace(0.11, 0.97, 12).reshape(4, 3)
    steps = [f"C {p:.0%}J {p / 2:.0%}" for k in range(2) for p in probability[:, k]]
    dial = ["C 20%J 10%", "C 60%J 30%", "C 98%J 49%"] * 2
    cells = [cell for cell in page.text("td") if cell.startswith("C ")]
    assert cells == steps + dial
    assert [text for text in page.text("th", scope="row") if text.startswith("start")] == [
        "start 0until step 300",
        "start 1until step 300",
        "start 0",
        "start 1",
    ]
    columns = page.text("th", scope="col")
    assert columns[-7:] == ["step 0", "step 1", "step 16", "step 300", "0", "0.5", "1"]


def test_the_top_says_what_was_done_and_how_it_ended(ascent, tmp_path):
    ascent()
    page = Page(report.maximization(tmp_path))
    (title,), (text,) = page.text("title"), page.text("main")
    assert title == "Activation maximisation: angry, sad" == page.text("h1")[0]
    assert page.text("td")[:4] == ["25% → 100%", "19% → 94%"] * 2
    for words in (
        "From 3 random noises",
        "A judge",
        "say so when you share them",
        "runs/judge",
        "runs/voicegan/plain",
        "keras 3.15.1",
        "typical",
        "KERAS_BACKEND=tensorflow kvoice maximize --count=3",
    ):
        assert words in text
    assert "recording" not in text


def test_without_a_judge_the_page_does_not_speak_of_one(ascent, tmp_path):
    ascent(judged=False)
    page = Page(report.maximization(tmp_path))
    assert "judge" not in page.text("main")[0].lower().replace("judgenone", "")
    assert "No second classifier" in page.text("main")[0]
    assert page.text("td")[:2] == ["25% → 100%"] * 2


def test_a_recording_is_beside_its_reconstruction_and_wants_consent(ascent, tmp_path):
    ascent(start=True)
    page = Page(report.maximization(tmp_path))
    assert [each["src"] for each in page.all("audio")][:2] == [
        "start.wav",
        "start_reconstruction.wav",
    ]
    (text,) = page.text("section", id="recording")
    assert "me.wav, at 0.42 s" in text and "4.1 dB" in text
    assert "consent" in page.text("p", **{"class": "notice"})[0]


def test_tables_of_an_evaluation_are_shown_as_they_are(ascent, tmp_path):
    ascent()
    (tmp_path / "evaluation.json").write_text(
        json.dumps(
            {
                "tables": [
                    {
                        "title": "Priors",
                        "note": "Share <of> 64.",
                        "columns": ["prior", "judge", "why"],
                        "rows": [["typical", "91 (81–96)", "a&b"], ["zero", "–", "1st"]],
                    }
                ],
                "more": 1,
            }
        )
    )
    page = Page(report.maximization(tmp_path))
    (text,) = page.text("section", id="evaluation")
    for cell in ("Priors", "Share <of> 64.", "typical", "91 (81–96)", "a&b", "zero", "–", "1st"):
        assert cell in text
    # Columns of numbers only are aligned as numbers are.
    assert page.text("td", **{"class": "number"})[4:] == ["91 (81–96)", "–"]
    assert page.text("a", href="#evaluation") == ["Evaluation"]


def test_text_stays_text(ascent, tmp_path):
    odd = """<b onclick="x">a&b'</b>"""
    ascent(targets=["<i>&amp;", "q\"' #%"], command=odd, prior=odd)
    page = Page(report.maximization(tmp_path))
    assert not page.all("i") and not [each for _, each in page.elements if "onclick" in each]
    assert page.text("h2")[:2] == ["<i>&amp;", "q\"' #%"]
    assert odd in page.text("dl")[0] and odd in page.text("pre")[0]
    assert all((tmp_path / link).is_file() for link in links(page) if not link.startswith("#"))


def test_a_file_that_is_not_there_is_named_and_the_old_page_stays(ascent, tmp_path):
    ascent()
    path = report.maximization(tmp_path)
    before = path.read_bytes()
    for name in ("sad_1_step-016.wav", "sad_0_dial-0.5.wav", "angry.gif", "sad_scores.png"):
        (tmp_path / name).rename(tmp_path / "away")
        with pytest.raises(KvoiceError, match=f"{name}: named in maximization.json, but not there"):
            report.maximization(tmp_path)
        (tmp_path / "away").rename(tmp_path / name)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["../outside.wav", "/outside.wav", "a/../../outside.wav"])
def test_a_file_outside_of_the_folder_is_not_shown(ascent, tmp_path, name):
    ascent(start=True)
    made = json.loads((tmp_path / "maximization.json").read_text())
    made["start"]["wave"] = name
    (tmp_path / "maximization.json").write_text(json.dumps(made))
    with pytest.raises(KvoiceError, match="outside.wav, which is not in its folder"):
        report.maximization(tmp_path)


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "cannot be read"),
        ("{", "not a JSON file"),
        ("[]", "cannot be understood"),
        ("{}", "'format' is missing"),
        ('{"format": 2}', "its format is 2, this version reads 1"),
    ],
)
def test_a_broken_json_file_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "maximization.json").write_text(content)
    with pytest.raises(KvoiceError, match=f"maximization.json: .*{message}"):
        report.maximization(tmp_path)
    assert not (tmp_path / "index.html").exists()


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "not a JSON file"),
        ("{}", "'tables' is missing"),
        (
            '{"tables": [{"title": "x", "note": "", "columns": ["a"], "rows": [["1", "2"]]}]}',
            "x: a row has not the 1 cells",
        ),
    ],
)
def test_a_broken_evaluation_is_named(ascent, tmp_path, content, message):
    ascent(targets=["sad"])
    (tmp_path / "evaluation.json").write_text(content)
    with pytest.raises(KvoiceError, match=f"evaluation.json: .*{message}"):
        report.maximization(tmp_path)


def test_waves_and_steps_that_differ_in_number_are_refused(ascent, tmp_path):
    ascent(targets=["sad"])
    made = json.loads((tmp_path / "maximization.json").read_text())
    made["targets"][0]["waves"][1]["files"].pop()
    (tmp_path / "maximization.json").write_text(json.dumps(made))
    with pytest.raises(KvoiceError, match="maximization.json: cannot be understood"):
        report.maximization(tmp_path)


def test_behind_the_step_at_which_a_start_was_done_nothing_is_played(ascent, tmp_path):
    ascent(targets=["sad"])
    made = json.loads((tmp_path / "maximization.json").read_text())
    players = len(Page(report.maximization(tmp_path)).all("audio"))
    made["targets"][0]["waves"][1]["files"][-1] = None
    (tmp_path / "maximization.json").write_text(json.dumps(made))
    page = Page(report.maximization(tmp_path))
    assert len(page.all("audio")) == players - 1
    assert (tmp_path / "index.html").read_text().count(">unchanged<") == 1


def test_a_failed_write_leaves_the_old_page(ascent, tmp_path, monkeypatch):
    ascent()
    path = report.maximization(tmp_path)
    before, there = path.read_bytes(), sorted(os.listdir(tmp_path))
    ascent(prior="zero")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KvoiceError, match="index.html: cannot be written .No space left"):
        report.maximization(tmp_path)
    assert path.read_bytes() == before and sorted(os.listdir(tmp_path)) == there


def test_a_page_with_more_players_than_a_browser_bears_loads_none_ahead(
    ascent, tmp_path, monkeypatch
):
    monkeypatch.setattr(elements, "EAGER", 16)
    ascent(targets=["sad"])  # 17 players
    assert {each["preload"] for each in Page(report.maximization(tmp_path)).all("audio")} == {
        "none"
    }


# In a browser


EVALUATION = {
    "tables": [
        {
            "title": "A wide one",
            "note": "",
            "rows": [["word"] * 30],
            "columns": [f"column {k}" for k in range(30)],
        }
    ]
}


def test_every_wave_loads_and_lasts_as_long_as_its_file(ascent, tmp_path, shown):
    waves = ascent(targets=["angry", "<q\"' #%>"], start=True)
    page = shown(report.maximization(tmp_path))
    page.wait_for_function("""[...document.querySelectorAll("audio")].every(
        each => each.readyState >= 1 || each.error)""")
    players = page.eval_on_selector_all(
        "audio", "all => all.map(each => [each.src, each.error && each.error.code, each.duration])"
    )
    assert len(players) == len(waves)
    for address, error, duration in players:
        name = os.path.basename(urllib.parse.unquote(urllib.parse.urlparse(address).path))
        assert error is None and abs(duration - waves[name]) < 0.01, name
    assert page.eval_on_selector_all(
        "img", "all => all.every(each => each.complete && each.naturalWidth > 0)"
    )


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out_of_the_page(ascent, tmp_path, shown, width):
    ascent(targets=["sad", "a" * 80], start=True, command="kvoice maximize " + "--a=b" * 60)
    (tmp_path / "evaluation.json").write_text(json.dumps(EVALUATION))
    page = shown(report.maximization(tmp_path), width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    table = page.locator("#evaluation .wide")
    assert table.evaluate("each => each.scrollWidth > each.clientWidth")  # it scrolls by itself
    table.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("""document.querySelector("#evaluation .wide").scrollLeft > 0""")


def test_a_small_player_shows_its_play_button_to_mouse_and_keyboard(ascent, tmp_path, shown):
    ascent(targets=["sad"])
    page = shown(report.maximization(tmp_path))
    playing = """place => document.querySelectorAll(".players audio")[place].currentTime > 0"""
    players = page.locator(".players audio")
    players.nth(1).click(position={"x": 20, "y": 20})
    page.wait_for_function(playing, arg=1)
    players.nth(2).focus()
    page.keyboard.press("Space")
    page.wait_for_function(playing, arg=2)
    assert (
        page.evaluate("""[...document.querySelectorAll("audio")].filter(
        each => each.currentTime > 0).length""")
        == 2
    )
