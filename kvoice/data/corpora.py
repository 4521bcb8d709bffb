"""Corpora: what `--data` names, turned into a list of utterances with their labels.

`NAME[:WHERE]`, joined by "+": `demo`, `demo:100` (speakers), `demo:25-224` (those of these numbers),
`espeak`, `folder:DIR`, `ravdess:DIR`, `tess:DIR`, `tess-ravdess:DIR`, `vctk:DIR`, `libritts:DIR`,
`librispeech:DIR`. A path may contain ":" but not "+".

Nothing is read here but names, texts and tables: `recording` reads or renders one utterance. Every
corpus maps its labels to the words of `EMOTIONS` and `GENDERS`, and its speakers to
"corpus/speaker", so that corpora can be joined.
"""

import bisect
import collections
import csv
import dataclasses
import difflib
import filecmp
import functools
import importlib
import os
import re

from kvoice import audio
from kvoice.data.recording import Recording
from kvoice.errors import KvoiceError

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised", "bored")
GENDERS = ("female", "male")
SPLITS = ("train", "valid", "judge", "test")
AUDIO = (".wav", ".flac", ".ogg", ".mp3")
RENDERED = ("demo", "espeak")
ASSIGNED = ("tess-ravdess",)  # corpora that say themselves which split an utterance is in

_EMOTION_WORDS = {word: word for word in EMOTIONS} | {
    "neutrality": "neutral",
    "calmness": "calm",
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
    "anger": "angry",
    "fear": "fearful",
    "disgusted": "disgust",
    "boredom": "bored",
    "surprise": "surprised",
    "ps": "surprised",
    "pleasant_surprise": "surprised",
    "pleasant_surprised": "surprised",
}
_GENDER_WORDS = {
    "female": "female",
    "f": "female",
    "woman": "female",
    "male": "male",
    "m": "male",
    "man": "male",
}


@dataclasses.dataclass(frozen=True)
class Item:
    """One utterance of a corpus before it is read; "" = unknown."""

    corpus: str
    name: str  # unique, e.g. "ravdess/03-01-05-01-01-01-07"
    speaker: str  # "ravdess/07"
    gender: str = ""
    emotion: str = ""
    text: str = ""
    split: str = ""  # where the corpus itself says so
    path: str = ""  # of a file; "" where the corpus renders
    utterance: object = None  # what the renderer needs


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A file that is left out, and why."""

    file: str
    reason: str


def items(data):
    """(the utterances of a corpus or of several, the files left out).

    Args:
        data: `NAME[:WHERE]`, joined by "+", as in the module's docstring.

    Raises:
        KvoiceError: If a name is unknown, a directory missing or empty, its layout not the
            corpus', or a corpus named twice (or two that share their speakers).
    """
    found, skipped, names = [], [], set()
    parts = [part.partition(":") for part in data.split("+")]
    for name, _, _ in parts:
        if name not in RENDERED and name not in _READERS:
            plus = ' (a path may not contain "+")' if len(parts) > 1 else ""
            raise KvoiceError(
                f"--data={data}: there is no corpus {name!r}: "
                f"{hint(name, [*RENDERED, *_READERS])}{plus}"
            )
    if {"librispeech", "libritts"} <= {name for name, _, _ in parts}:
        raise KvoiceError(
            f"--data={data}: LibriTTS has readers of LibriSpeech, who would be two speakers each, "
            "perhaps one to learn from and one to be tested on: choose one of the two"
        )
    for name, _, where in parts:
        if name in RENDERED:
            found += _rendered(name, where)
        else:
            files, left_out = _READERS[name](_directory(name, where))
            found += files
            skipped += left_out
    for item in found:
        if item.name in names:
            raise KvoiceError(
                f"--data={data}: two utterances are called {item.name}: "
                "join a corpus only once, and folders of different names"
            )
        names.add(item.name)
    return found, skipped


def recording(item, sample_rate_hz, hop):
    """Reads or renders an utterance.

    Args:
        item: One of `items`.
        sample_rate_hz: Of the result; files are resampled.
        hop: Samples between the frame labels, where the corpus brings them.

    Raises:
        KvoiceError: If the file cannot be read.
    """
    if item.path:
        return Recording(*audio.read(item.path, sample_rate_hz))
    return _renderer(item.corpus).render(item.utterance, sample_rate_hz, hop)


def phones(data):
    """The names of the phones that the frame labels of a corpus number; () where it has none.

    Raises:
        KvoiceError: If two joined corpora number their phones differently.
    """
    inventories = {
        name: tuple(getattr(_renderer(name), "PHONES", ()))
        for name in (part.partition(":")[0] for part in data.split("+"))
        if name in RENDERED
    }
    if len(set(filter(None, inventories.values()))) > 1:
        raise KvoiceError(
            f"--data={data}: {' and '.join(inventories)} number their phones "
            "differently: prepare them into two directories"
        )
    return max(inventories.values(), default=(), key=len)


def hint(word, known):
    """The way out for a word that is none of `known`."""
    close = difflib.get_close_matches(word, known, 1)
    return (
        f"did you mean {close[0]}?" if close else f"choose among {', '.join(filter(None, known))}"
    )


def version(corpus):
    """The version of a corpus that is rendered: another one sounds otherwise."""
    return getattr(_renderer(corpus), "VERSION", "")


# --- demo, espeak


def _renderer(name):
    return importlib.import_module(f"kvoice.data.synthetic.{name}")


def _rendered(name, where):
    """The utterances of a corpus that is rendered, not read."""
    wanted = _speakers(name, where) if where else {}
    return [_renderer(name).item(utterance) for utterance in _renderer(name).utterances(**wanted)]


def _speakers(name, where):
    """What `N`, or `A-B` of demo's endless list, asks of a renderer: arguments of its `utterances`."""
    numbers = re.fullmatch("([0-9]+)-([0-9]+)", where) if name == "demo" else None
    if not numbers:
        if not (re.fullmatch("[0-9]+", where) and int(where) > 0):
            some = f", {name}:100 or {name}:25-224" if name == "demo" else f" or {name}:12"
            raise KvoiceError(
                f"--data={name}:{where}: {where!r} is not a number of speakers: "
                f"say, for instance, {name}{some}"
            )
        return {"speakers": int(where)}
    first, last = int(numbers[1]), int(numbers[2])
    if not 1 <= first <= last:
        mistake = "speakers are numbered from 1" if first < 1 else "the last comes before the first"
        raise KvoiceError(f"--data={name}:{where}: {mistake}: say, for instance, {name}:25-224")
    return {"speakers": last - first + 1, "first": first}


# --- directories


def _directory(name, where):
    path = os.path.expanduser(where)
    if not where:
        raise KvoiceError(f"--data={name}: which directory? Say {name}:DIR")
    if not os.path.isdir(path):
        raise KvoiceError(f"--data={name}:{where}: there is no directory {path}")
    return path


def audio_files(root, kinds=AUDIO):
    """Paths of the files below `root` whose names end in one of `kinds`, relative to it and sorted.

    Hidden files and folders are not followed: macOS leaves `._NAME` beside NAME in archives.
    """
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name[0] != "." and name != "__MACOSX"]
        found += [
            os.path.relpath(os.path.join(folder, name), root)
            for name in files
            if name[0] != "." and name.lower().endswith(kinds)
        ]
    return sorted(found)


def _unrecognised(corpus, root, expected):
    """The error for a directory that holds nothing of a corpus; shows the first file found."""
    for folder, folders, files in os.walk(root):
        folders.sort()
        if files:
            first = os.path.relpath(os.path.join(folder, min(files)), root)
            return KvoiceError(
                f"{root} does not look like {corpus}: expected {expected}, "
                f"the first file found is {first}"
            )
    return KvoiceError(f"{root} is empty: {corpus} expects {expected}")


def _stem(path):
    return os.path.splitext(os.path.basename(path))[0]


def _folder(root):
    """`<speaker>/**/*.wav`, perhaps `<speaker>/<emotion>/...`, perhaps with a metadata.csv.

    A row of metadata.csv wins over what the folders say, field by field.
    """
    files = audio_files(root)
    if not files:
        raise _unrecognised(
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
        emotion = _EMOTION_WORDS.get(folders[1].lower(), "") if len(folders) > 1 else ""
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
                    "emotion": _word(row, "emotion", _EMOTION_WORDS, line),
                    "gender": _word(row, "gender", _GENDER_WORDS, line),
                    "split": _word(row, "split", {name: name for name in SPLITS}, line),
                }
            return rows
    except UnicodeDecodeError:
        raise KvoiceError(f"{path}: not UTF-8: save it as UTF-8") from None


def _word(row, field, words, line):
    """The label that a row's word stands for; "" where the row is silent."""
    word = (row.get(field) or "").strip().lower()
    if word and word not in words:
        raise KvoiceError(f"{line}: {field} {row[field]!r} is unknown: {hint(word, words)}")
    return words.get(word, "")


_RAVDESS_EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
_RAVDESS_TEXTS = ("Kids are talking by the door", "Dogs are sitting by the door")
_RAVDESS_NAME = re.compile(r"(0[1-3])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])")


def _ravdess(root, repeated=False):
    """`Actor_NN/03-01-EE-II-SS-RR-NN.wav`: modality, channel, emotion, intensity, statement,
    repetition, actor (odd = male).

    Songs and the sound of videos are left out (a video repeats the sound of its audio file), as
    are second copies: archives of it hold the tree twice, and one actor's two repetitions of one
    sentence are the same bytes (kept where `repeated`).

    Source: Livingstone & Russo 2018, doi:10.1371/journal.pone.0196391.
    """
    expected = "Actor_NN/03-01-05-01-01-01-NN.wav (speech, audio only)"
    found, skipped = {}, []
    for file in audio_files(root):
        path, stem = os.path.join(root, file), _stem(file)
        fields = _RAVDESS_NAME.fullmatch(stem)
        if not fields:
            skipped.append(Skipped(path, "not a name of RAVDESS"))
            continue
        modality, channel, emotion, _, statement, repetition, actor = fields.groups()
        folder = re.fullmatch(r"actor_(\d+)", os.path.basename(os.path.dirname(path)).lower())
        first_take = f"{stem[:15]}01-{actor}" if repetition == "02" else stem
        if modality != "03":
            skipped.append(Skipped(path, "the sound of a video"))
        elif channel != "01":
            skipped.append(Skipped(path, "song, not speech"))
        elif folder and int(folder[1]) != int(actor):
            skipped.append(Skipped(path, "the folder names another actor than the file"))
        elif stem in found:
            skipped.append(Skipped(path, "a second copy"))
        elif (
            not repeated
            and first_take != stem
            and first_take in found
            and filecmp.cmp(path, found[first_take].path, shallow=False)
        ):
            skipped.append(Skipped(path, "the same bytes as the other repetition"))
        else:
            found[stem] = Item(
                corpus="ravdess",
                name=f"ravdess/{stem}",
                speaker=f"ravdess/{actor}",
                gender="male" if int(actor) % 2 else "female",
                emotion=_RAVDESS_EMOTIONS[int(emotion) - 1],
                text=_RAVDESS_TEXTS[int(statement) - 1],
                path=path,
            )
    if not found:
        raise _unrecognised("RAVDESS", root, expected)
    return list(found.values()), skipped


_TESS_NAME = re.compile(r"(OAF|YAF|OA)_([a-z]+)_(angry|disgust|fear|happy|neutral|ps|sad)", re.I)


def _tess(root):
    """`OAF_WORD_EMOTION.wav` and `YAF_...`, flat or in folders of whatever name.

    Two women, so that splits by speaker are not to be had. The labels are those of the file's
    name, for the folders' spelling differs between copies (OAF_Sad, OAF_Pleasant_surprise,
    OAF_surprised); `OA_bite_neutral` is OAF's. Archives hold the tree twice: second copies are
    left out.

    Source: Pichora-Fuller & Dupuis 2020, doi:10.5683/SP2/E8H2MF.
    """
    found, skipped = {}, []
    for file in audio_files(root):
        path = os.path.join(root, file)
        fields = _TESS_NAME.fullmatch(_stem(file))
        if not fields:
            skipped.append(Skipped(path, "not a name of TESS"))
            continue
        speaker, word, emotion = fields[1].upper(), fields[2].lower(), fields[3].lower()
        speaker = "OAF" if speaker == "OA" else speaker
        name = f"tess/{speaker}_{word}_{emotion}"
        folder = re.match(r"(oaf|yaf)_", os.path.basename(os.path.dirname(path)).lower())
        if folder and folder[1].upper() != speaker:
            skipped.append(Skipped(path, "the folder names another speaker than the file"))
        elif name in found:
            skipped.append(Skipped(path, "a second copy"))
        else:
            found[name] = Item(
                corpus="tess",
                name=name,
                speaker=f"tess/{speaker}",
                gender="female",
                emotion=_EMOTION_WORDS[emotion],
                text=f"Say the word {word}",
                path=path,
            )
    if not found:
        raise _unrecognised("TESS", root, "OAF_WORD_EMOTION.wav and YAF_WORD_EMOTION.wav")
    return list(found.values()), skipped


_PROTOCOL_EMOTIONS = ("neutral", "happy", "sad", "angry")
_TESS_WORDS = 200


def _tess_ravdess(root):
    """TESS and RAVDESS in any folders, as a published protocol of emotion classification has them.

    Four emotions: neutral (RAVDESS' calm counts as neutral), happy, sad, angry. 2464 clips where
    both are complete, 1600 of TESS and 864 of RAVDESS: 2000 train, 232 valid, 232 test, none judge.

    TESS: of its 200 words in alphabetical order the first 160 train, the next 20 valid, the last 20
    test. A word is ranked among all words of the corpus, so that a file which a copy lacks moves no
    word into another split. RAVDESS: actors 1 to 20 train, 21 and 22 valid, 23 and 24 test.

    The sets leak, as published: both speakers of TESS are in all three (160 of the 232 test clips
    are of speakers that were trained on), and so are both sentences of RAVDESS. Numbers of this
    protocol compare with others of it only; how a classifier fares with new speakers shows in the
    72 test clips of RAVDESS alone.

    The one pair of takes with the same bytes is kept, as published (both train).

    Source: the earlier work on activation maximisation over voices (see `models.classifier`).
    """
    readers = {"TESS": _tess, "RAVDESS": functools.partial(_ravdess, repeated=True)}
    found, not_of = [], {}
    for corpus, reader in readers.items():
        try:
            own, left_out = reader(root)
        except KvoiceError as error:
            raise KvoiceError(
                f"--data=tess-ravdess:{root}: {corpus} is missing: {error}: "
                "put TESS and RAVDESS both below one directory"
            ) from None
        found += own
        not_of[corpus] = {skip.file: skip.reason for skip in left_out}
    skipped = []
    for file in sorted(not_of["TESS"].keys() & not_of["RAVDESS"].keys()):  # each skips the other's
        if _TESS_NAME.fullmatch(_stem(file)):
            reason = not_of["TESS"][file]
        elif _RAVDESS_NAME.fullmatch(_stem(file)):
            reason = not_of["RAVDESS"][file]
        else:
            reason = "a name neither of TESS nor of RAVDESS"
        skipped.append(Skipped(file, reason))
    words = _tess_words(root, [item for item in found if item.corpus == "tess"])
    used = []
    for item in found:
        emotion = "neutral" if item.emotion == "calm" else item.emotion
        if emotion not in _PROTOCOL_EMOTIONS:
            skipped.append(Skipped(item.path, "an emotion that the protocol does not use"))
            continue
        if item.corpus == "tess":
            split = _thresholds(bisect.bisect_left(words, _tess_word(item)), 160, 180)
        else:
            split = _thresholds(int(item.speaker[-2:]) - 1, 20, 22)
        used.append(dataclasses.replace(item, emotion=emotion, split=split))
    return used, skipped


def _thresholds(rank, valid, test):
    return "train" if rank < valid else "valid" if rank < test else "test"


def _tess_word(item):
    return item.text.rpartition(" ")[2]


def _tess_words(root, items):
    """The 200 words of TESS in alphabetical order.

    They are the ones that most speakers and emotions have: a stray spelling moves no other word.
    """
    counts = collections.Counter(_tess_word(item) for item in sorted(items, key=_tess_word))
    if len(counts) < _TESS_WORDS:
        raise KvoiceError(
            f"--data=tess-ravdess:{root}: TESS has {len(counts)} of its {_TESS_WORDS} words there, "
            "and the protocol splits it by their order: download the rest, or split what there is "
            f"otherwise with --data=tess:{root}+ravdess:{root}"
        )
    return sorted(word for word, _ in counts.most_common(_TESS_WORDS))


# --- Speakers who read


_VCTK_NAME = re.compile(r"((p\d{3}|s5)_\d{3})(?:_mic([12]))?")
_VCTK_ROW = re.compile(r"\s*(p?\d{3}|s5)\s+\S+\s+([MF])\b")  # ID, AGE, GENDER, ...


def _vctk(root):
    """`wav48_silence_trimmed/pNNN/pNNN_UUU_mic1.flac` (0.92) or `wav48/pNNN/pNNN_UUU.wav` (0.80).

    An utterance counts once: microphone 1, and 2 only where 1 is missing. The text is in
    `txt/pNNN/pNNN_UUU.txt` beside the sounds' folder, unknown where the file is missing (all of
    p315), and the gender in `speaker-info.txt`, whose IDs have no "p" in 0.80 and which lacks p280
    there. One speaker of 0.92 is called s5. Texts without sound (some of p362) are no utterances.

    Source: Yamagishi, Veaux & MacDonald 2019, doi:10.7488/ds/2645.
    """
    expected = "wav48_silence_trimmed/pNNN/pNNN_UUU_mic1.flac or wav48/pNNN/pNNN_UUU.wav"
    files = audio_files(root)
    genders = _genders(root, files, ("speaker-info.txt",), _VCTK_ROW)
    genders = {speaker if speaker[0] in "ps" else f"p{speaker}": genders[speaker] for speaker in genders}
    found, skipped = {}, []
    for file in sorted(files, key=lambda file: _stem(file).endswith("_mic2")):
        path, fields = os.path.join(root, file), _VCTK_NAME.fullmatch(_stem(file))
        if not fields:
            skipped.append(Skipped(path, "not a name of VCTK"))
            continue
        stem, speaker, microphone = fields.groups()
        folder = os.path.basename(os.path.dirname(path))
        if re.fullmatch(r"p\d{3}|s5", folder) and folder != speaker:
            skipped.append(Skipped(path, "the folder names another speaker than the file"))
        elif stem in found:
            second = "the other microphone" if microphone == "2" else "a second copy"
            skipped.append(Skipped(path, second))
        else:
            text = os.path.join(root, os.path.dirname(file), "../../txt", speaker, f"{stem}.txt")
            found[stem] = Item(
                corpus="vctk",
                name=f"vctk/{stem}",
                speaker=f"vctk/{speaker}",
                gender=genders.get(speaker, ""),
                text=" ".join(_lines(text)),
                path=path,
            )
    if not found:
        raise _unrecognised("VCTK", root, expected)
    if not genders:
        skipped.append(Skipped(os.path.join(root, "speaker-info.txt"), _NO_TABLE))
    return [found[stem] for stem in sorted(found)], skipped


_LIBRI_ROW = re.compile(r" *(\d+) *[|\t] *([MF]) *(?:[|\t]|$)")  # ID | SEX | ..., in either table
_LIBRI_TABLES = ("speakers.txt", "speakers.tsv")
_LIBRISPEECH_NAME = re.compile(r"(\d+)-(\d+)-\d{4}")
_LIBRITTS_NAME = re.compile(r"(\d+)_(\d+)_\d{6}_\d{6}")


def _librispeech(root):
    """`SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac`, subsets of whatever name.

    The text is the line of that name in the chapter's `.trans.txt`, in capitals, and the gender the
    second column of `SPEAKERS.TXT`, in whatever case, some folder further up. The published subsets
    are no splits here: a split is drawn among all speakers.

    Source: Panayotov, Chen, Povey & Khudanpur 2015, doi:10.1109/ICASSP.2015.7178964.
    """
    expected = "SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac"

    @functools.cache
    def chapter(folder, speaker, number):
        lines = _lines(os.path.join(folder, f"{speaker}-{number}.trans.txt"))
        return dict(line.split(" ", 1) for line in lines if " " in line)

    def text(folder, stem, speaker, number):
        return chapter(folder, speaker, number).get(stem, "")

    return _libri(root, "LibriSpeech", _LIBRISPEECH_NAME, text, expected)


def _libritts(root):
    """`SUBSET/SPEAKER/CHAPTER/SPEAKER_CHAPTER_PPPPPP_SSSSSS.wav`: LibriTTS and LibriTTS-R.

    The text is the normalised one: the third column of the chapter's `.trans.tsv` (whose quotation
    marks are text), one file for all its utterances, or else the utterance's own `.normalized.txt`.
    The gender is that of `SPEAKERS.txt` or `speakers.tsv`, some folder further up. Rows without
    sound are no utterances; one file of the first edition cannot be read, which `prepare` finds out
    (1092_134562_000013_000004). The published subsets are no splits here: a split is drawn among
    all speakers. Where both editions lie below one directory, an utterance counts once.

    Source: Zen et al. 2019, arXiv:1904.02882; restored, Koizumi et al. 2023, arXiv:2305.18802.
    """
    expected = "SUBSET/SPEAKER/CHAPTER/SPEAKER_CHAPTER_PPPPPP_SSSSSS.wav"

    @functools.cache
    def chapter(folder, speaker, number):
        rows = _lines(os.path.join(folder, f"{speaker}_{number}.trans.tsv"))
        return {row[0]: row[2] for row in (line.split("\t") for line in rows) if len(row) == 3}

    def text(folder, stem, speaker, number):
        known = chapter(folder, speaker, number).get(stem)
        return known or " ".join(_lines(os.path.join(folder, f"{stem}.normalized.txt")))

    return _libri(root, "LibriTTS", _LIBRITTS_NAME, text, expected)


def _libri(root, title, pattern, text, expected):
    """What LibriSpeech and LibriTTS have in common; `text(folder, stem, speaker, chapter)`."""
    corpus, files = title.lower(), audio_files(root)
    genders = _genders(root, files, _LIBRI_TABLES, _LIBRI_ROW)
    found, skipped = {}, []
    for file in files:
        path, stem = os.path.join(root, file), _stem(file)
        fields, folders = pattern.fullmatch(stem), file.split(os.sep)[-3:-1]
        if not fields:
            skipped.append(Skipped(path, f"not a name of {title}"))
        elif len(folders) == 2 and folders[0].isdigit() and folders != list(fields.groups()):
            skipped.append(Skipped(path, "the folder names another speaker or chapter than the file"))
        elif stem in found:
            skipped.append(Skipped(path, "a second copy"))
        else:
            speaker = fields[1]
            found[stem] = Item(
                corpus=corpus,
                name=f"{corpus}/{stem}",
                speaker=f"{corpus}/{speaker}",
                gender=genders.get(speaker, ""),
                text=text(os.path.dirname(path), stem, *fields.groups()).strip(),
                path=path,
            )
    if not found:
        raise _unrecognised(title, root, expected)
    if not genders:
        skipped.append(Skipped(os.path.join(root, "SPEAKERS.txt"), _NO_TABLE))
    return list(found.values()), skipped


_NO_TABLE = "not there: of no speaker is the gender known"


def _genders(root, files, tables, row):
    """The genders of speakers: {as in the table: "female" or "male"}.

    The tables are looked for in the folders of the files and in the four above each, so that a part
    of a corpus (one subset of it) may be named alone.

    Args:
        files: Relative to `root`.
        tables: Names in lower case.
        row: Matches a row of a table: its speaker and its sex.
    """
    genders, seen = {}, set()
    for folder in sorted({os.path.dirname(os.path.abspath(os.path.join(root, file))) for file in files}):
        for _ in range(5):
            if folder in seen:
                break
            seen.add(folder)
            for name in sorted(next(os.walk(folder), ("", [], []))[2]):  # [] where it may not be read
                if name.lower() in tables:
                    rows = filter(None, map(row.match, _lines(os.path.join(folder, name))))
                    genders = {of[1]: _GENDER_WORDS[of[2].lower()] for of in rows} | genders
            folder = os.path.dirname(folder)
    return genders


def _lines(path):
    """The lines of a text that are not empty, stripped; [] where there is no such file."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return [line.strip() for line in file if line.strip()]
    except (FileNotFoundError, NotADirectoryError):
        return []


_READERS = {
    "folder": _folder,
    "ravdess": _ravdess,
    "tess": _tess,
    "tess-ravdess": _tess_ravdess,
    "vctk": _vctk,
    "libritts": _libritts,
    "librispeech": _librispeech,
}
