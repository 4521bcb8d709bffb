import pytest

from kvoice.data import corpora
from kvoice.errors import KvoiceError
from tests.data.corpora.trees import by_name, empty, faults, fields, reasons, texts

HEADER = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccents\n"
ONE, TWO, THREE = ("1" * 128, "2" * 128, "3" * 128)


def row(speaker, name, sentence, gender=""):
    return f"{speaker}\t{name}\t{sentence}\t2\t0\t\t{gender}\t\n"


def test_common_voice_reads_speakers_texts_and_genders(tmp_path):
    root = tmp_path / "cv-corpus-9" / "en"
    empty(root / "clips", *(f"common_voice_en_{n}.mp3" for n in range(6)))
    texts(
        root,
        {
            "validated.tsv": HEADER
            + row(ONE, "common_voice_en_0.mp3", '"Quoted", he said.', "")
            + row(ONE, "common_voice_en_1.mp3", "Again.", "female_feminine")
            + row(TWO, "common_voice_en_2.mp3", "One.", "male")
            + row(THREE, "common_voice_en_3.mp3", "Two.", "other")
            + row(THREE, "common_voice_en_4.mp3", "Three.", "do_not_wish_to_say"),
            "train.tsv": HEADER + row(ONE, "common_voice_en_5.mp3", "Not read.", ""),
        },
    )
    one, two, three = (f"commonvoice/{n * 16}" for n in "123")
    expected = {
        "commonvoice/common_voice_en_0": (one, "female", '"Quoted", he said.'),
        "commonvoice/common_voice_en_1": (one, "female", "Again."),
        "commonvoice/common_voice_en_2": (two, "male", "One."),
        "commonvoice/common_voice_en_3": (three, "", "Two."),
        "commonvoice/common_voice_en_4": (three, "", "Three."),
    }
    for where in (tmp_path, root, root / "clips"):
        found = by_name(f"commonvoice:{where}")
        assert {name: fields(item) for name, item in found.items()} == expected
    _, skipped = corpora.items(f"commonvoice:{tmp_path}")
    assert [(skip.reason, skip.intended) for skip in skipped] == [
        ("1 clips whose words listeners did not confirm", True)
    ]


def test_common_voice_joins_languages_and_reads_the_parts_where_there_is_no_whole(tmp_path):
    empty(tmp_path, "de/clips/a.mp3", "de/clips/b.mp3", "de/clips/c.mp3", "it/clips/d.mp3")
    texts(
        tmp_path,
        {
            "de/train.tsv": HEADER + row(ONE, "a", "Ja.", "male_masculine"),
            "de/test.tsv": HEADER + row(TWO, "b.mp3", "Nein.") + row(TWO, "gone.mp3", "Weg."),
            "it/validated.tsv": HEADER + row(ONE, "d.mp3", "Si."),
        },
    )
    found = by_name(f"commonvoice:{tmp_path}")
    assert {name: fields(item)[:2] for name, item in found.items()} == {
        "commonvoice/a": (f"commonvoice/{'1' * 16}", "male"),
        "commonvoice/b": (f"commonvoice/{'2' * 16}", ""),
        "commonvoice/d": (f"commonvoice/{'1' * 16}", "male"),  # the same person in two languages
    }
    _, skipped = corpora.items(f"commonvoice:{tmp_path}")
    assert [skip.reason for skip in skipped] == [
        "1 clips whose words listeners did not confirm",
        "1 confirmed clips that are not there",
    ]


def test_common_voice_names_clips_without_a_table(tmp_path):
    empty(tmp_path, "de/clips/a.mp3", "en/clips/b.mp3")
    texts(tmp_path, {"de/validated.tsv": HEADER + row(ONE, "a.mp3", "Ja.")})
    assert set(by_name(f"commonvoice:{tmp_path}")) == {"commonvoice/a"}
    assert faults(f"commonvoice:{tmp_path}") == ["clips"]
    with pytest.raises(KvoiceError, match="en/validated.tsv: is not there; it names the speakers"):
        corpora.items(f"commonvoice:{tmp_path}/en")
    texts(tmp_path, {"en/validated.tsv": HEADER})  # which names none of them
    with pytest.raises(KvoiceError, match="expected LANGUAGE/clips/NAME.mp3, listed in LANGUAGE/"):
        corpora.items(f"commonvoice:{tmp_path}/en")


def test_common_voice_takes_each_clip_once(tmp_path):
    for copy in "ab":
        empty(tmp_path, f"{copy}/de/clips/a.mp3")
        texts(tmp_path, {f"{copy}/de/validated.tsv": HEADER + row(ONE, "a.mp3", f"Ja, {copy}.")})
    (item,) = by_name(f"commonvoice:{tmp_path}").values()
    assert (item.text, "/a/de/" in item.path) == ("Ja, a.", True)
    assert reasons(f"commonvoice:{tmp_path}") == {"a.mp3": "a second copy"}
    assert faults(f"commonvoice:{tmp_path}") == []


def test_common_voice_names_a_column_that_a_table_lacks(tmp_path):
    empty(tmp_path, "de/clips/a.mp3")
    texts(tmp_path, {"de/validated.tsv": "path\tsentence\na.mp3\tJa.\n"})
    with pytest.raises(KvoiceError, match="validated.tsv: its first line names no client_id"):
        corpora.items(f"commonvoice:{tmp_path}")
