from kvoice.data.corpora.utterance import words


def test_texts_of_the_same_words_have_one_form():
    assert words("Please call Stella.") == words(" please, call STELLA!") == "please call stella"
    assert words("打远一看，美丽") == words("打远一看, 美丽。")
    assert words("Straße") == words("STRASSE")
    assert words("one") != words("two")
    assert words(" ...") == words("") == ""
