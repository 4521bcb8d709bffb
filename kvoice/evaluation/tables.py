"""Formats tables of results as plain text."""

import os
import pathlib

from kvoice.evaluation import Options
from kvoice.files import write_json


def text(table: dict) -> str:
    """Returns a table as plain text with aligned columns."""
    rows = [table["columns"], *table["rows"]]
    wide = [max(len(row[i]) for row in rows) for i in range(len(table["columns"]))]
    lines = [
        "  ".join(
            f"{cell:{w}}" if i == 0 else f"{cell:>{w}}"
            for i, (cell, w) in enumerate(zip(row, wide))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([table["title"], *lines])


def written(
    folder: str | os.PathLike, scores: dict, options: Options, *before: str, after: str = ""
) -> str:
    """Writes the scores of a run to FOLDER/evaluation.json.

    Args:
        folder: The folder of the run, or of the maximisation.
        scores: A dict fit for JSON, with "tables" and, where there are any, "notes".
        options: The options of the evaluation; the split is stored with the scores.
        before: Paragraphs that are printed above the tables.
        after: The end of the last line, which names the file.

    Returns:
        The tables and notes as text, with the path of the file.
    """
    path = pathlib.Path(folder) / "evaluation.json"
    write_json(path, scores | {"split": options.split})
    notes = ["\n".join(scores["notes"])] if scores.get("notes") else []
    if options.split != "test":
        before = (f"Measured on the split {options.split}, to choose between runs.", *before)
    last = f"{path} holds the numbers{after}"
    return "\n\n".join([*before, *map(text, scores["tables"]), *notes, last])
