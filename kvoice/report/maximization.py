"""A static page of an activation maximisation: its sounds and pictures, with predicted labels.

One HTML file beside the waves and pictures that it shows: no script, nothing from a network.
"""

from pathlib import Path

from kvoice.files import claim
from kvoice.report.elements import (
    Files,
    check_format,
    command,
    contents,
    document,
    facts,
    filled,
    link,
    players,
    table,
    tables,
    tag,
    wide,
    written,
)

FILE = "maximization.json"
FORMAT = 1  # the version of FILE that can be read


def maximization(folder: str | Path) -> Path:
    """Writes FOLDER/index.html, whole or not at all.

    The content comes from FOLDER/maximization.json and, where there is one, from the tables of
    FOLDER/evaluation.json; the pictures and waves that they name are in FOLDER too, and are linked
    to by their names, so that the folder can be moved or put on a server as it is.

    Args:
        folder: The folder that `kvoice maximize` wrote.

    Returns:
        The path of the page.

    Raises:
        KvoiceError: If a JSON file is missing or has another format, or names a file that is not
            in the folder.
    """
    folder = Path(folder)
    evaluation = folder / "evaluation.json"
    measured = filled(evaluation, tables) if evaluation.exists() else []
    page = filled(folder / FILE, lambda made: _page(made, measured, folder))
    path = written(folder / "index.html", page)
    claim(folder, [path.name])
    return path


# --- The content


def _page(made, measured, folder):
    """The whole page: the opening and the summary, then a section for each target."""
    check_format(made, FORMAT)
    targets, start, judged = made["targets"], made["start"], bool(made["judge"])
    file = Files(
        folder,
        FILE,
        sum(
            len(files)
            for target in targets
            for files in (
                target["results"],
                *(row["files"] for row in (*target["waves"], *target["dial"])),
            )
        ),
    )
    title = f"Activation maximisation: {', '.join(target['target'] for target in targets)}"
    sections = [("evaluation", "Evaluation", measured)] if measured else []
    sections += [("recording", "The recording", _recording(start, file))] if start else []
    sections += [
        (_anchor(k), target["target"], _target(target, judged, made["strength"], file))
        for k, target in enumerate(targets)
    ]
    sections.append(("origin", "How it was made", _origin(made)))
    body = [
        tag("h1", title),
        tag("p", _opening(made), class_="lead"),
        tag(
            "p",
            tag("strong", "The voices are generated; say so when you share them."),
            " They began with a recording: share it, and what was made of it, only with the "
            "consent of its speaker."
            if start
            else "",
            class_="notice",
        ),
        contents((anchor, name) for anchor, name, _ in sections),
        _summary(made, judged),
        *(
            tag("section", tag("h2", name), *content, id=anchor)
            for anchor, name, content in sections
        ),
    ]
    return document(title, body)


def _summary(made, judged):
    classifiers = ("classifier", "judge") if judged else ("classifier",)
    return table(
        "In short",
        f"How many of the {made['count']} starts are classified as the target, before "
        "the ascent and after it.",
        ["target", *(f"{who} agrees" for who in classifiers)],
        [
            [
                link(_anchor(k), target["target"]),
                *(
                    "{before:.0%} → {after:.0%}".format(**target["agreed"][who])
                    for who in classifiers
                ),
            ]
            for k, target in enumerate(made["targets"])
        ],
    )


def _opening(made):
    """What was done, in two sentences."""
    count, condition = made["count"], made["classifier"]["condition"] or "target"
    begun = f"{count} random noises" if count > 1 else "a random noise"
    if made["start"]:
        begun = "the noise whose generated voice comes closest to a recording"
    judged = (
        "A judge, another classifier that had no part in this, then classified the same voices."
        if made["judge"]
        else "No second classifier was applied to the result: that this one agrees was the aim, "
        "and proves little by itself."
    )
    return (
        f"From {begun}, gradient ascent moved through the noise of a trained generator towards "
        f"voices that a classifier assigns to one {condition} or another, while neither of the "
        f"two networks changed. {judged}"
    )


def _recording(start, file):
    return [
        tag(
            "p",
            f"From {start['file']}, at {start['second']:.2f} s. The generator cannot make "
            "every voice: what it makes of the noise found for this one is off by "
            f"{start['error_db']:.1f} dB on average.",
        ),
        tag(
            "div",
            *(
                tag("figure", tag("figcaption", text), file.audio(start[name], text))
                for name, text in (
                    ("wave", "The recording"),
                    ("reconstruction", "Its reconstruction"),
                )
            ),
            class_="pair",
        ),
    ]


def _target(target, judged, strength, file):
    """The sounds and pictures of one target."""
    name, steps, agreed = target["target"], target["steps"], target["agreed"]
    conditioned = (
        f"The generator was conditioned on “{target['label']}”. " if target["label"] else ""
    )
    judge = "; the judge in {before:.0%} and in {after:.0%}" if judged else ""
    key = [
        f"Below each player, the probability of {name}: ",
        tag("b", "C"),
        " for the classifier",
        *([", ", tag("b", "J"), " for the judge"] if judged else []),
        "; of the mel, where the generator makes mels: the sound is a wave that Griffin-Lim "
        "reconstructed from it.",
    ]
    ways = [
        _row(
            name,
            wave["start"],
            wave["files"],
            [f"step {step}" for step in steps],
            [row[wave["start"]] for row in target["probability"]],
            [row[wave["start"]] for row in target["judge_probability"]] if judged else None,
            file,
            f"until step {target['stopped'][wave['start']]}",
        )
        for wave in target["waves"]
    ]
    dials = [
        _row(
            name,
            dial["start"],
            dial["files"],
            [f"{share:g}" for share in dial["strengths"]],
            dial["probability"],
            dial["judge_probability"] if judged else None,
            file,
        )
        for dial in target["dial"]
    ]
    content = [
        tag(
            "p",
            f"{conditioned}The classifier predicts {name} in "
            f"{agreed['classifier']['before']:.0%} of {len(target['stopped'])} starts, and in "
            f"{agreed['classifier']['after']:.0%} of the results"
            f"{judge.format(**agreed['judge'] or {})}.",
        ),
        tag(
            "figure",
            wide(
                f"{name}, mels",
                file.image(
                    target["figure"],
                    "Mels of generated voices at step 0 and at the end of the ascent "
                    f"towards {name}",
                ),
            ),
            tag("figcaption", "Mels at step 0 and at the end."),
        ),
        tag(
            "details",
            tag("summary", "The ascent, moving"),
            wide(
                f"{name}, moving mels",
                file.image(
                    target["animation"],
                    f"Animation: mels of the same voices, step by step towards {name}",
                ),
            ),
            open="",
        ),
        tag(
            "figure",
            file.image(
                target["curve"],
                f"Curves: probability of {name} over the steps of the ascent",
                class_="curve",
            ),
            tag("figcaption", "How probable the target became."),
        ),
    ]
    if ways:
        content += [
            tag("h3", "Listen: step by step"),
            tag("p", *key, class_="key"),
            players(f"{name}, step by step", [f"step {step}" for step in steps], ways),
        ]
    if dials:
        shares = [f"{share:g}" for share in target["dial"][0]["strengths"]]
        content += [
            tag("h3", "Listen: intensity"),
            tag(
                "p",
                "From the start, 0, to the end of the ascent, 1. ",
                *([] if ways else key),
                class_="key",
            ),
            players(f"{name}, intensity", shares, dials),
        ]
    results = [
        tag(
            "figure",
            tag("figcaption", f"start {k}"),
            file.audio(wave, f"{name}, start {k}, at strength {strength:g}"),
        )
        for k, wave in enumerate(target["results"])
    ]
    return [
        *content,
        tag(
            "details",
            tag("summary", f"Listen: all {len(results)} starts, at strength {strength:g}"),
            tag("div", *results, class_="pair"),
        ),
    ]


def _row(name, start, files, places, classified, judged, file, note=""):
    """A row of audio players, with the probabilities of the classifier and the judge under each."""
    cells = []
    for k, (wave, place, probability) in enumerate(zip(files, places, classified, strict=True)):
        if wave is None:  # behind the step at which this start was done
            cells.append(tag("td", "unchanged", class_="score"))
            continue
        scores = [("C", "classifier", probability)]
        scores += [("J", "judge", judged[k])] if judged else []
        cells.append(
            tag(
                "td",
                file.audio(wave, f"{name}, start {start}, {place}"),
                *(
                    tag(
                        "span",
                        tag("abbr", short, title=who),
                        f" {value:.0%}",
                        class_=f"score {who}",
                        style=f"--share:{value:.3f}",
                    )
                    for short, who, value in scores
                ),
            )
        )
    return tag(
        "tr",
        tag("th", f"start {start}", *([tag("small", note)] if note else []), scope="row"),
        *cells,
    )


def _origin(made):
    """The runs, settings, versions and command that made the folder."""

    def run(part):
        about = [part[key] for key in ("architecture", "domain", "condition") if part.get(key)]
        about += [" / ".join(part["names"])] if part.get("names") else []
        return [tag("code", part["run"]), f" ({', '.join(about)})"]

    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    pairs = [
        ("Generator", run(made["generator"])),
        ("Classifier", run(made["classifier"])),
        ("Judge", run(made["judge"]) if made["judge"] else ["none"]),
        ("Prior", [made["prior"]]),
        ("Strength", [f"{made['strength']:g}"]),
        ("Seed", [made["seed"]]),
        ("Starts", [made["count"]]),
        ("Sample rate", [f"{made['sample_rate_hz']} Hz"]),
        ("Versions", [versions]),
    ]
    return [facts(pairs), command(made["command"])]


def _anchor(k):
    return f"target-{k}"
