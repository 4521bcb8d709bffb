"""`folder:DIR`: a folder for each speaker, optionally with a metadata.csv."""

import csv
import os

from kvoice.data.corpora.layout import AUDIO, audio_files, unrecognised
from kvoice.data.corpora.utterance import EMOTION_WORDS, GENDER_WORDS, SPLITS, Item, Skipped
from kvoice.errors import KvoiceError, hint


def items(root: str) -> tuple[list[Item], list[Skipped]]:
    """The utterances `<speaker>/**/*.wav` or `<speaker>/<emotion>/...`, and the files left out.

    Fields of metadata.csv, where it exists, override those of the folders.
    """
    files = audio_files(root)
    if not files:
        raise unrecognised(
            "a folder of speakers",
            root,
            f"SPEAKER/NAME with NAME ending in one of {' '.join(AUDIO)}",
        )
    corpus = os.path.basename(os.path.abspath(root))
    rows = _metadata(os.path.join(root, "metadata.csv"))
    found, skipped = [], []
    for file in files:
        folders = file.split(os.sep)[:-1]
        row = rows.pop(os.path.normpath(file), {})
        speaker = row.get("speaker") or "".join(folders[:1])
        if not speaker:
            skipped.append(
                Skipped(
                    os.path.join(root, file), "no speaker's folder and no speaker in metadata.csv"
                )
            )
            continue
        emotion = EMOTION_WORDS.get(folders[1].lower(), "") if len(folders) > 1 else ""
        found.append(
            Item(
                corpus=corpus,
                name=f"{corpus}/{file.replace(os.sep, '/')}",
                speaker=f"{corpus}/{speaker}",
                gender=row.get("gender", ""),
                emotion=row.get("emotion") or emotion,
                text=row.get("text", ""),
                split=row.get("split", ""),
                path=os.path.join(root, file),
            )
        )
    skipped += [
        Skipped(os.path.join(root, file), "listed in metadata.csv but not there") for file in rows
    ]
    if not found:
        raise KvoiceError(
            f"{root}: {skipped[0].file} has {skipped[0].reason}: put each speaker's "
            "files into a folder of the speaker's name"
        )
    return found, skipped


def _metadata(path):
    """The rows of a metadata.csv by path; {} if there is none."""
    if not os.path.exists(path):
        return {}
    fields = {"path", "speaker", "gender", "emotion", "text", "split"}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, restval="")
            header = table.fieldnames or []
            if "path" not in header or not fields.issuperset(header):
                raise KvoiceError(
                    f"{path}: the first line must name path and any of "
                    f"{', '.join(sorted(fields - {'path'}))}, separated by commas; "
                    f"it is {','.join(header)!r}"
                )
            rows = {}
            for row in table:
                line = f"{path} line {table.line_num}"
                file_name = os.path.normpath(row["path"])
                if None in row:
                    raise KvoiceError(
                        f"{line}: more fields than the first line names: "
                        "put a text that holds commas into double quotes"
                    )
                if file_name in rows:
                    raise KvoiceError(f"{line}: {row['path']} is listed twice")
                rows[file_name] = row | {
                    "emotion": _word(row, "emotion", EMOTION_WORDS, line),
                    "gender": _word(row, "gender", GENDER_WORDS, line),
                    "split": _word(row, "split", {name: name for name in SPLITS}, line),
                }
            return rows
    except UnicodeDecodeError:
        raise KvoiceError(f"{path}: not UTF-8: save it as UTF-8") from None


def _word(row, field, words, line):
    """The label that a row's word stands for; "" where the field is empty."""
    word = (row.get(field) or "").strip().lower()
    if word and word not in words:
        raise KvoiceError(f"{line}: {field} {row[field]!r} is unknown: {hint(word, words)}")
    return words.get(word, "")
