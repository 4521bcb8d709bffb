"""`folder:DIR`: a folder for each speaker, optionally with a metadata.csv."""

import csv
import os

from kvoice.data.corpora.layout import AUDIO, audio_files, composed, normalised, unrecognised
from kvoice.data.corpora.utterance import EMOTION_WORDS, GENDER_WORDS, SPLITS, Item, Skipped
from kvoice.errors import KvoiceError, hint


def items(root: str) -> tuple[list[Item], list[Skipped]]:
    """The utterances `<speaker>/**/*.wav` or `<speaker>/<emotion>/...`, and the files left out.

    Fields of metadata.csv, where it exists, override those of the folders.
    """
    files, skipped = audio_files(root)
    if not files:
        raise unrecognised(
            "a folder of speakers",
            root,
            f"SPEAKER/NAME with NAME ending in one of {' '.join(AUDIO)}",
        )
    corpus = composed(os.path.basename(os.path.abspath(root)))
    table = os.path.join(root, "metadata.csv")
    rows = _metadata(table, root)
    if rows and not any(normalised(file) in rows for file in files):
        raise KvoiceError(
            f"{table}: none of its {len(rows)} rows is a file there, for instance "
            f"{next(iter(rows))!r}; the column path holds paths from {root} on, such as "
            f"{files[0]!r}"
        )
    found = []
    for file in files:
        folders = file.split(os.sep)[:-1]
        row = rows.pop(normalised(file), {})
        speaker = composed(row.get("speaker") or "".join(folders[:1]))
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
                name=f"{corpus}/{normalised(file)}",
                speaker=f"{corpus}/{speaker}",
                gender=row.get("gender", ""),
                emotion=row.get("emotion") or emotion,
                text=row.get("text", ""),
                split=row.get("split", ""),
                path=os.path.join(root, file),
            )
        )
    for file in rows:
        there = "outside of this folder" if file.startswith(("../", "/")) else "not there"
        skipped.append(Skipped(os.path.join(root, file), f"listed in metadata.csv but {there}"))
    if not found:
        raise KvoiceError(
            f"{root}: {skipped[0].file} has {skipped[0].reason}: put each speaker's "
            "files into a folder of the speaker's name"
        )
    _refuse_contradictions(found, table)
    return found, skipped


def _refuse_contradictions(items, table):
    """Refuses a speaker of two genders."""
    genders = {}
    for item in items:
        if item.gender and genders.setdefault(item.speaker, item.gender) != item.gender:
            raise KvoiceError(
                f"{table}: the speaker {item.speaker.partition('/')[2]} is {item.gender} in the "
                f"row of {item.name.partition('/')[2]}, but {genders[item.speaker]} in another one"
            )


def _metadata(path, root):
    """The rows of a metadata.csv by `normalised` path from `root` on; {} if there is none."""
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
                file_name = _from_root(row["path"], root)
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
    except csv.Error as error:
        raise KvoiceError(f"{path}: no table of fields separated by commas: {error}") from None
    except UnicodeDecodeError:
        raise KvoiceError(f"{path}: not UTF-8: save it as UTF-8") from None


def _from_root(path, root):
    """A path of a row, which may be absolute, from `root` on."""
    path = normalised(path)
    for whole in (os.path.abspath(root), os.path.realpath(root)):
        if path.startswith(start := f"{normalised(whole)}/"):
            return path.removeprefix(start)
    return path


def _word(row, field, words, line):
    """The label that a row's word stands for; "" where the field is empty."""
    word = (row.get(field) or "").strip().lower()
    if word and word not in words:
        raise KvoiceError(f"{line}: {field} {row[field]!r} is unknown: {hint(word, words)}")
    return words.get(word, "")
