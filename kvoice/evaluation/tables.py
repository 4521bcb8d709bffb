"""Formats tables of results as plain text."""

import os


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


def printed(scores: dict, path: str | os.PathLike, *before: str, after: str = "") -> str:
    """Returns the tables and notes of scores as text, with the path of the file of the numbers."""
    notes = ["\n".join(scores["notes"])] if scores.get("notes") else []
    last = f"{path} holds the numbers{after}"
    return "\n\n".join([*before, *map(text, scores["tables"]), *notes, last])
