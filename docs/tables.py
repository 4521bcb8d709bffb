"""Writes the tables of the pages in docs/ from committed JSON, between `<!-- table NAME -->` and
`<!-- end -->`.

    python docs/tables.py            # after a benchmark or an evaluation was run again
    python docs/tables.py --check    # exits with 1 where a page does not show what its JSON holds

A row of `TABLES` is the name of a table, the JSON file it is made of, and the function that makes
it.
"""

import json
import pathlib
import re
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
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


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


def voicegan(content):
    """Generated clips beside real ones and noise: the JSON is the evaluation.json of the run."""
    titles = {
        "generated": "generated",
        "real train": "real, of the training speakers",
        "real test": "real, of the test speakers (the reference)",
        "white noise": "white noise as loud as each test clip",
        "untrained": "the same model before training",
    }
    rows = []
    for name, title in titles.items():
        row = content["rows"][name]
        share = row["confirmed"]["all"]
        rows.append(
            [
                title,
                *(
                    f"{row[key]['all']:#.3g}" if row[key]["all"] else "0"
                    for key in ("frechet", "diversity", "novelty")
                ),
                f"{share['share']:.0%} ({share['low']:.0%}-{share['high']:.0%})",
            ]
        )
    return table(
        ["clips", "Frechet distance", "diversity", "novelty", "classified as the intended emotion"],
        rows,
    )


TABLES = {
    "environments": (f"{BENCHMARKS}/environments.json", environments),
    "small-models": (f"{BENCHMARKS}/small_models.json", small_models),
    "train-step": (f"{BENCHMARKS}/train_step_default.json", train_step),
    "adainvc-step": (f"{BENCHMARKS}/adainvc_default.json", adainvc),
    "waveglow-step": (f"{BENCHMARKS}/waveglow_default.json", waveglow),
    "voicegan": (f"{RESULTS}/voicegan.json", voicegan),
}


def filled(text):
    """Returns the text of a page with its tables made anew."""

    def made(block):
        file, function = TABLES[block[2]]
        return block[1] + function(json.loads((ROOT / file).read_text())) + block[3]

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
