"""Embeddings of models that are known, of waves and of files."""

import csv
import dataclasses
import math

import numpy as np
import pytest

from kvoice import audio
from kvoice.errors import KvoiceError
from kvoice.files import claim
from kvoice.inference import encode as embeddings
from kvoice.inference.classify import files
from kvoice.inference.voice import Voice

SPEC = audio.SPECS["speakerencoder"]


class Encoder:
    """The mean of the mel, and how many clips it was asked about."""

    partial_frames = 40

    def embed(self, clips):
        self.clips = clips
        means = clips.mean(axis=1)
        return means / np.linalg.norm(means, axis=1, keepdims=True)


def noise(seconds, seed=0, level=0.1):
    return (level * np.random.default_rng(seed).normal(size=round(seconds * 16000))).astype(
        "float32"
    )


@pytest.mark.parametrize(
    ("frames", "starts"),
    [(10, [0]), (40, [0]), (48, [0]), (50, [0, 19]), (85, [0, 19, 38]), (100, [0, 19, 38, 57])],
)
def test_partials_overlap_by_half_and_none_is_mostly_padding(frames, starts):
    mel = np.arange(frames * 2, dtype="float32").reshape(frames, 2)
    found = embeddings.partials(mel, 40, -9.0)
    wanted = [np.concatenate([mel[s : s + 40], np.full((40, 2), -9.0)])[:40] for s in starts]
    np.testing.assert_array_equal(found, wanted)


def resemblyzers(samples, frames=160, hop=160, rate_hz=16000, rate=1.3, coverage=0.75):
    """First frames of the partials of so many samples, as Resemblyzer counts them."""
    step, hops = round(rate_hz / rate / hop), math.ceil((samples + 1) / hop)
    starts = list(range(0, max(1, hops - frames + step + 1), step))
    if len(starts) > 1 and (samples - starts[-1] * hop) / (frames * hop) < coverage:
        starts.pop()
    return starts


def test_partials_begin_where_resemblyzers_do():
    for samples in [*range(1000, 90_000, 157), 119 * 160 + 12320, 120 * 160 + 12320, 160 * 160]:
        mel = np.arange(1 + samples // 160, dtype="float32")[:, None]
        found = embeddings.partials(mel, 160, -1.0)[:, 0, 0]
        assert found.tolist() == resemblyzers(samples), samples


def test_an_embedding_is_the_mean_of_those_of_the_partials_at_length_one():
    model, wave = Encoder(), noise(1.5)
    (found,) = embeddings.of_waves(Voice(model, SPEC), [wave])
    mean = model.embed(model.clips).mean(axis=0)
    assert len(model.clips) > 3
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean), rtol=1e-5)


def test_loudness_does_not_matter():
    loud, faint = embeddings.of_waves(Voice(Encoder(), SPEC), [noise(1.0), noise(1.0, level=0.001)])
    np.testing.assert_allclose(loud, faint, atol=1e-4)


def test_waves_do_not_mix_whatever_their_lengths():
    waves = [noise(0.2), noise(2.0, 1), noise(0.7, 2)]
    together = embeddings.of_waves(Voice(Encoder(), SPEC), waves)
    alone = [embeddings.of_waves(Voice(Encoder(), SPEC), [wave])[0] for wave in waves]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    silence = np.zeros(8000, "float32")
    assert np.isfinite(embeddings.of_waves(Voice(Encoder(), SPEC), [silence])).all()


class Converter:
    """Its embedding is the mean of the mel, its styles that and its negative."""

    minimum_frames = 17

    def __init__(self, speaker=True):
        self.speaker, self.encoded = speaker, []

    def encode(self, mel):
        self.encoded.append(mel)
        mean = mel.mean(axis=0)
        return {"content": mel, "styles": np.stack([mean, -mean])} | (
            {"embedding": mean} if self.speaker else {}
        )


def test_an_adainvc_gives_its_embedding_or_without_one_its_styles():
    waves = [noise(0.5), noise(0.8, 1, 0.01)]
    means = np.stack(
        [audio.mel(wave, SPEC).mean(axis=0) for wave in waves]
    )  # each as loud as it is
    found = embeddings.of_waves(Voice(Converter(), SPEC), waves)
    np.testing.assert_allclose(found, means, rtol=1e-5)
    styles = embeddings.of_waves(Voice(Converter(speaker=False), SPEC), waves)
    np.testing.assert_allclose(styles, np.concatenate([means, -means], axis=1), rtol=1e-5)


def test_a_wave_is_prepared_as_in_training_and_for_a_speaker_encoder_at_30_db_below_full_scale():
    spec = dataclasses.replace(SPEC, trim_db=20.0, preemphasis=0.9)
    wave = np.pad(noise(0.5), 8000)  # silence that is cut
    converter, encoder = Converter(), Encoder()
    for model in (converter, encoder):
        embeddings.of_waves(Voice(model, spec), [wave])
    mel = audio.mel(audio.condition(wave, spec), spec)
    assert 51 <= len(mel) < 70 < 1 + len(wave) // 160
    np.testing.assert_array_equal(converter.encoded[0], mel)
    loud = wave * np.float32(10 ** (-30 / 20) / np.sqrt(np.mean(np.square(wave))))
    partials = embeddings.partials(audio.mel(audio.condition(loud, spec), spec), 40, spec.silence)
    np.testing.assert_allclose(encoder.clips, partials, atol=1e-5)


# Files


@pytest.fixture
def recordings(tmp_path):
    """A folder with five recordings, and three files of no use."""
    folder = tmp_path / "wavs"
    (folder / "deep").mkdir(parents=True)
    for k in range(4):
        audio.write(folder / f"{k}.wav", noise(0.5 + 0.1 * k, k), 16000)
    audio.write(folder / "deep" / "a, b.wav", noise(1.0, 9), 22050)
    audio.write(folder / "short.wav", noise(0.12), 16000)
    audio.write(folder / "silent.wav", np.zeros(8000), 16000)
    (folder / "broken.wav").write_text("no sound")
    return folder


@pytest.mark.parametrize("ending", ["npz", "csv", "NPZ"])
@pytest.mark.parametrize("together", [2, 5, 32])
def test_a_file_holds_the_voice_of_each_recording_that_could_be_used(
    recordings, tmp_path, monkeypatch, ending, together
):
    monkeypatch.setattr(embeddings, "TOGETHER", together)
    output = str(tmp_path / f"voices.{ending}")
    voice = Voice(Converter(), SPEC)
    used, points, left_out = embeddings.encode(voice, files(str(recordings))[0], output)
    assert [path.removeprefix(f"{recordings}/") for path in used] == [
        "0.wav",
        "1.wav",
        "2.wav",
        "3.wav",
        "deep/a, b.wav",
    ]
    assert [line.removeprefix(f"{recordings}/") for line in left_out] == [
        "broken.wav: is not a sound file that can be read (corrupt, or of another kind)",
        "short.wav: 0.12 s of sound, at least 0.16 s are needed",
        "silent.wav: silent",
    ]
    waves = [audio.read(path, 16000)[0] for path in used]
    np.testing.assert_allclose(points, embeddings.of_waves(voice, waves), rtol=1e-6)
    if ending == "csv":
        with open(output, newline="") as file:
            head, *rows = csv.reader(file)
        assert head == ["file", *(f"e{k}" for k in range(40))]
        assert [row[0] for row in rows] == used
        np.testing.assert_array_equal(np.array([row[1:] for row in rows], "float32"), points)
    else:
        with np.load(output) as content:
            assert sorted(content) == ["embedding", "file"]
            assert content["file"].tolist() == used and content["embedding"].dtype == np.float32
            np.testing.assert_array_equal(content["embedding"], points)


def test_a_speaker_encoder_encodes_short_files_too(recordings):
    used, points, left_out = embeddings.encode(Voice(Encoder(), SPEC), files(str(recordings))[0])
    assert len(used) == len(points) == 6 and len(left_out) == 2
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("voices.txt", "voices.txt: expected a file whose name ends in .npz or .csv"),
        ("voices", "voices: expected"),
        ("wavs", "wavs: expected"),
        ("nowhere/voices.npz", "nowhere/voices.npz: its directory is missing"),
    ],
)
def test_a_file_that_cannot_be_written_is_named_before_anything_is_encoded(
    recordings, tmp_path, name, line
):
    model = Converter()
    with pytest.raises(KvoiceError, match=line):
        embeddings.encode(Voice(model, SPEC), files(str(recordings))[0], str(tmp_path / name))
    assert not model.encoded


def test_where_nothing_can_be_used_the_old_file_stays(recordings, tmp_path):
    output = tmp_path / "voices.csv"
    output.write_text("old")
    claim(tmp_path, ["voices.csv"])
    silent = str(recordings / "silent.wav")
    used, points, left_out = embeddings.encode(Voice(Encoder(), SPEC), [silent], str(output))
    assert (used, len(points), len(left_out)) == ([], 0, 1) and output.read_text() == "old"


@pytest.mark.backend
def test_the_models_give_embeddings_of_their_size():
    from kvoice.models import AdaINVC, SpeakerEncoder

    waves = [noise(0.2), noise(0.35, 1)]
    encoder = SpeakerEncoder(
        mels=40, partial_frames=8, width=4, depth=1, embedding=64
    )  # some of it alive
    points = embeddings.of_waves(Voice(encoder, SPEC), waves)
    assert points.shape == (2, 64)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, atol=1e-4)
    parts = dict.fromkeys(("bank", "speaker", "content", "decoder"), 4)
    small = {
        "mels": 40,
        "width": parts,
        "latents": 4,
        "embedding": 5,
        "dense_blocks": 1,
        "encoder_stages": 1,
        "decoder_stages": 1,
    }
    assert embeddings.of_waves(Voice(AdaINVC(**small), SPEC), waves).shape == (2, 5)
    statistics = Voice(AdaINVC(**small, speaker="statistics"), SPEC)
    assert embeddings.of_waves(statistics, waves).shape == (2, 4 * 8)
