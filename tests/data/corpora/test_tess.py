from tests.data.corpora.trees import by_name, faults, place, reasons


def test_tess_in_any_spelling(tmp_path):
    twice = "TESS Toronto emotional speech set data/"
    place(
        tmp_path,
        "OAF_Fear/OAF_back_fear.wav",
        "OAF_Pleasant_surprise/OAF_back_ps.wav",
        "YAF_sad/YAF_back_sad.WAV",
        "OAF_neutral/OA_bite_neutral.wav",
        twice + "OAF_Fear/OAF_back_fear.wav",
        "YAF_sad/OAF_dog_sad.wav",
        "OAF_Sad/whatever.wav",
    )
    found = by_name(f"tess:{tmp_path}")
    assert {name: (item.speaker, item.emotion, item.text) for name, item in found.items()} == {
        "tess/OAF_back_fear": ("tess/OAF", "fearful", "Say the word back"),
        "tess/OAF_back_ps": ("tess/OAF", "surprised", "Say the word back"),
        "tess/YAF_back_sad": ("tess/YAF", "sad", "Say the word back"),
        "tess/OAF_bite_neutral": ("tess/OAF", "neutral", "Say the word bite"),
    }
    assert {item.gender for item in found.values()} == {"female"}
    assert reasons(f"tess:{tmp_path}") == {
        "OAF_back_fear.wav": "a second copy",
        "whatever.wav": "not a name of TESS",
        "OAF_dog_sad.wav": "the folder names another speaker than the file",
    }
    assert faults(f"tess:{tmp_path}") == ["OAF_dog_sad.wav", "whatever.wav"]


def test_tess_takes_the_renamed_bite_for_the_same_take(tmp_path):
    place(
        tmp_path,
        "OAF_neutral/OA_bite_neutral.wav",
        "OAF_neutral/OAF_bite_neutral.wav",
        "OAF_surprised/OAF_back_ps.wav",
        "flat/YAF_back_ps.wav",
        "YAF_calm_ps.wav",
    )
    assert sorted(by_name(f"tess:{tmp_path}")) == [
        "tess/OAF_back_ps",
        "tess/OAF_bite_neutral",
        "tess/YAF_back_ps",
        "tess/YAF_calm_ps",
    ]
