import pytest

from kvoice.data.corpora.utterance import Item
from kvoice.data.splits import WAYS, default, split_of
from kvoice.errors import KvoiceError


def people(corpus="demo", females=12, males=12, texts=("a", "b"), **fields):
    return [
        Item(
            corpus,
            f"{corpus}/{gender}{i}/{text}",
            f"{corpus}/{gender}{i}",
            gender,
            text=text,
            **fields,
        )
        for gender, count in (("female", females), ("male", males))
        for i in range(count)
        for text in texts
    ]


def speakers_by_split(items, **arguments):
    split = split_of(items, **({"by": "speaker", "seed": 0} | arguments))
    found = {}
    for item in items:
        found.setdefault(split[item.name], set()).add(item.speaker)
    return found


def test_no_speaker_is_in_two_splits_and_each_gender_has_its_share():
    found = speakers_by_split(people())
    assert sum(map(len, found.values())) == len(set.union(*found.values())) == 24
    for gender in ("demo/female", "demo/male"):
        shares = {name: sum(who.startswith(gender) for who in found[name]) for name in found}
        assert shares == {"train": 6, "valid": 1, "judge": 3, "test": 2}


def test_splits_come_from_the_seed_alone():
    items = people()
    assert split_of(items, "speaker", 1) == split_of(items[::-1], "speaker", 1)
    assert split_of(items, "speaker", 1) != split_of(items, "speaker", 2)


def test_a_joined_corpus_of_two_speakers_goes_to_train():
    found = speakers_by_split(people() + people("tess", 2, 0))
    assert {who for who in found["train"] if who.startswith("tess")} == {
        "tess/female0",
        "tess/female1",
    }
    assert sum(map(len, found.values())) == 26


def test_small_corpora_alone_are_taken_as_one():
    found = speakers_by_split(people("a", 2, 0) + people("b", 2, 1))
    assert {name: len(who) for name, who in found.items()} == {
        "train": 2,
        "valid": 1,
        "judge": 1,
        "test": 1,
    }


def test_a_gender_of_two_speakers_is_split_together_with_the_other():
    found = speakers_by_split(people(females=2, males=8))
    assert {name: len(who) for name, who in found.items()} == {
        "train": 5,
        "valid": 1,
        "judge": 2,
        "test": 2,
    }


def test_two_speakers_are_refused_with_the_way_out():
    with pytest.raises(KvoiceError, match="2 speakers.*at least four: .*--split=text"):
        split_of(people(females=2, males=0), "speaker", 0)


def test_by_text_no_text_is_in_two_splits_and_speakers_are_in_all():
    items = people("tess", 2, 0, texts=[f"Say the word {i}" for i in range(20)])
    split = split_of(items, "text", 0)
    of_text = {}
    for item in items:
        of_text.setdefault(item.text, set()).add(split[item.name])
    assert all(len(names) == 1 for names in of_text.values())
    counts = [list(split.values()).count(name) // 2 for name in ("train", "valid", "judge", "test")]
    assert counts == [10, 2, 5, 3]
    assert all(len(who) == 2 for who in speakers_by_split(items, by="text").values())


def test_without_texts_the_utterances_of_each_speaker_are_split():
    items = [Item("f", f"f/{who}/{i}", f"f/{who}") for who in "abcdefgh" for i in range(4)]
    found = speakers_by_split(items, by="text")
    assert [len(found[name]) for name in ("train", "valid", "judge", "test")] == [8] * 4


def test_two_texts_are_refused():
    with pytest.raises(KvoiceError, match="2 texts, but four disjoint sets"):
        split_of(people(), "text", 0)


def test_the_splits_of_the_corpus_itself_are_kept():
    items = people(females=1, males=0, split="test") + people("b", 0, 1, split="judge")
    assert speakers_by_split(items) == {"test": {"demo/female0"}, "judge": {"b/male0"}}


def test_a_corpus_that_puts_a_speaker_into_two_splits_is_refused():
    items = people(females=1, males=0, texts=["a"], split="test") + people(
        females=1, males=0, texts=["b"], split="train"
    )
    with pytest.raises(
        KvoiceError,
        match="speaker 'demo/female0' into test and train.*--split=text or --split=corpus",
    ):
        split_of(items, "speaker", 0)
    assert sorted(split_of(items, "text", 0).values()) == ["test", "train"]


def test_a_text_that_the_corpus_puts_into_two_splits_is_refused_but_by_corpus():
    items = people(females=1, males=0, split="test") + people("b", 0, 1, split="train")
    with pytest.raises(KvoiceError, match="text 'a' into test and train.*--split=corpus"):
        split_of(items, "text", 0)
    assert split_of(items, "corpus", 0) == {item.name: item.split for item in items}


def test_by_corpus_the_corpus_assigns_every_utterance_and_may_share_speakers():
    items = people(females=1, males=0, texts=["a"], split="test") + people(
        females=1, males=0, texts=["b"], split="train"
    )
    assert split_of(items, "corpus", 0) == {"demo/female0/a": "test", "demo/female0/b": "train"}


def test_by_corpus_the_first_utterance_without_a_split_is_named_with_the_way_out():
    items = people("a", 1, 0, split="train") + people("b", 1, 1)
    line = "b/female0/a has no split.*metadata.csv.*--split=speaker"
    with pytest.raises(KvoiceError, match=line):
        split_of(items, "corpus", 0)


@pytest.mark.parametrize(
    "data, condition, way",
    [
        ("demo", "emotion", "speaker"),
        ("demo", "", "speaker"),
        ("demo:100", "speaker", "text"),
        ("tess:a-b+ravdess:tess-ravdess", "emotion", "speaker"),
        ("tess-ravdess:a", "emotion", "corpus"),
        ("tess-ravdess:a", "speaker", "corpus"),
        ("folder:x+tess-ravdess:a", "emotion", "corpus"),
    ],
)
def test_a_corpus_that_assigns_its_splits_keeps_them(data, condition, way):
    assert default(data, condition) == way
    assert way in WAYS
