import dataclasses
import json

import numpy as np
import soundfile

from kvoice import audio, runs
from kvoice.cli import corpora
from kvoice.data import prepare

SPEC = audio.Spec(**audio.RECORDINGS)
PLAIN = audio.Spec()


def test_recordings_are_conditioned_as_the_config_says_and_rendered_corpora_are_not():
    assert corpora.conditioned(SPEC, "folder:wavs") == SPEC
    assert corpora.conditioned(SPEC, "demo+vctk:DIR") == SPEC
    for data in ("demo", "demo:25-224", "espeak:12", "demo+espeak", "additive", "digits"):
        assert corpora.conditioned(SPEC, data) == PLAIN
    chosen = corpora.conditioned(SPEC, "demo", chosen=["trim_db"])
    assert (chosen.trim_db, chosen.level_db) == (40, 0)


def test_shards_and_runs_keep_the_conditioning_that_they_were_made_with(tmp_path):
    own = audio.Spec(trim_db=20.0)
    old = dataclasses.asdict(PLAIN)
    del old["level_db"]  # as 0.1 wrote it
    run = tmp_path / "run"
    runs.create(run, {"model_name": "m", "model": {}, "data": {}, "train": {}}, PLAIN, {})
    (run / "spec.json").write_text(json.dumps(old))
    assert corpora.conditioned(SPEC, "folder:wavs", str(run)) == SPEC  # without a checkpoint
    (run / "state.json").write_text('{"step": 2}')
    assert corpora.conditioned(SPEC, "folder:wavs", str(run)) == PLAIN
    (tmp_path / "wavs" / "a").mkdir(parents=True)
    for n in range(4):
        tone = 0.3 * np.sin(np.arange(8000) * (0.1 + 0.01 * n))
        soundfile.write(tmp_path / "wavs" / "a" / f"{n}.wav", tone, 22050)
    data = f"folder:{tmp_path / 'wavs'}"
    prepare.prepare(data, tmp_path / "out", own, split="text", workers=1)
    assert corpora.conditioned(SPEC, f"prepared:{tmp_path / 'out'}") == own
