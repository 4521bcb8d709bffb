"""A tiny run of each model that was stopped half way, in the format of a version of kvoice.

    python tests/old_runs/stopped.py FOLDER

makes FOLDER/MODEL/run, what the loaded model gave (outputs.npz) and the log of the same run when it
had gone on to its end (finished.csv). `format_1` was made by kvoice 0.1.0 on TensorFlow 2.16.2; it
is kept as it is, and `tests/test_old_runs.py` loads and resumes it. The corpus is made of whole
numbers, so that it is the same anywhere.
"""

import os
import pathlib
import shutil
import sys
import tempfile

import numpy as np
import soundfile

SPEAKERS = 16
EMOTIONS = ("neutral", "happy", "sad", "angry")

# What makes a model small enough to be kept, beside its variant :tiny.
CHANGES = {
    "voicegan": [
        "--config.model.noise=4",
        "--config.model.width=2",
        "--config.data.crop_frames=16",
    ],
    "betavae": ["--config.data.crop_frames=16"],
    "classifier": ["--config.data.crop_frames=16"],
    "adainvc": [],
    "speakerencoder": [],
    "waveglow": ["--config.audio.mels=8", "--config.model.flows=2"],
}


def corpus(folder):
    """Writes the corpus: each speaker hums a note of another pitch for each emotion, in
    FOLDER/wavs.
    """
    n = np.arange(8000)  # half a second at 16 kHz
    for speaker in range(SPEAKERS):
        for i, emotion in enumerate(EMOTIONS):
            period = 150 - 5 * speaker - 7 * i  # samples: 107 to 296 Hz
            wave = (n % period) * 20000 // period - 10000 + n * n * (2 * i + 3) % 301
            path = pathlib.Path(folder, "wavs", f"s{speaker}", emotion, "note.wav")
            path.parent.mkdir(parents=True)
            soundfile.write(path, wave.astype(np.int16), 16000)


def words(model):
    """The words of the command that trains the run, from the folder that holds `wavs`."""
    return [
        "train",
        f"--model={model}:tiny",
        "--data=folder:wavs",
        f"--run={model}",
        "--config.train.keep=1",
        "--config.data.batch=8" if model == "voicegan" else "--config.data.batch=4",
        *CHANGES[model],
    ]


def outputs(name, model):
    """What a loaded model gives for inputs that never change, as a dict of arrays."""
    mels = model.get_config().get("mels", 80)
    mel = np.sin(np.arange(2 * 16 * mels) * 0.37).astype(np.float32).reshape(2, 16, mels) * 3 - 4
    if name == "voicegan":
        return {
            "mel": model.decode(
                np.linspace(-1, 1, 8, dtype="float32").reshape(2, 4), np.array([1, 2])
            )
        }
    if name == "betavae":
        mean, log_var = model.encode(mel)
        return {"mean": mean, "log_var": log_var}
    if name == "classifier":
        return {"probabilities": model.probabilities(mel)}
    if name == "adainvc":
        found = model.encode(mel.reshape(32, mels))
        return {**found, "mel": model.decode(found["content"], found["styles"])}
    if name == "speakerencoder":
        return {"embedding": model.embed(np.abs(mel))}
    return {"wave": model.infer(mel[0], sigma=0.0)}


def main(folder):
    import kvoice
    from kvoice.cli.main import main
    from kvoice.training.callbacks import CheckpointCallback

    folder = pathlib.Path(folder).absolute()
    written = CheckpointCallback.on_epoch_end

    def stopped(self, *arguments):
        written(self, *arguments)
        raise KeyboardInterrupt

    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        corpus(place)
        for name in CHANGES:
            CheckpointCallback.on_epoch_end = stopped
            assert main(words(name)) == 130
            found = outputs(name, kvoice.load(name).model)
            found = {key: np.asarray(value) for key, value in found.items()}
            shutil.copytree(
                name, folder / name / "run", ignore=shutil.ignore_patterns("logs", "lock")
            )
            np.savez_compressed(folder / name / "outputs.npz", **found)
            CheckpointCallback.on_epoch_end = written
            assert main(words(name)) == 0
            shutil.copy(pathlib.Path(name, "log.csv"), folder / name / "finished.csv")
        os.chdir(folder)


if __name__ == "__main__":
    main(sys.argv[1])
