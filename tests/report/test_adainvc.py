"""The page of one-shot conversions: what is in it, and what a browser makes of it."""

import base64
import json
import os
import shutil

import numpy as np
import PIL.Image
import pytest

from kvoice import audio, report
from kvoice.cli.main import main
from kvoice.errors import KvoiceError
from kvoice.files import MADE
from kvoice.report import elements
from tests.report.pages import Page, created, evaluated, leads_nowhere_else, links, played

RATE_HZ = 22050
ODD = """<b onclick="x">a&b'</b>"""
PARTS = ("source", "target", "converted")
MODEL = {
    "latents": 4,
    "embedding": 8,
    "content_norm": True,
    "speaker": "encoder",
    "width": {"bank": 4, "decoder": 4},
    "seed": 0,
}


def run(folder, name="run", seed=0, model="adainvc", config=(), **changes):
    return created(folder / name, model, MODEL | changes, seed, **dict(config))


def converted(made_run, **changes):
    """Writes conversions as `kvoice evaluate` leaves them; wave -> its length in seconds."""
    folder = made_run.path / "conversions"
    folder.mkdir()
    waves = {}

    def row(title, note, to_target, to_source, **figures):
        number = len(waves) // 3
        names = {part: f"{number:02d}_{part}.wav" for part in PARTS}
        for name in names.values():
            seconds = 0.4 + len(waves) % 5 / 8
            tone = np.sin(np.arange(int(seconds * RATE_HZ)) * (0.05 + 0.01 * len(waves)))
            audio.write(folder / name, 0.3 * tone, RATE_HZ)
            waves[name] = seconds
        PIL.Image.new("RGB", (1000, 220), "navy").save(folder / f"{number:02d}.png")
        return {
            "title": title,
            "note": note,
            **names,
            "picture": f"{number:02d}.png",
            "to_target": to_target,
            "to_source": to_source,
            "phones": {"source": 0.8, "converted": 0.712},
            "f0_hz": {"source": 118.2, "target": 211.7, "converted": 196},
            **figures,
        }

    groups = [
        {
            "title": "unseen to unseen",
            "rows": [
                row("ada → carl", "female to male", 0.75, 0.25),
                row("carl → ada", "male to female", 0.5, 0.25),
                row("ada → beth", "female to female", 0.25, 0.5),
                row("beth → ada", "", 0.75, 0.875),
            ],
        },
        {
            "title": ODD,
            "rows": [
                row(
                    ODD,
                    ODD,
                    0.75,
                    0.25,
                    phones=None,
                    f0_hz={"source": None, "target": 80, "converted": float("nan")},
                )
            ],
        },
    ]
    PIL.Image.new("RGB", (900, 600), "white").save(folder / "embeddings.png")
    (folder / "conversions.json").write_text(
        json.dumps(
            {
                "format": 1,
                "command": "kvoice evaluate --run=run",
                "sample_rate_hz": RATE_HZ,
                "seed": 0,
                "threshold": 0.625,
                "groups": groups,
                "embeddings": {
                    "picture": "embeddings.png",
                    "silhouette": {"speaker": 0.412, "unseen speaker": -0.05},
                },
                **changes,
            }
        )
    )
    return waves


def said(errors=0, quality=3.0, cosine=0.5, accepted=None, words=True):
    """What the independent judges say of one sound."""
    rate = {"errors": errors, "count": 8}
    return {
        "phones": rate,
        "words": rate if words else None,
        "quality": {"p808": quality, "overall": quality - 1, "signal": 1, "background": 1},
        "voice": {"cosine": cosine, "accepted": accepted},
    }


def heard(made_run, without=(), **changes):
    """Adds to the conversions what the independent judges say, those `without` which are not."""
    path = made_run.path / "conversions" / "conversions.json"
    made = json.loads(path.read_text())

    def known(each):
        return each | dict.fromkeys(without)

    mean = {
        "phones": {"rate": 0.345, "low": 0, "high": 1},
        "words": {"rate": 0.456, "low": 0, "high": 1},
        "quality": {"p808": 3.21, "overall": 2.21, "signal": 1, "background": 1},
        "voice": {"cosine": 0.432, "accepted": 0.5},
    }
    for group in made["groups"]:
        for k, row in enumerate(group["rows"]):
            row["independent"] = {
                "recording as it is": known(said(quality=3.5)),
                "recording through the vocoder": known(said(1, 3.25)),
                "converted": known(said(2, 2.75, 0.875, accepted=k == 0, words=k == 0)),
                "target": said(quality=4.0) | dict.fromkeys(("phones", "words", "voice", *without)),
            }
        group["references"] = {
            name: {
                "to_source": 0.987,
                "to_target": 0.123,
                "phone_accuracy": 0.678,
                "independent": known(mean),
            }
            for name in ("recording as it is", "recording through the vocoder", "noise")
        }
    judges = {"english": True, "against": "text", "threshold": 0.71}
    path.write_text(json.dumps(made | {"longest_s": 4.0, "independent": judges} | changes))


def columns(page):
    """The titles of the columns of the first group, each with its judge."""
    titles = page.text("th", scope="col", **{"class": "number"})[1:]  # without those of the runs
    return titles[: len(titles) // 2]  # of two groups


def cells(page):
    """The figures of the conversions and of their references, a row after the other."""
    return page.text("td", **{"class": "number"})[1:]


@pytest.fixture
def one(tmp_path):
    made = run(tmp_path)
    return made, converted(made)


def test_every_wave_is_played_once_every_picture_says_what_it_shows(one, tmp_path):
    made, waves = one
    path = report.conversions([made], tmp_path / "out")
    assert path == tmp_path / "out" / "index.html"
    page = Page(path)
    assert [each["src"] for each in page.all("audio")] == [
        f"run-0/conversions/{name}" for name in waves
    ]
    labels = [each["aria-label"] for each in page.all("audio")]
    assert (
        len(set(labels)) == len(labels) == 15
        and labels[2] == "unseen to unseen, ada → carl, converted"
    )
    assert page.text("th", scope="col")[-6:-3] == list(PARTS)  # three columns of figures follow
    assert len(page.all("img")) == 5 + 1 and all(each["alt"] for each in page.all("img"))
    for name in (*waves, "00.png", "embeddings.png"):
        copy = tmp_path / "out" / "run-0" / "conversions" / name
        assert copy.read_bytes() == (made.path / "conversions" / name).read_bytes()


def test_the_verdict_on_the_voice_of_a_conversion_is_in_words(one, tmp_path):
    page = Page(report.conversions([one[0]], tmp_path / "out"))
    assert [text for text in page.text("strong") if text.startswith("nearer")] == [
        "nearer to the target, and passes for it",
        "nearer to the target",
        "nearer to the source",
        "nearer to the source, yet passes for the target",
        "nearer to the target, and passes for it",
    ]
    assert "from 0.62 on it passes" in page.text("ul", **{"class": "key"})[0]


def test_conversions_of_version_0_1_have_the_columns_that_were_measured_then(one, tmp_path):
    page = Page(report.conversions([one[0]], tmp_path / "out"))
    assert columns(page) == [
        "cosine to targetspeaker encoder",
        "phone accuracylinear probe",
        "F0median, Hz",
    ]
    assert cells(page)[:3] == ["0.75to source 0.25", "71%source 80%", "196source 118target 212"]
    assert cells(page)[-3:] == ["0.75to source 0.25", "–", "–source –target 80"]
    assert not page.text("tbody", **{"class": "references"})[0]
    assert "the beginning" not in page.text("p", **{"class": "key"})[0]


def test_a_row_holds_what_all_judges_say_of_a_conversion_beside_its_references(one, tmp_path):
    heard(one[0])
    page = Page(report.conversions([one[0]], tmp_path / "out"))
    assert columns(page)[3:] == [
        "phone errorshama",
        "word errorspocketsphinx",
        "P.808DNSMOS, 1\u00a0to\u00a05",
        "P.835DNSMOS, 1\u00a0to\u00a05",
        "cosine to targetResemblyzer",
    ]
    rows = cells(page)
    means = ["0.12", "68%", "", "34%", "46%of 1", "3.21", "2.21", "0.43"]  # words are known of one
    assert [rows[8 * k : 8 * k + 8] for k in range(3)] == [means] * 3
    assert rows[24 + 3 : 24 + 8] == [
        "25%source 0%vocoder 12%",
        "25%source 0%vocoder 12%",
        "2.75source 3.50vocoder 3.25target 4.00",
        "1.75source 2.50vocoder 2.25target 3.00",
        "0.88passessource 0.50vocoder 0.50",
    ]
    assert rows[32 + 4] == "–" and rows[32 + 7].startswith("0.88does not pass")
    references = page.text("tbody", **{"class": "references"})
    assert "recording as it ismean of 4" in references[0] and "noisemean of 1" in references[1]
    key = page.text("ul", **{"class": "key"})[0]
    assert "that hama hears, against those of the text." in key and "from 0.71 on it" in key
    assert "longer than 4 s, the beginning" in page.text("p", **{"class": "key"})[0]


@pytest.mark.parametrize(
    "without, gone",
    [
        (["phones"], {"phone errors"}),
        (["words"], {"word errors"}),
        (["quality"], {"P.808", "P.835"}),
        (["phones", "words", "quality"], {"phone errors", "word errors", "P.808", "P.835"}),
    ],
)
def test_the_columns_of_judges_that_are_not_installed_are_left_out(one, tmp_path, without, gone):
    heard(one[0])
    every = columns(Page(report.conversions([one[0]], tmp_path / "all")))
    heard(one[0], without)
    page = Page(report.conversions([one[0]], tmp_path / "out"))
    left = [title for title in every if not title.startswith(tuple(gone))]
    assert columns(page) == left and len(every) - len(left) == len(gone)
    key = page.text("ul", **{"class": "key"})[0]
    assert len(key.split("\n")) == len(left) + 1
    heard(one[0], ["voice"])
    page = Page(report.conversions([one[0]], tmp_path / "out"))
    assert not [title for title in columns(page) if "Resemblyzer" in title]


def test_what_hama_hears_is_uncalibrated_where_the_corpus_may_not_be_english(one, tmp_path):
    heard(one[0], independent={"english": False, "against": "recording", "threshold": None})
    page = Page(report.conversions([one[0]], tmp_path / "out"))
    assert "phone errorshama, uncalibrated" in columns(page)
    assert "against those that it hears in the recording." in page.text("main")[0]


def test_the_conversions_of_a_pair_of_genders_can_be_chosen(one, tmp_path):
    page = Page(report.conversions([one[0]], tmp_path / "out"))
    (choice,) = page.text("fieldset")
    assert choice.split("\n")[0] == (
        f"Show conversionsall (5)female to male (1)male to female (1)female to female (1){ODD} (1)"
    )
    assert [each.get("checked") for each in page.all("input")] == ["", *[None] * 4]
    pairs = [each.get("data-pair") for each in page.all("tbody") if "data-pair" in each]
    assert pairs == ["1", "2", "3", "0", "4"]  # 0: without a gender


def test_where_there_is_one_pair_of_genders_there_is_no_choice(one, tmp_path):
    path = one[0].path / "conversions" / "conversions.json"
    made = json.loads(path.read_text())
    for row in (row for group in made["groups"] for row in group["rows"]):
        row["note"] = "unknown to unknown"
    path.write_text(json.dumps(made))
    page = Page(report.conversions([one[0]], tmp_path / "out"))
    assert not page.all("input") and not page.all("fieldset")


def test_the_judges_and_a_warning_about_them_are_shown(tmp_path):
    said, warning = (
        "Judged on folder:mine by ../encoder, as it were.",
        "it hardly distinguishes <these> voices",
    )
    for k, each in enumerate(("", warning)):
        made = run(tmp_path, f"run-{k}")
        converted(made, judged={"description": said, "warning": each})
        page = Page(report.conversions([made], tmp_path / f"out-{k}"))
        assert page.text("p", **{"class": "key"})[0].endswith(f"all its conversions. {said}")
        assert (f"Mind that {warning}." in page.text("strong")) == bool(each)
        assert "neither" not in page.text("main")[0]


def test_the_sentence_on_the_judges_of_version_0_1_is_shown(tmp_path):
    made = run(tmp_path)
    converted(made, judged={"said": "Judged on demo.", "warning": ""})
    page = Page(report.conversions([made], tmp_path / "out"))
    assert page.text("p", **{"class": "key"})[0].endswith("conversions. Judged on demo.")


def test_a_link_out_of_the_run_is_not_copied(one, tmp_path):
    made, _ = one
    (tmp_path / "private.wav").write_bytes(b"mine")
    stolen = made.path / "conversions" / "00_source.wav"
    stolen.unlink()
    stolen.symlink_to(tmp_path / "private.wav")
    with pytest.raises(KvoiceError, match="00_source.wav: is a link that leads out of its folder"):
        report.conversions([made], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_silhouettes_are_shown_and_explained(one, tmp_path):
    text = Page(report.conversions([one[0]], tmp_path / "out")).text("main")[0]
    assert "Silhouette by speaker 0.41, by unseen speaker -0.05. It says" in text


def test_links_lead_to_copies_in_the_folder_and_places_of_the_page(one, tmp_path):
    made, _ = one
    shutil.copy(made.path / "conversions" / "00.png", made.path / "curves.png")
    report.conversions([made], tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "moved")
    shutil.rmtree(made.path)
    page = leads_nowhere_else(tmp_path / "moved" / "index.html")
    assert page.text("nav")[0].split("\n")[:3] == ["unseen to unseen", ODD, "Speaker embeddings"]
    assert page.text("pre") == ["kvoice train --model=adainvc ", "kvoice evaluate --run=run "]


def test_text_stays_text(one, tmp_path):
    page = Page(report.conversions([one[0]], tmp_path / "out"))
    assert page.text("h3")[-2] == ODD and page.text("th", scope="row")[-1].startswith(2 * ODD)
    assert not page.all("b") and not [each for _, each in page.elements if "onclick" in each]


def test_a_single_page_holds_its_files(one, tmp_path):
    made, waves = one
    page = Page(report.conversions([made], tmp_path / "out", single=True))
    assert sorted(os.listdir(tmp_path / "out")) == [MADE, "index.html"]
    held = [
        base64.b64decode(each["src"].removeprefix("data:audio/wav;base64,"))
        for each in page.all("audio")
    ]
    assert held == [(made.path / "conversions" / name).read_bytes() for name in waves]
    assert all(each.startswith(("data:", "#")) for each in links(page))


def test_a_run_without_sounds_shows_its_tables_and_one_without_tables_its_sounds(one, tmp_path):
    made, _ = one
    page = Page(report.conversions([made], tmp_path / "out"))
    assert (
        "Judged" not in page.text("h3")
        and page.all("audio")
        and "generated" in page.text("main")[0]
    )
    shutil.rmtree(made.path / "conversions")
    evaluated(made, **{"speaker probe": 0.25})
    page = Page(report.conversions([made], tmp_path / "out"))
    assert "By <judges>." in page.text("section", id="run-0")[0]
    assert not page.all("audio") and "generated" not in page.text("main")[0]
    assert page.text("nav")[0].strip() == str(made.path)


def test_runs_are_compared_by_what_differs_and_seeds_are_put_together(tmp_path):
    made = [
        run(tmp_path, f"{norm}-{seed}", seed, content_norm=norm)
        for norm in (True, False)
        for seed in (0, 1)
    ]
    for k, each in enumerate(made):
        evaluated(each, **{"speaker probe": 0.1 * k} | ({"MCD, dB": 6.5} if k == 0 else {}))
    converted(made[1])
    page = Page(report.conversions(made, tmp_path / "out"))
    columns = page.text("th", scope="col")
    assert columns[:5] == ["run", "content_norm", "seed", "speaker probe", "MCD, dB"]
    assert page.text("td")[:8] == ["True", "0", "0", "6.5", "True", "1", "0.1", "–"]
    assert page.text("td")[16:19] == ["2", "0.05 (0–0.1)", "6.5"]
    assert page.text("nav")[0].split("\n")[:4] == [str(each.path) for each in made]
    assert {each["src"].split("/")[0] for each in page.all("audio")} == {"run-1"}


def test_weights_that_were_imported_are_named(tmp_path):
    made = run(
        tmp_path,
        config={"imported": {"file": "vctk.ckpt", "sha256": "0"}, "speakers": [], "data_spec": ""},
    )
    evaluated(made)
    facts = Page(report.conversions([made], tmp_path / "out")).text("dl")[0]
    assert "Weightsvctk.ckpt" in facts and "Trained onnot known" in facts and "Steps" not in facts


def test_runs_that_cannot_be_shown_are_named(one, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(KvoiceError, match="one run or more"):
        report.conversions([], out)
    with pytest.raises(KvoiceError, match="gan: is a run of voicegan, expected one of adainvc$"):
        report.conversions([run(tmp_path, "gan", model="voicegan")], out)
    with pytest.raises(
        KvoiceError, match="judge: is a run of speakerencoder, .* adainvc; give runs"
    ):
        report.conversions([one[0], run(tmp_path, "judge", model="speakerencoder")], out)
    with pytest.raises(
        KvoiceError, match="new: nothing to show yet: `kvoice evaluate --run=.*new` measures"
    ):
        report.conversions([run(tmp_path, "new")], out)
    assert not out.exists()


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda made: made.update(format=2), "its format is 2, this version reads 1"),
        (lambda made: made["embeddings"].update(picture="../x.png"), "not in its folder"),
        (
            lambda made: made["groups"][0]["rows"][1].update(target="/etc/passwd"),
            "not in its folder",
        ),
        (lambda made: made["groups"][1].pop("title"), "'title' is missing"),
        (lambda made: made["groups"][0]["rows"][0].pop("f0_hz"), "'f0_hz' is missing"),
        (
            lambda made: made["groups"][0]["rows"][0].update(to_target="near"),
            "cannot be understood",
        ),
        (lambda made: made.pop("command"), "'command' is missing"),
        (lambda made: made.update(groups=3), "cannot be understood"),
    ],
)
def test_conversions_that_are_not_as_they_are_written_are_named(one, tmp_path, change, message):
    path = one[0].path / "conversions" / "conversions.json"
    made = json.loads(path.read_text())
    change(made)
    path.write_text(json.dumps(made))
    with pytest.raises(KvoiceError, match=f"conversions.json: .*{message}"):
        report.conversions([one[0]], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_missing_is_named_and_the_page_before_stays(one, tmp_path):
    made, _ = one
    path = report.conversions([made], tmp_path / "out")
    before = path.read_bytes()
    (made.path / "conversions" / "01_target.wav").unlink()
    with pytest.raises(
        KvoiceError, match="01_target.wav: named in conversions.json, but not there"
    ):
        report.conversions([made], tmp_path / "out")
    assert path.read_bytes() == before


def test_many_players_load_none_ahead(one, tmp_path, monkeypatch):
    for eager, preload in ((15, "metadata"), (14, "none")):
        monkeypatch.setattr(elements, "EAGER", eager)
        page = Page(report.conversions([one[0]], tmp_path / "out"))
        assert {each["preload"] for each in page.all("audio")} == {preload}


def test_the_command_chooses_the_page_of_the_model(one, tmp_path, capsys):
    made, _ = one
    assert main(["report", str(made.path)]) == 0
    assert capsys.readouterr().out == f"{made.path / 'report' / 'index.html'}\n"
    judge = run(tmp_path, "judge", model="speakerencoder", width=4, depth=1)
    evaluated(judge)
    assert main(["report", str(judge.path), f"--output={tmp_path / 'out'}", "--single"]) == 0
    assert Page(tmp_path / "out" / "index.html").text("h1")[0].startswith("Speaker verification")
    capsys.readouterr()
    assert main(["report", str(made.path), str(judge.path)]) == 1
    assert capsys.readouterr().err == (
        f"kvoice report: {judge.path}: is a run of speakerencoder, expected one of adainvc; give "
        "runs of one model at a time\n"
    )


# In a browser


@pytest.mark.parametrize("single", [False, True])
def test_every_wave_loads_plays_and_lasts_as_long_as_its_file(one, tmp_path, shown, single):
    made, waves = one
    played(shown(report.conversions([made], tmp_path / "out", single)), waves.values())


@pytest.mark.parametrize("width", [390, 1280, 1400])
def test_nothing_sticks_out_of_the_page_and_players_lie_side_by_side(one, tmp_path, shown, width):
    heard(one[0])
    made = [one[0], *(run(tmp_path, "a" * 60 + str(k), k) for k in (1, 2))]
    for each in made[1:]:
        evaluated(each, **{f"a long name of a metric {k}": 0.123456 for k in range(16)})
    page = shown(report.conversions(made, tmp_path / "out"), width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    first = [page.locator("audio").nth(k).bounding_box() for k in range(3)]
    assert len({box["y"] for box in first}) == 1 and first[0]["x"] < first[1]["x"] < first[2]["x"]
    assert all(box["width"] >= 60 and box["height"] >= 40 for box in first)
    assert first[2]["x"] + first[2]["width"] <= width
    table = page.locator(".group .wide").first
    assert table.evaluate("each => each.scrollWidth > each.clientWidth") == (width == 390)


def test_the_titles_of_the_columns_stay_in_sight(one, tmp_path, shown):
    heard(one[0])
    page = shown(report.conversions([one[0]], tmp_path / "out"), 1280)
    page.locator("td.picture").nth(3).scroll_into_view_if_needed()
    page.mouse.wheel(0, 200)
    page.wait_for_function("document.querySelector('.conversions').getBoundingClientRect().y < 0")
    assert page.locator(".conversions thead th").first.bounding_box()["y"] == 0


def test_what_is_not_of_the_chosen_genders_is_hidden(one, tmp_path, shown):
    page = shown(report.conversions([one[0]], tmp_path / "out"))

    def seen(what):
        return page.locator(what).evaluate_all("all => all.map(each => !!each.offsetParent)")

    assert all(seen("audio")) and all(seen("h3"))
    page.get_by_label("male to female (1)", exact=True).check()
    assert seen("audio") == [k // 3 == 1 for k in range(15)]
    groups = page.locator(".group").evaluate_all("all => all.map(each => !!each.offsetParent)")
    assert groups == [True, False]
    page.get_by_label("all (5)").check()
    assert all(seen("audio"))


def test_a_player_plays_where_it_is_touched(one, tmp_path, shown):
    page = shown(report.conversions([one[0]], tmp_path / "out"), 390)
    page.locator("audio").nth(2).click(position={"x": 20, "y": 20})
    page.wait_for_function("""document.querySelectorAll("audio")[2].currentTime > 0""")
