import pytest

from kvoice.cli import configs


@pytest.mark.parametrize("word, expected", [("", False), ("--config.audio.level_db=0", True)])
def test_a_field_that_a_word_sets_is_known(word, expected):
    assert configs.sets([word, "--config.audio.level_dbs=1"], "audio.level_db") == expected
