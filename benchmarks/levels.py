"""Levels of a corpus of acted emotions, and how well emotions are recognised with even levels.

    python benchmarks/levels.py --data=ravdess:DIR

Level is `audio.level_db` of each trimmed utterance. Emotions are predicted by a logistic regression
on the mean, spread and mean change of 20 bands of the mel over the loud frames, in cross-validation
over groups of actors. The utterances of training and test are as recorded, scaled to one level
each, or scaled by one factor for each actor (the median of his levels); and, as for a recording of
an unknown voice, trained with the last and tested with the second.
"""

import argparse

import measure
import numpy as np

FOLDS = 8


def features(wave, gain_db, spec):
    """Statistics of the mel of a wave that is louder by `gain_db`: [60]."""
    from kvoice import audio

    mel = audio.mel(wave * np.float32(10 ** (gain_db / 20)), spec)
    loudness = mel.mean(axis=1)
    mel = mel[loudness > loudness.max() - 5]
    bands = mel.reshape(len(mel), 20, -1).mean(axis=2)  # [time, 20]
    change = np.abs(np.diff(bands, axis=0, append=bands[-1:])).mean(axis=0)
    return np.concatenate([bands.mean(axis=0), bands.std(axis=0), change])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="a corpus with emotions")
    options = parser.parse_args()

    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from kvoice import audio
    from kvoice.data import corpora
    from kvoice.errors import KvoiceError

    spec = audio.SPECS["waveglow"]
    trimming = audio.Spec(trim_db=audio.RECORDINGS["trim_db"])
    waves, items, seconds = [], [], 0.0
    for item in corpora.items(options.data)[0]:
        try:
            wave, _ = audio.read(item.path, spec.sample_rate_hz)
        except KvoiceError:
            continue
        seconds += len(wave) / spec.sample_rate_hz
        waves.append(audio.condition(wave, trimming))
        items.append(item)
    levels = np.array([audio.level_db(wave) for wave in waves])
    speakers, emotions = (np.array([getattr(i, f) for i in items]) for f in ("speaker", "emotion"))
    own = {name: levels[speakers == name] for name in np.unique(speakers)}
    mean_db = np.array([own[name].mean() for name in speakers])
    wanted_db = audio.RECORDINGS["level_db"]
    gains = {
        "as recorded": np.zeros(len(levels)),
        "utterance": wanted_db - levels,
        "actor": wanted_db - np.array([np.median(own[name]) for name in speakers]),
    }
    known = {
        rule: np.stack([features(wave, gain, spec) for wave, gain in zip(waves, own_gains)])
        for rule, own_gains in gains.items()
    }

    def accuracy(trained, tested):
        right = 0
        folds = GroupKFold(min(FOLDS, len(own)))
        for train, test in folds.split(waves, emotions, speakers):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
            model.fit(known[trained][train], emotions[train])
            right += (model.predict(known[tested][test]) == emotions[test]).sum()
        return round(float(right / len(waves)), 3)

    speaker_db = np.unique(mean_db)
    name = options.data.partition(":")[0]
    result = {
        "data": name,
        "utterances": len(waves),
        "seconds": {
            "as recorded": round(seconds / len(waves), 2),
            "trimmed": round(sum(map(len, waves)) / spec.sample_rate_hz / len(waves), 2),
        },
        "actors_db": {
            "quietest": round(speaker_db.min(), 1),
            "loudest": round(speaker_db.max(), 1),
        },
        "emotions_db": {
            each: round(float((levels - mean_db)[emotions == each].mean()), 1)
            for each in np.unique(emotions)
        },
        "accuracy": {
            "as recorded": accuracy("as recorded", "as recorded"),
            "each utterance levelled": accuracy("utterance", "utterance"),
            "each actor levelled": accuracy("actor", "actor"),
            "actors levelled in training, utterances in the test": accuracy("actor", "utterance"),
        },
    }
    measure.write(f"levels_{name}", result)


if __name__ == "__main__":
    main()
