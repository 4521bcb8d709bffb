"""`commonvoice:DIR`: Common Voice as downloaded, in one or several languages."""

import os

from kvoice.data.corpora.layout import audio_files, lines_of, stem_of, unrecognised
from kvoice.data.corpora.utterance import GENDER_WORDS, Item, Skipped
from kvoice.errors import KvoiceError

_CONFIRMED, _PARTS = ("validated.tsv",), ("train.tsv", "dev.tsv", "test.tsv")
_COLUMNS = ("client_id", "path", "sentence")
_DIGITS = 16  # of the 128 hexadecimal ones of a speaker: enough to tell all apart


def items(root: str) -> tuple[list[Item], list[Skipped]]:
    """The utterances `LANGUAGE/clips/NAME.mp3`, and the files left out.

    Speakers (`client_id`), texts (`sentence`) and genders are those of the table
    `LANGUAGE/validated.tsv`, or of `train.tsv`, `dev.tsv` and `test.tsv` where it is missing. Other
    clips are left out: listeners did not confirm their words. Tables of some editions name the
    clips without ".mp3", or have the genders `female_feminine` and `male_masculine`; after other
    answers the gender is unknown. A speaker has the first gender that is known. The published parts
    are not used as splits: the split is drawn among all speakers.

    Raises:
        KvoiceError: If nothing has this layout, or a table lacks a column.

    Source: Ardila et al. 2020, arXiv:1912.06670.
    """
    files, skipped = audio_files(root)
    clips, tables, genders, found = {}, {}, {}, {}
    for file in files:
        path = os.path.join(root, file)
        clips.setdefault(os.path.dirname(path), {})[stem_of(path)] = path
    for folder in clips:
        tables[folder] = _rows(os.path.dirname(os.path.abspath(folder)))
        for speaker, _, gender in tables[folder].values():
            genders[speaker] = genders.get(speaker) or gender
    for folder, rows in tables.items():
        paths = clips[folder]
        if not rows:
            skipped.append(Skipped(folder, f"no {_CONFIRMED[0]} beside it names the speakers"))
        for stem in rows.keys() & paths.keys() & found.keys():
            skipped.append(Skipped(paths[stem], "a second copy", intended=True))
        for stem, (speaker, text, _) in rows.items():
            if stem in paths and stem not in found:
                found[stem] = Item(
                    corpus="commonvoice",
                    name=f"commonvoice/{stem}",
                    speaker=f"commonvoice/{speaker}",
                    gender=genders[speaker],
                    text=text,
                    path=paths[stem],
                )
        for names, reason in (
            (rows and paths.keys() - rows.keys(), "clips whose words listeners did not confirm"),
            (rows.keys() - paths.keys(), "confirmed clips that are not there"),
        ):
            if names:
                skipped.append(Skipped(folder, f"{len(names)} {reason}", intended=True))
    lacking = [
        table
        for folder in clips
        if not os.path.exists(table := os.path.join(os.path.dirname(folder), *_CONFIRMED))
    ]
    if not found and lacking:
        raise KvoiceError(
            f"{lacking[0]}: is not there; it names the speakers and the texts of the clips"
        )
    if not found:
        expected = f"LANGUAGE/clips/NAME.mp3, listed in LANGUAGE/{_CONFIRMED[0]}"
        raise unrecognised("Common Voice", root, expected)
    return list(found.values()), skipped


def _rows(folder):
    """The rows of the tables in the folder of a language: stem -> (speaker, text, gender)."""
    rows = {}
    for table in _CONFIRMED if os.path.exists(os.path.join(folder, *_CONFIRMED)) else _PARTS:
        path = os.path.join(folder, table)
        header, *lines = [line.split("\t") for line in lines_of(path)] or [[]]
        if missing := set(_COLUMNS) - set(header) if header else set():
            raise KvoiceError(
                f"{path}: its first line names no {', '.join(sorted(missing))}; it is "
                f"{' '.join(header)!r}"
            )
        for line in lines:
            row = dict(zip(header, line))
            if set(_COLUMNS) <= row.keys():
                clip = os.path.basename(row["path"]).removesuffix(".mp3")
                gender = GENDER_WORDS.get(row.get("gender", "").partition("_")[0], "")
                rows.setdefault(clip, (row["client_id"][:_DIGITS], row["sentence"], gender))
    return rows
