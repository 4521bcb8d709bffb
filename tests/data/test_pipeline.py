import subprocess
import sys

import numpy as np
import pytest
import soundfile

pytest.importorskip("tensorflow")

from kvoice import audio  # noqa: E402
from kvoice.audio import SPECS, Spec  # noqa: E402
from kvoice.data import pipeline  # noqa: E402
from kvoice.data.prepare import prepare  # noqa: E402
from kvoice.data.source import Source  # noqa: E402
from kvoice.errors import KvoiceError  # noqa: E402

SPEC = SPECS["waveglow"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("pipeline")
    for speaker in range(4):
        for take in range(4):
            path = root / "c" / f"s{speaker}" / f"{take}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            time = np.arange(int(22050 * (0.2 + 0.06 * take))) / 22050
            wave = 0.3 * np.sin(2 * np.pi * (150 + 20 * take + 10 * speaker) * time)
            wave += np.random.default_rng(take).normal(0, 0.003, len(time))
            soundfile.write(path, wave, 22050)
    directory = root / "out"
    prepare(f"folder:{root / 'c'}", directory, SPEC, split="text", workers=1, label_hop=100)
    return directory


def source(directory):
    return Source(
        directory, "train", SPEC, crop_frames=16, batch=3, seed=1, arrays=("mel", "wave", "f0")
    )


def assert_same(left, right):
    assert set(left) == set(right)
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def test_batches_are_those_of_the_source_to_the_bit(prepared):
    steps = source(prepared)
    for step, batch in enumerate(pipeline.batches(steps).take(7).as_numpy_iterator()):
        assert_same(batch, steps.batch(step))


def test_batches_from_a_step_on_are_the_same_tail(prepared):
    whole = list(pipeline.batches(source(prepared)).take(7).as_numpy_iterator())
    tail = list(pipeline.batches(source(prepared), start=4).take(3).as_numpy_iterator())
    for expected, batch in zip(whole[4:], tail, strict=True):
        assert_same(batch, expected)


UNFINISHED = """
import numpy as np
from kvoice.data import pipeline
class Source:
    made = {name: np.zeros([4, 40960], np.float32) for name in "abcdef"}
    def batch(self, step):
        return self.made
alive = [iter(pipeline.batches(Source())) for _ in range(100)]
[next(iterator) for iterator in alive]
"""


def test_a_program_ends_while_batches_are_in_the_making():
    # Without care it hangs in most trials: the interpreter waits for threads that wait for it.
    subprocess.run([sys.executable, "-c", UNFINISHED], check=True, timeout=60, capture_output=True)


def test_shapes_of_batches_are_static(prepared):
    shapes = {
        name: tuple(spec.shape)
        for name, spec in pipeline.batches(source(prepared)).element_spec.items()
    }
    assert shapes == {
        "mel": (3, 16, 80),
        "wave": (3, 4096),
        "f0": (3, 16),
        "speaker": (3,),
        "gender": (3,),
        "emotion": (3,),
    }


@pytest.mark.parametrize("spec", [SPEC, Spec(mels=40, hop=200)])
def test_utterances_of_the_graph_are_those_of_the_source(prepared, spec):
    steps = Source(prepared, "train", spec, 16, 1, arrays=("mel", "wave", "f0"))
    expected = {whole["name"]: whole for whole in map(steps.utterance, range(len(steps)))}
    found = list(pipeline.utterances(prepared, "train", spec).as_numpy_iterator())
    assert len(found) == len(expected)
    for whole in found:
        same = expected[whole["name"].decode()]
        np.testing.assert_allclose(np.exp(whole["mel"]), np.exp(same["mel"]), atol=1e-4)
        np.testing.assert_array_equal(whole["wave"], same["wave"])
        np.testing.assert_array_equal(whole["f0"], same["f0"])
        assert whole["phone"].size == 0
        assert [whole[name] for name in ("speaker", "gender", "emotion")] == [
            same[name] for name in ("speaker", "gender", "emotion")
        ]


def test_utterances_of_another_conditioning_are_refused(prepared):
    with pytest.raises(KvoiceError, match="sample_rate_hz: 16000 here, 22050 there"):
        pipeline.utterances(prepared, "train", SPECS["speechsplit"])


def test_files_give_the_mel_of_what_audio_reads(tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / "a.wav", tmp_path / "b.flac", tmp_path / "c.wav"]
    for path, rate_hz, channels in zip(paths, (22050, 44100, 16000), (1, 2, 1)):
        soundfile.write(path, rng.normal(0, 0.1, (rate_hz // 3, channels)), rate_hz)
    for path, sound in zip(paths, pipeline.files(paths, SPEC).as_numpy_iterator(), strict=True):
        wave, _ = audio.read(path, SPEC.sample_rate_hz)
        np.testing.assert_allclose(sound["wave"], wave, atol=1e-4)
        np.testing.assert_allclose(np.exp(sound["mel"]), np.exp(audio.mel(wave, SPEC)), atol=1e-3)
