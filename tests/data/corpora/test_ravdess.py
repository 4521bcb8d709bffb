import numpy as np
import soundfile

from tests.data.corpora.trees import by_name, faults, place, reasons


def test_ravdess_reads_the_fields_of_a_name(tmp_path):
    place(tmp_path, "Actor_07/03-01-05-01-01-01-07.wav", "Actor_12/03-01-02-02-02-01-12.wav")
    found = by_name(f"ravdess:{tmp_path}")
    odd, even = found["ravdess/03-01-05-01-01-01-07"], found["ravdess/03-01-02-02-02-01-12"]
    assert (odd.speaker, odd.gender, odd.emotion, odd.text) == (
        "ravdess/07",
        "male",
        "angry",
        "Kids are talking by the door",
    )
    assert (even.speaker, even.gender, even.emotion, even.text) == (
        "ravdess/12",
        "female",
        "calm",
        "Dogs are sitting by the door",
    )


def test_ravdess_takes_each_take_once_and_speech_only(tmp_path):
    take = "03-01-05-01-01-01-07.wav"
    place(
        tmp_path,
        f"Actor_07/{take}",
        f"audio_speech_actors_01-24/Actor_07/{take}",
        "Actor_07/03-01-03-01-02-01-07.wav",
        "Actor_07/03-01-04-01-02-01-07.wav",
        "Actor_07/03-01-04-01-02-02-07.wav",
        "Actor_07/03-02-05-01-01-01-07.wav",
        "Actor_07/01-01-05-01-01-01-07.wav",
        "Actor_08/03-01-05-01-01-02-07.wav",
        "Actor_07/._03-01-05-01-01-01-07.wav",
        "Actor_07/03-01-09-01-01-01-07.wav",
        "Actor_25/03-01-05-01-01-01-25.wav",
    )
    same = tmp_path / "Actor_07"
    (same / "03-01-03-01-02-02-07.wav").write_bytes(
        (same / "03-01-03-01-02-01-07.wav").read_bytes()
    )
    soundfile.write(
        same / "03-01-04-01-02-02-07.wav", np.zeros(800), 8000
    )  # same size, other bytes
    assert sorted(by_name(f"ravdess:{tmp_path}")) == [
        "ravdess/03-01-03-01-02-01-07",
        "ravdess/03-01-04-01-02-01-07",
        "ravdess/03-01-04-01-02-02-07",
        "ravdess/03-01-05-01-01-01-07",
    ]
    assert reasons(f"ravdess:{tmp_path}") == {
        take: "a second copy",
        "03-01-03-01-02-02-07.wav": "the same bytes as the other repetition",
        "03-02-05-01-01-01-07.wav": "song, not speech",
        "01-01-05-01-01-01-07.wav": "the sound of a video",
        "03-01-05-01-01-02-07.wav": "the folder names another actor than the file",
        "03-01-09-01-01-01-07.wav": "not a name of RAVDESS",
        "03-01-05-01-01-01-25.wav": "not a name of RAVDESS",
    }
    assert faults(f"ravdess:{tmp_path}") == [
        "03-01-05-01-01-01-25.wav",
        "03-01-05-01-01-02-07.wav",
        "03-01-09-01-01-01-07.wav",
    ]
