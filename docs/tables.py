"""Writes the tables of the pages in docs/ from committed JSON, between `<!-- table NAME -->` and
`<!-- end -->`.

    python docs/tables.py            # after a benchmark or an evaluation was run again
    python docs/tables.py --check    # exits with 1 where a page does not show what its JSON holds

A row of `TABLES` is the name of a table, the function that makes it, and the JSON files it is made
of. Those in `docs/results` are the evaluation.json of runs, or the log.csv.
"""

import csv
import json
import pathlib
import re
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCHMARKS, RESULTS = "benchmarks/results", "docs/results"
NAMES = {
    "tensorflow": "TensorFlow",
    "jax": "JAX",
    "torch": "PyTorch",
    "plain torch": "plain PyTorch",
}
BLOCK = re.compile(r"(<!-- table ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(columns, rows):
    """Returns a table in Markdown; every cell is a string."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(
        f"| {' | '.join(cell.strip().replace('|', '&#124;') for cell in line)} |\n"
        for line in lines
    )


# --- Benchmarks


def _backend(row):
    """The backend and the precision of a row such as "torch, bfloat16", as two cells."""
    backend, _, rest = row.partition(", ")
    precision = "mixed bfloat16" if "bfloat16" in rest else "float32"
    return [NAMES[backend] + (", `jit`" if rest == "jit" else ""), precision]


def environments(content):
    """Steps of voicegan, adainvc and waveglow with older and newer frameworks."""
    return table(
        [
            "model",
            "backend",
            *_ages(content["old"], content["new"]),
            "against plain PyTorch, older",
            "newer",
        ],
        [
            [
                f"`{model}`",
                NAMES[row],
                f"{each['old_s']:.3f} s",
                f"{each['new_s']:.3f} s",
                f"{each['old_to_plain_torch']:.2f}",
                f"{each['new_to_plain_torch']:.2f}",
            ]
            for model, rows in content["step"].items()
            for row, each in rows.items()
        ],
    )


def small_models(content):
    """Steps of the other models with older and newer frameworks."""
    old, new = content["environments"]
    return table(
        [
            "model",
            "backend",
            *_ages(old["versions"], new["versions"]),
            "against TensorFlow, older",
            "newer",
        ],
        [
            [
                f"`{model}`",
                NAMES[backend],
                *(f"{each['step_s'][model][backend]:.3f} s" for each in (old, new)),
                *(f"{each['speed_against_tensorflow'][model][backend]:.2f}" for each in (old, new)),
            ]
            for model, row in old["step_s"].items()
            for backend in row
        ],
    )


def _ages(*versions):
    return [
        f"TensorFlow {each['tensorflow'].removesuffix('.0')}, JAX {each['jax']}"
        for each in versions
    ]


def train_step(content):
    """A step of voicegan by backend and precision."""
    return table(
        ["backend", "precision", "step", "speed against plain PyTorch", "first step"],
        [
            [
                *_backend(row),
                f"{each['step_s']:.3f} s",
                f"{each['ratio_to_plain_torch']:.2f}",
                f"{each['first_step_s']:.1f} s",
            ]
            for row, each in content["settings"].items()
        ],
    )


def adainvc(content):
    """A step of adainvc and a conversion by backend."""
    return table(
        ["backend", "step", "speed against plain PyTorch", "conversion, times real time"],
        [
            [
                NAMES[row],
                f"{each['step_s']:.3f} s",
                f"{each['step_against_plain_torch']:.2f}",
                f"{each['times_real_time']:.0f}",
            ]
            for row, each in content["rows"].items()
        ],
    )


def waveglow(content):
    """A step of waveglow and a synthesis by backend and precision."""
    return table(
        [
            "backend",
            "precision",
            "step",
            "speed against plain PyTorch",
            "synthesis, times real time",
            "against plain PyTorch",
            "memory of a step",
        ],
        [
            [
                *_backend(row),
                f"{each['step_s']:.3f} s",
                f"{each['step_against_plain_torch']:.2f}",
                f"{each['times_real_time']:.1f} ({each['khz']:.0f} kHz)",
                f"{each['synthesis_against_plain_torch']:.2f}",
                f"{each['memory_mb']:.0f} MB",
            ]
            for row, each in content["rows"].items()
        ],
    )


def commands(*contents):
    """Whole commands by backend: time and memory."""
    rows = []
    for content in contents:
        for row, each in content["rows"].items():
            title, _, last = row.rpartition(", ")
            name, backend = (title, NAMES[last]) if last in NAMES else (row, "")
            fast = each.get("times_real_time")
            rows.append(
                [
                    f"`{name.partition(',')[0]}`{name.partition(',')[2]}",
                    backend,
                    f"{each['seconds']:.1f} s",
                    f"{fast:.0f}" if fast and fast > 2 else "",
                    f"{each['peak_mb']} MB",
                ]
            )
    return table(["command", "backend", "time", "times real time", "memory"], rows)


# --- Evaluations


def evaluated(number=0):
    """Returns the function that shows one of the tables that `evaluate` prints."""

    def made(content):
        shown = content["tables"][number]
        return table(shown["columns"], shown["rows"])

    return made


def compared(*runs):
    """Returns the function that shows the metrics of some runs side by side."""

    def made(*contents):
        names = dict.fromkeys(name for content in contents for name in content["metrics"])
        return table(
            ["", *runs],
            [[name, *(_number(each["metrics"].get(name)) for each in contents)] for name in names],
        )

    return made


def tried(content):
    """The metrics of some trials side by side."""
    return compared(*content["rows"])(*content["rows"].values())


def seeds(*contents):
    """The metrics of runs that differ in their seeds: median and range."""
    rows = []
    for name in contents[0]["metrics"]:
        values = [each["metrics"][name] for each in contents]
        low, middle, high = (f(values) for f in (min, statistics.median, max))
        rows.append([name, _number(middle), f"{_number(low)} to {_number(high)}"])
    return table(["", "median", "range"], rows)


def trials(content):
    """Conversions by runs of adainvc: benchmarks/trials.py."""
    measures = {
        "nearer to the target": ".0%",
        "cosine with the target": ".2f",
        "cosine with the source": ".2f",
        "phone error rate": ".1%",
        "DNSMOS P.808": ".2f",
    }

    def cells(row):
        low, high = (100 * edge for edge in row["interval"])
        nearer, *others = [format(row[name], form) for name, form in measures.items()]
        return [f"{nearer} ({low:.0f}-{high:.0f})", *others]

    rows = [
        ["" if k else "the sources", sound, *cells(each)]
        for k, (sound, each) in enumerate(content["sources"].items())
    ]
    for name, row in content["rows"].items():
        judged = {sound: each for sound, each in row.items() if isinstance(each, dict)}
        for k, (sound, each) in enumerate(judged.items()):
            rows.append(["" if k else name, sound, *cells(each)])
    return table(["run", "sound", *measures], rows)


def left_out(content):
    """Accuracy on speakers that were left out: benchmarks/leave_speakers_out.py."""
    interval = f"{content['low']:.0%}-{content['high']:.0%}"
    folds = [
        [", ".join(name.rpartition("/")[2] for name in speakers), f"{accuracy:.1%}"]
        for speakers, accuracy in zip(content["folds"], content["accuracy_of_folds"])
    ]
    return table(
        ["test speakers", "accuracy (95 %)"],
        [*folds, ["all", f"{content['accuracy']:.1%} ({interval})"]]
        + [["listeners", f"{content['listeners']:.1%}"]] * ("listeners" in content),
    )


def likelihoods(log):
    """The log.csv of a waveglow: likelihood by step."""
    rows = [row for row in log if int(row["step"]) % 1000 == 0 or row is log[0]]
    names = {
        "training": ("log_likelihood", 2),
        "validation": ("val_log_likelihood", 2),
        "validation, bits, averaged weights": ("val_averaged_bits", 2),
    }
    return table(
        ["step", *(row["step"] for row in rows)],
        [
            [name, *(f"{float(row[key]):.{digits}f}" for row in rows)]
            for name, (key, digits) in names.items()
        ],
    )


def vocoders(*titles):
    """Returns the function that shows resyntheses by some runs of waveglow and by Griffin-Lim."""

    def made(*contents):
        shown = [content["tables"][1] for content in contents]
        rows = [[title, *each["rows"][0][1:]] for title, each in zip(titles, shown)]
        lines = [shown[0]["columns"], *rows, shown[0]["rows"][1]]
        columns, *rows = (line[:-1] for line in lines)  # not the speed, which is of the machine
        return table(columns, rows)

    return made


def tones(content):
    """The study of objectives on tones: median and range over seeds, and what needs no model."""
    columns = {  # key in a row -> title, key in a reference, digits
        "MIG": ("MIG", "mig", 3),
        "DCI D": ("DCI-D", "dci_disentanglement", 3),
        "SAP": ("SAP", "sap_continuous", 3),
        "FactorVAE": ("FactorVAE score", "factor_vae", 3),
        "reconstruction": ("reconstruction error", "", 3),
        "KL": ("KL, nats", "", 1),
    }
    references = {
        "PCA": "PCA of the same images",
        "noise": "noise",
        "identity": "the factors themselves",
    }
    rows = [
        [
            name,
            *(
                f"{row[key]['median']:.{digits}f} "
                f"({row[key]['least']:.{digits}f} to {row[key]['largest']:.{digits}f})"
                for key, (_, _, digits) in columns.items()
            ),
        ]
        for name, row in content["rows"].items()
    ]
    known = {each["name"]: each for each in content["references"]}
    rows += [
        [
            title,
            *(
                f"{known[name][key]:.{digits}f}" if key else ""
                for _, key, digits in columns.values()
            ),
        ]
        for name, title in references.items()
    ]
    return table(["", *(title for title, _, _ in columns.values())], rows)


def recognisers(content):
    """What independent judges hear in recordings, through Griffin-Lim, and in noise."""
    keys = ("phones", "phones, against those heard in the recording", "words")
    rows = []
    for name, row in content["rows"].items():
        rates = (row[key] for key in keys)
        cells = [
            f"{each['rate']:.1%} ({each['low']:.1%}-{each['high']:.1%})" if each else ""
            for each in rates
        ]
        rows.append([name, *cells, *(f"{value:.2f}" for value in row["quality"].values())])
    names = {"p808": "P.808", "overall": "P.835"}
    quality = [
        f"DNSMOS, {names.get(each, each)}"
        for each in next(iter(content["rows"].values()))["quality"]
    ]
    return table(
        ["sound", "phone error rate", *("against those heard in the recording", "word error rate")]
        + quality,
        rows,
    )


def frame_phones(content):
    """How well a recogniser labels the frames of demo."""
    return table(
        ["measure", "value"],
        [
            [name, f"{value:.1%}" if 0 < value < 1 else f"{value:#.3g}".rstrip(".")]
            for name, value in content.items()
            if isinstance(value, float)
        ],
    )


def _number(value):
    return "" if value is None else f"{value:#.3g}".rstrip(".") if value else "0"


TABLES = {
    "environments": (environments, f"{BENCHMARKS}/environments.json"),
    "small-models": (small_models, f"{BENCHMARKS}/small_models.json"),
    "train-step": (train_step, f"{BENCHMARKS}/train_step_default.json"),
    "adainvc-step": (adainvc, f"{BENCHMARKS}/adainvc_default.json"),
    "waveglow-step": (waveglow, f"{BENCHMARKS}/waveglow_default.json"),
    "commands": (
        commands,
        f"{BENCHMARKS}/commands_convert.json",
        f"{BENCHMARKS}/commands_data.json",
    ),
    "tones": (tones, f"{BENCHMARKS}/tones_study.json"),
    "voicegan": (evaluated(), f"{RESULTS}/voicegan.json"),
    "voicegan-labels": (evaluated(1), f"{RESULTS}/voicegan.json"),
    "voicegan-recordings": (evaluated(), f"{RESULTS}/voicegan_recordings.json"),
    "voicegan-recordings-labels": (evaluated(1), f"{RESULTS}/voicegan_recordings.json"),
    "voicegan-recordings-judges": (evaluated(2), f"{RESULTS}/voicegan_recordings.json"),
    "classifier": (evaluated(), f"{RESULTS}/classifier.json"),
    "classifiers": (
        compared("default", "`:judge`", "`:wave`"),
        *(f"{RESULTS}/classifier{each}.json" for each in ("", "_judge", "_wave")),
    ),
    "classifier-tess-ravdess": (evaluated(), f"{RESULTS}/classifier_tess_ravdess.json"),
    "classifier-paper": (evaluated(), f"{RESULTS}/classifier_paper_tess_ravdess.json"),
    "classifier-ravdess": (evaluated(), f"{RESULTS}/classifier_ravdess.json"),
    "left-out": (left_out, f"{BENCHMARKS}/leave_speakers_out.json"),
    "classifiers-ravdess": (
        compared("RAVDESS, width 16, 3000 steps", "RAVDESS", "RAVDESS and TESS"),
        *(
            f"{RESULTS}/classifier_{each}.json"
            for each in ("ravdess", "ravdess_default", "tess_plus_ravdess")
        ),
    ),
    "speakerencoder": (evaluated(), f"{RESULTS}/speakerencoder.json"),
    "speakerencoder-recordings": (evaluated(), f"{RESULTS}/speakerencoder_recordings.json"),
    "speakerencoder-resemblyzer": (evaluated(), f"{RESULTS}/speakerencoder_resemblyzer.json"),
    "judges": (recognisers, f"{BENCHMARKS}/judges.json"),
    "judges-phones": (frame_phones, f"{BENCHMARKS}/judges_phones.json"),
    "adainvc-trials-short": (trials, f"{BENCHMARKS}/adainvc_trials_short.json"),
    "adainvc-trials": (trials, f"{BENCHMARKS}/adainvc_trials.json"),
    "adainvc-test": (trials, f"{BENCHMARKS}/adainvc_test.json"),
    "adainvc-valid-t6": (trials, f"{BENCHMARKS}/adainvc_valid_t6.json"),
    "adainvc-valid-limited": (trials, f"{BENCHMARKS}/adainvc_valid_limited.json"),
    "adainvc-test-t6": (trials, f"{BENCHMARKS}/adainvc_test_t6.json"),
    "adainvc-voices": (evaluated(), f"{RESULTS}/adainvc.json"),
    "adainvc-content": (evaluated(1), f"{RESULTS}/adainvc.json"),
    "adainvc-f0": (evaluated(2), f"{RESULTS}/adainvc.json"),
    "adainvc-judges": (evaluated(4), f"{RESULTS}/adainvc.json"),
    "adainvc-norm": (
        compared("with instance normalisation", "without"),
        f"{RESULTS}/adainvc.json",
        f"{RESULTS}/adainvc_without_norm.json",
    ),
    "waveglow-log": (likelihoods, f"{RESULTS}/waveglow_log.csv"),
    "waveglow-likelihood": (evaluated(), f"{RESULTS}/waveglow.json"),
    "waveglow": (
        vocoders("default", "the same after one step", "without prewhitening, 1000 steps"),
        *(f"{RESULTS}/waveglow{each}.json" for each in ("", "_one_step", "_without_prewhitening")),
    ),
    "voicegan-emodb": (evaluated(), f"{RESULTS}/voicegan_emodb.json"),
    "voicegan-emodb-labels": (evaluated(1), f"{RESULTS}/voicegan_emodb.json"),
    "waveglow-recordings-likelihood": (evaluated(), f"{RESULTS}/waveglow_recordings.json"),
    "waveglow-recordings": (evaluated(1), f"{RESULTS}/waveglow_recordings.json"),
    "waveglow-recordings-judges": (evaluated(2), f"{RESULTS}/waveglow_recordings.json"),
    "betavae-trials": (tried, f"{BENCHMARKS}/betavae_trials.json"),
    "betavae-readers-latents": (evaluated(), f"{RESULTS}/betavae_readers.json"),
    "betavae-readers-flip": (evaluated(2), f"{RESULTS}/betavae_readers.json"),
    "betavae-readers-judges": (evaluated(3), f"{RESULTS}/betavae_readers.json"),
    "betavae-seeds": (seeds, *(f"{RESULTS}/betavae_seed_{n}.json" for n in range(3))),
    "betavae-latents": (evaluated(), f"{RESULTS}/betavae_seed_0.json"),
    "betavae-flip": (evaluated(2), f"{RESULTS}/betavae_seed_0.json"),
    "maximize": (evaluated(), f"{RESULTS}/maximize.json"),
    "maximize-targets": (evaluated(1), f"{RESULTS}/maximize.json"),
    "maximize-changes": (evaluated(2), f"{RESULTS}/maximize.json"),
    "maximize-recordings": (evaluated(), f"{RESULTS}/maximize_recordings.json"),
    "maximize-recordings-targets": (evaluated(1), f"{RESULTS}/maximize_recordings.json"),
    "maximize-plain": (evaluated(), f"{RESULTS}/maximize_plain.json"),
    "maximize-plain-targets": (evaluated(1), f"{RESULTS}/maximize_plain.json"),
}


def read(path):
    """The content of a JSON file, or the rows of a table as dicts of texts."""
    text = path.read_text()
    return list(csv.DictReader(text.splitlines())) if path.suffix == ".csv" else json.loads(text)


def filled(text):
    """Returns the text of a page with its tables made anew."""

    def made(block):
        function, *files = TABLES[block[2]]
        contents = [read(ROOT / file) for file in files]
        return block[1] + function(*contents) + block[3]

    return BLOCK.sub(made, text)


def main(words):
    wrong = []
    for page in sorted((ROOT / "docs").rglob("*.md")):
        text = page.read_text()
        if (new := filled(text)) != text:
            wrong.append(page.relative_to(ROOT).as_posix())
            if "--check" not in words:
                page.write_text(new)
    print(
        "\n".join(
            f"{page}: its tables are not what the JSON holds"
            if "--check" in words
            else f"{page}: written"
            for page in wrong
        )
        or "every table shows what its JSON holds"
    )
    return int("--check" in words and bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
