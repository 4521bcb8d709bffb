"""`esd:DIR`: the Emotional Speech Dataset (ESD) as downloaded."""

import contextlib
import dataclasses
import os
import re

from kvoice.data.corpora.layout import NO_TEXTS, audio_files, commonest, stem_of, unrecognised
from kvoice.data.corpora.utterance import EMOTION_WORDS, Item, Skipped

_MEN = {4, 5, 6, 8, 10, 11, 12, 13, 14, 20}
_CHINESE = range(1, 11)  # 11 to 20 speak English
_SENTENCES = 350  # of a language; each is numbered once for each of the five emotions
_NAME = re.compile(r"(00(?:0[1-9]|1\d|20))_(\d{6})")
_LINE = re.compile(r"(\d{4})_(\d{6})\s*(\S.*)")
_EMOTION = re.compile(r"\s(?:angry|happy|neutral|sad|surprise|生气|快乐|中立|伤心|惊喜)$", re.I)


def items(root: str) -> tuple[list[Item], list[Skipped]]:
    """The utterances `SPEAKER/EMOTION/SPEAKER_NNNNNN.wav`, and the files left out.

    Between emotion and file there may be the folders train, evaluation and test, by sentence, which
    are not used as splits: the split is drawn among the speakers. The emotion is that of the
    folder.

    Ten speakers of Chinese (1 to 10) and ten of English speak the 350 sentences of their language
    in five emotions, numbered in the same order, so that the number modulo 350 tells which sentence
    it is: the texts are parallel. The text is the commonest of all lines for this sentence in the
    transcripts `SPEAKER/SPEAKER.txt` of the language, because some lack tabs or lines, spell or
    space a sentence otherwise, or name a wrong emotion. Transcripts are in four encodings: UTF-16,
    UTF-8, GB 18030 (Chinese) and Windows-1252 (English).

    Source: Zhou, Sisman, Liu & Li 2022, arXiv:2105.14762.
    """
    files, skipped = audio_files(root)
    found, transcripts = {}, {}
    for file in files:
        path, stem = os.path.abspath(os.path.join(root, file)), stem_of(file)
        fields, folders = _NAME.fullmatch(stem), path.split(os.sep)[-4:-1]
        emotions = [
            EMOTION_WORDS[name] for name in map(str.lower, folders) if name in EMOTION_WORDS
        ]
        if not fields:
            skipped.append(Skipped(path, "not a name of ESD"))
        elif any(re.fullmatch(r"\d{4}", name) and name != fields[1] for name in folders):
            skipped.append(Skipped(path, "the folder names another speaker than the file"))
        elif not emotions:
            skipped.append(Skipped(path, "no folder above it names its emotion"))
        elif stem in found:
            skipped.append(Skipped(path, "a second copy", intended=True))
        else:
            if fields[1] not in transcripts:
                transcripts[fields[1]] = _transcript(path, fields[1])
            found[stem] = Item(
                corpus="esd",
                name=f"esd/{stem}",
                speaker=f"esd/{fields[1]}",
                gender="male" if int(fields[1]) in _MEN else "female",
                emotion=emotions[-1],
                path=path,
            )
    if not found:
        raise unrecognised("ESD", root, "0011/Happy/0011_000701.wav, or .../Happy/train/...")
    texts = commonest(line for lines in transcripts.values() for line in lines)
    if not texts:
        skipped.append(Skipped(os.path.join(root, "SPEAKER/SPEAKER.txt"), NO_TEXTS, intended=True))
    return [
        dataclasses.replace(item, text=texts.get(_sentence(*_NAME.fullmatch(stem).groups()), ""))
        for stem, item in found.items()
    ], skipped


def _sentence(speaker, number):
    """What two utterances of the same words have in common: (is it Chinese, which sentence)."""
    return int(speaker) in _CHINESE, (int(number) - 1) % _SENTENCES


def _transcript(path, speaker):
    """The lines of a speaker's transcript, which is one to three folders up: (sentence, text)."""
    folder = os.path.dirname(path)
    for _ in range(3):
        with (
            contextlib.suppress(OSError),
            open(os.path.join(folder, f"{speaker}.txt"), "rb") as file,
        ):
            return list(_lines(_decoded(file.read(), int(speaker) in _CHINESE)))
        folder = os.path.dirname(folder)
    return []


def _lines(text):
    for match in filter(None, map(_LINE.match, map(str.strip, text.splitlines()))):
        words = match[3].partition("\t")[0]  # the emotion is behind a tab, or should be
        yield _sentence(match[1], match[2]), _EMOTION.sub("", words).strip()


def _decoded(content, chinese):
    """The text of a transcript, whatever its encoding."""
    if b"\0" in content:
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("gb18030" if chinese else "cp1252", errors="replace")
