"""Finds the latents of a beta-VAE that are associated with labels, and edits them.

    held = codes(model, source)                        # of whole utterances, with their labels
    units = activity(held["mean"], held["log_var"])
    rows = ranking(held["mean"], held["labels"]["gender"], rng, held["groups"]["gender"])
    factor = found(rows, units)                        # "best" and "control"

The model was trained without labels: they only rank its latents. The edits map codes to codes,
which `model.decode` decodes; `judged` measures what they change, also for the control, a latent
that is not associated with the label.
"""

from collections.abc import Callable, Collection

import numpy as np

from kvoice import audio, progress
from kvoice.data.factors import FactorSource
from kvoice.data.source import Source
from kvoice.errors import KvoiceError
from kvoice.metrics import association
from kvoice.metrics.classification import wilson

LABELS = ("gender", "emotion", "speaker")
UNKNOWN = -1  # the index of an unknown label
ACTIVE = 0.01  # variance of a latent's means above which it is in use
LENGTHS = 32  # frames: whole utterances are padded to a multiple of this
TOGETHER = 32  # utterances of one padded length that are encoded at once
IMAGES = 1024  # images that are rendered at once
STATISTICS = {"auc": "AUC", "pairwise_auc": "pairwise AUC", "eta2": "η²", "r2": "R²"}
REACH = 2.0  # the size of a flip, from the centre of two classes, in distances of their means
SILENT = "sil"  # the name of the phone of silence


# --- Codes


def codes(
    model: object, source: "Source | FactorSource | Utterances", rows: np.ndarray | None = None
) -> dict:
    """Encodes a split; returns the codes, labels and measures of its items.

    Whole utterances are encoded with a mask, padded with silence to the next multiple of `LENGTHS`
    frames. The padding of an utterance, and so its code, does not depend on the other utterances of
    its batch.

    Shapes: `mean` and `log_var` [n, latents] float32; the rest [n].

    Args:
        model: A model with the verb `encode(items, mask=None) -> (mean, log_var)`.
        source: A `data.source.Source` of mels, and of F0 and phones where these are known; or a
            source of images with factors, whose labels are then its factors.
        rows: The indices of the items of the split, in this order; None = all.

    Returns:
        "rows"; "mean" and "log_var"; "names" of the items; "labels": name -> numbers (int32, -1
        = unknown) of those with two classes or more among the items; "classes": name -> names by
        number; "continuous": name -> float64, NaN where not known; "groups": of each label and
        continuous one, the independent groups for `ranking`: numbers of the speakers (each
        unknown one is a group), or None for the items.
        Continuous, of utterances: "f0_hz" (median of the voiced frames), "voiced_share" of the
        frames, "phones_per_s" (outside silence), "loudness_db" (mean square of the mel's
        magnitudes; full scale is not 0). Of images: the factors.
    """
    rows = np.arange(len(source)) if rows is None else np.asarray(rows)
    if hasattr(source, "factors"):
        return _image_codes(model, source, rows)
    mean, log_var = [None] * len(rows), [None] * len(rows)
    labels = {name: np.full(len(rows), UNKNOWN, np.int32) for name in LABELS}
    measured, names, waiting = [], [], {}

    def encode(length):
        places, mels = zip(*waiting.pop(length))
        for place, *code in zip(places, *_posteriors(model, mels, length, source.spec)):
            mean[place], log_var[place] = code
        bar.update(len(places))

    with progress.bar(total=len(rows), desc="codes", unit="utt") as bar:
        for place, row in enumerate(rows):
            utterance = source.utterance(row)
            names.append(utterance["name"])
            measured.append(_measured(utterance, source))
            for name in LABELS:
                labels[name][place] = utterance[name]
            length = _padded_length(utterance["mel"])
            waiting.setdefault(length, []).append((place, utterance["mel"]))
            if len(waiting[length]) == TOGETHER:
                encode(length)
        for length in sorted(waiting):
            encode(length)
    speaker = np.where(labels["speaker"] == UNKNOWN, -1 - np.arange(len(rows)), labels["speaker"])
    return {
        "rows": rows,
        "mean": np.stack(mean),
        "log_var": np.stack(log_var),
        "names": names,
        **_classes(labels, source),
        "continuous": {name: np.array([each[name] for each in measured]) for name in measured[0]},
        "groups": {name: speaker for name in (*LABELS, *measured[0])} | {"speaker": None},
    }


def mean_code(model: object, mel: np.ndarray, spec: audio.Spec) -> np.ndarray:
    """Encodes an utterance as `codes` does those of a corpus: [time, mels] -> [latents]."""
    return _posteriors(model, [mel], _padded_length(mel), spec)[0][0]


def _padded_length(mel):
    return -(-len(mel) // LENGTHS) * LENGTHS


def _posteriors(model, mels, length, spec):
    """Computes mean and log-variance [n, latents] of mels padded with silence to one length."""
    mask = np.stack([np.arange(length) < len(mel) for mel in mels]).astype(np.float32)
    padded = np.full((*mask.shape, spec.mels), spec.silence, np.float32)
    padded[mask > 0] = np.concatenate(mels)
    return model.encode(padded, mask=mask)


def _image_codes(model, source, rows):
    parts = [source.items(rows[start : start + IMAGES]) for start in range(0, len(rows), IMAGES)]
    encoded = [
        model.encode(part["image"]) for part in progress.bar(parts, desc="codes", unit="batch")
    ]
    mean, log_var = (np.concatenate(each) for each in zip(*encoded))
    factors = np.concatenate([part["factors"] for part in parts]).astype(np.float64)
    labels = {name: np.concatenate([part[name] for part in parts]) for name in source.labels}
    return {
        "rows": rows,
        "mean": mean,
        "log_var": log_var,
        "names": [str(row) for row in rows],
        **_classes(labels, source),
        "continuous": {
            name: values for name, values in zip(source.factors, factors.T) if name not in labels
        },
        "groups": dict.fromkeys((*labels, *source.factors)),
    }


def _classes(labels, source):
    """Returns the labels with two classes or more, and the names of their classes."""
    kept = {
        name: numbers
        for name, numbers in labels.items()
        if len(np.unique(numbers[numbers != UNKNOWN])) > 1
    }
    return {"labels": kept, "classes": {name: list(source.labels[name]) for name in kept}}


def _measured(utterance, source):
    """Measures the continuous labels of an utterance: name -> float."""
    spec = source.spec
    numbers = {"loudness_db": loudness_db(utterance["mel"], spec)}
    if "f0" in utterance:
        voiced = utterance["f0"][utterance["f0"] > 0]
        numbers["f0_hz"] = float(np.median(voiced)) if len(voiced) else np.nan
        numbers["voiced_share"] = len(voiced) / len(utterance["f0"])
    if "phone" in utterance:
        silent = [i for i, name in enumerate(source.labels["phone"]) if name == SILENT]
        numbers["phones_per_s"] = phones_per_s(utterance["phone"], silent, spec)
    return numbers


def loudness_db(mel: np.ndarray, spec: audio.Spec) -> float:
    """Computes the mean square of a mel's magnitudes in dB, at least the floor: [time, mels]."""
    power = np.mean(np.square(audio.magnitude(mel, spec), dtype=np.float64))
    return 10 * np.log10(max(power, spec.floor**2))


def phones_per_s(phone: np.ndarray, silent: list[int], spec: audio.Spec) -> float:
    """Computes phones per second over the known frames that are not silent; NaN for none.

    Shapes: phone [time] -> a float.

    Args:
        phone: The phone of each frame.
        silent: The indices of the phones of silence.
        spec: The Spec of the frames.
    """
    begins = np.append(True, phone[1:] != phone[:-1])
    spoken = ~np.isin(phone, [UNKNOWN, *silent])
    seconds = spoken.sum() * spec.hop / spec.sample_rate_hz
    return float((begins & spoken).sum() / seconds) if seconds else np.nan


# --- The latents and the labels


def activity(mean: np.ndarray, log_var: np.ndarray) -> dict:
    """Measures which latents are active.

    Per latent the KL from the prior, `mean over items of (m^2 + s^2 - ln s^2 - 1) / 2`: an upper
    bound of the mean information in a code about its item. Active: the variance of its means over
    the items exceeds `ACTIVE`. Dead: all others, whose posterior hardly depends on the item.

    Shapes: mean, log_var [n, latents] -> dict of [latents]: "kl" in nats, "variance" of the means,
    "sigma" (mean posterior standard deviation), "centre" (mean of the means) and "spread" (standard
    deviation of the codes of all items, the aggregate posterior); with "active" and "dead", lists
    of numbers of latents.

    Source: Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519, section 5 (active units).
    """
    mean, log_var = np.asarray(mean, np.float64), np.asarray(log_var, np.float64)
    variance = mean.var(axis=0)
    return {
        "kl": np.mean(mean**2 + np.exp(log_var) - log_var - 1, axis=0) / 2,
        "variance": variance,
        "sigma": np.exp(log_var / 2).mean(axis=0),
        "centre": mean.mean(axis=0),
        "spread": np.sqrt(variance + np.exp(log_var).mean(axis=0)),
        "active": np.flatnonzero(variance > ACTIVE).tolist(),
        "dead": np.flatnonzero(variance <= ACTIVE).tolist(),
    }


def ranking(
    mean: np.ndarray, label: np.ndarray, rng: np.random.Generator, groups: np.ndarray | None = None
) -> list[dict]:
    """Ranks the latents by their association with a label, best first: a list of rows.

    Items whose label is unknown (-1, or NaN) are left out. The value of the best latent is
    biased on the items that it was chosen on, and has to be confirmed on other items.

    Shapes: mean [n, latents], label [n], groups [n] -> a list of `latents` dicts.

    Args:
        mean: The codes.
        label: The indices of classes, or the values of a continuous label.
        rng: A NumPy generator, for the intervals and the permutations.
        groups: The independent groups, such as the speakers; None = the items.

    Returns:
        For each latent "latent"; "statistic", its name (`association.statistic`), "value", "low"
        and "high" (95 % of resampled groups; None where there are too few); "d_prime" (two classes,
        otherwise None); "mutual_information" in nats and "share" of the label's entropy (classes,
        otherwise None); "direction", the number of the class that is high, or 1 or -1 for a
        continuous label; "p" (permutations, over all latents at once) and "least", the least p that
        the groups allow.

    Raises:
        KvoiceError: If fewer than two classes are known, or the shapes do not match.
    """
    mean, label = np.asarray(mean), np.asarray(label)
    known = np.isfinite(label) if label.dtype.kind == "f" else label != UNKNOWN
    if len(mean) != len(label) or not known.any():
        raise KvoiceError(
            f"a label that is known of some of the {len(mean)} codes is needed, got "
            f"{len(label)} of which {int(known.sum())} are known"
        )
    mean, label = mean[known], label[known]
    groups = None if groups is None else np.asarray(groups)[known]
    name = association.statistic(label)
    values = association.score(mean, label)
    sides = association.interval(mean, label, rng, groups)
    p, least = association.permutation(mean, label, rng, groups)
    distance = association.d_prime(mean, label) if name == "auc" else np.full(len(values), np.nan)
    nats = share = np.full(len(values), np.nan)
    if name != "r2":
        nats = association.mutual_information(mean, label)
        share = nats / association.entropy(label)
    direction = association.directions(mean, label)
    rows = [
        {
            "latent": d,
            "statistic": name,
            "value": float(values[d]),
            "low": _number(sides[d, 0]),
            "high": _number(sides[d, 1]),
            "d_prime": _number(distance[d]),
            "mutual_information": _number(nats[d]),
            "share": _number(share[d]),
            "direction": int(direction[d]),
            "p": float(p[d]),
            "least": least,
        }
        for d in range(mean.shape[1])
    ]
    return sorted(
        rows,
        key=lambda row: (
            -row["value"],
            -abs(row["d_prime"] or 0),
            -(row["mutual_information"] or 0),
        ),
    )


def _number(value):
    return float(value) if np.isfinite(value) else None


def found(rows: list[dict], units: dict) -> dict:
    """Chooses the latent with the strongest association with the label, and a control.

    The control shows the effect of an edit of this size that is unrelated to the label. It is
    chosen among the active latents without the best: those whose association is explained by chance
    (the interval of an AUC holds 0.5; p > 0.05 for other statistics, and where there is no
    interval). Of the half of these with the weakest association, the latent with the highest KL is
    the control. If chance explains none, it is the one with the weakest association.

    Args:
        rows: The result of `ranking`.
        units: The result of `activity` for the same latents.

    Returns:
        {"best": row, "control": row}; the control is None where no other latent is active.
    """
    best, *others = rows
    others = [row for row in others if row["latent"] in units["active"]]
    pool = sorted(filter(_chance, others), key=lambda row: row["value"])
    weakest = pool[: -(-len(pool) // 2)] or sorted(others, key=lambda row: row["value"])[:1]
    control = max(weakest, key=lambda row: units["kl"][row["latent"]], default=None)
    return {"best": best, "control": control}


def discovered(
    model: object,
    known: "Source | FactorSource | Utterances",
    unseen: "Source | FactorSource | Utterances",
    rng: np.random.Generator,
    rows: np.ndarray | None = None,
    names: Collection[str] | None = None,
) -> dict:
    """Chooses the latent of each label on some items, and confirms it on others.

    Args:
        model: A model, as for `codes`.
        known: The source of the items on which latents are chosen, such as the training data.
        unseen: The source of items that are used neither in training nor for the choice.
        rng: A NumPy generator, for intervals and permutations.
        rows: The rows of `known`, as for `codes`; None = all.
        names: The labels and continuous labels to rank; None = all that are known.

    Returns:
        "known" and "unseen", the `codes`; "activity", on the known; "rankings": name of a label or
        number -> `ranking`; "found": name -> `found`, the best among the active latents (one that
        the decoder ignores can still predict a label), with "confirmed": its row on the
        unseen items, None where they are of one class. Its AUC is read the way round that the known
        items have, and is below 0.5 where the unseen ones contradict them.
    """
    known, unseen = codes(model, known, rows), codes(model, unseen)
    units = activity(known["mean"], known["log_var"])
    rankings, best = {}, {}
    for name, values in {**known["labels"], **known["continuous"]}.items():
        if names is not None and name not in names or not _varied(values):
            continue
        rankings[name] = rows = ranking(known["mean"], values, rng, known["groups"][name])
        best[name] = found([row for row in rows if row["latent"] in units["active"]] or rows, units)
        best[name]["confirmed"] = _confirmed(best[name]["best"], name, unseen, rng)
    return {
        "known": known,
        "unseen": unseen,
        "activity": units,
        "rankings": rankings,
        "found": best,
    }


def _varied(values):
    known = values[np.isfinite(values) if values.dtype.kind == "f" else values != UNKNOWN]
    return len(known) > 1 and np.ptp(known) > 0


def _confirmed(best, name, unseen, rng):
    """Ranks one latent on other items; None where their label does not vary."""
    values = unseen["labels"].get(name, unseen["continuous"].get(name))
    if values is None or not _varied(values):
        return None
    latent = best["latent"]
    (row,) = ranking(unseen["mean"][:, [latent]], values, rng, unseen["groups"][name])
    row["latent"] = latent
    if row["statistic"] == "auc" and row["direction"] != best["direction"]:
        low, high = (side if side is None else 1 - side for side in (row["high"], row["low"]))
        row |= {"value": 1 - row["value"], "low": low, "high": high}
    return row


def _chance(row):
    if row["statistic"] == "auc" and row["low"] is not None:
        return row["low"] <= 0.5
    return row["p"] > 0.05


def chosen(discovery: dict, label: str, factor: int | None = None) -> tuple[int, int | None]:
    """Returns the index of the latent that is flipped for a label, and that of its control or None.

    Args:
        discovery: The result of `discovered`.
        label: The name of a label or continuous label in it.
        factor: The index of a latent to use instead of the best.

    Raises:
        KvoiceError: If the label is not known, or there is no such latent.
    """
    known = discovery["rankings"]
    if label not in known:
        raise KvoiceError(
            f"--label={label}: is not known of these items, or the same for all; "
            f"known: {', '.join(known)}"
        )
    count = len(discovery["activity"]["kl"])
    if factor is None:
        best = discovery["found"][label]
    elif not 0 <= factor < count:
        raise KvoiceError(f"--factor={factor}: the model has latents 0 to {count - 1}")
    else:  # the one asked for stands first, as if it were the best
        rows = sorted(known[label], key=lambda row: row["latent"] != factor)
        best = found(rows, discovery["activity"])
    return best["best"]["latent"], best["control"] and best["control"]["latent"]


def found_table(discovery: dict) -> dict:
    """Formats the best latent of each label, with its value on unseen items, as a table."""
    rows = []
    for name, each in discovery["found"].items():
        best, confirmed = each["best"], each["confirmed"]
        distance = best["d_prime"]
        rows.append(
            [
                name,
                str(best["latent"]),
                STATISTICS[best["statistic"]],
                _ranged(best),
                _ranged(confirmed) if confirmed else "–",
                "–" if distance is None else f"{distance:+.1f}",
                "–" if best["share"] is None else f"{best['share']:.0%}",
                f"{best['p']:.3f}",
                "–" if each["control"] is None else str(each["control"]["latent"]),
            ]
        )
    return {
        "title": "Which latent goes with what",
        "note": "The best latent in use for each label and number, chosen on some items and "
        "confirmed "
        "on others that neither it nor the model had seen. Brackets: 95 % of resamples, of "
        "speakers where there are some, – where they are too few. Mutual information: as a "
        "share of the label's entropy. p: of permutations, for the search over all latents.",
        "columns": [
            "label",
            "latent",
            "statistic",
            "found",
            "confirmed",
            "d′",
            "mutual information",
            "p",
            "control",
        ],
        "rows": rows,
    }


def _ranged(row):
    if row["low"] is None:
        return f"{row['value']:.2f} (–)"
    return f"{row['value']:.2f} ({row['low']:.2f}–{row['high']:.2f})"


# --- Edits


def put(codes: np.ndarray, latent: int, value: float | np.ndarray) -> np.ndarray:
    """Sets a latent of codes to a value: the published edit, at -1 and +1.

    Shapes: codes [n, latents], value a number or [n] -> [n, latents] float32.
    """
    edited = np.array(codes, np.float32)
    edited[:, latent] = value
    return edited


def shifted(codes: np.ndarray, latent: int, k: float, spread: float = 1.0) -> np.ndarray:
    """Moves a latent of codes by k, in units of `spread`.

    Shapes: codes [n, latents] -> [n, latents] float32.

    Args:
        codes: The codes.
        latent: The index of the latent.
        k: The number of steps, positive or negative.
        spread: The size of a step: 1, or the "spread" of this latent in `activity`, since latents
            differ in scale.
    """
    return put(codes, latent, np.asarray(codes)[:, latent] + k * spread)


def modes(mean: np.ndarray, label: np.ndarray, latent: int) -> tuple[float, float]:
    """Computes the mean code of a latent for each of two classes, over items of known label.

    Shapes: mean [n, latents], label [n] -> (lower class, upper class), floats.

    Raises:
        KvoiceError: If the known labels are not of two classes.
    """
    label = np.asarray(label)
    classes = np.unique(label[label != UNKNOWN])
    if len(classes) != 2:
        raise KvoiceError(f"a flip needs a label of two classes, got {len(classes)}")
    return tuple(float(np.asarray(mean)[label == each, latent].mean()) for each in classes)


def control_modes(
    pair: tuple[float, float], latent: int, control: int, units: dict
) -> tuple[float, float]:
    """Computes two values of the control as far apart, in its own spread, as the factor's modes.

    The class means of the control are nearly equal: a flip between them would hardly move it, and
    would be no comparison.

    Args:
        pair: The `modes` of the factor.
        latent: The index of the factor.
        control: The index of the control.
        units: The result of `activity` on the items of the modes.
    """
    half = (pair[1] - pair[0]) / 2 / units["spread"][latent] * units["spread"][control]
    centre = units["centre"][control]
    return float(centre - half), float(centre + half)


def flipped(
    codes: np.ndarray, latent: int, pair: tuple[float, float], up: np.ndarray | None = None
) -> np.ndarray:
    """Sets a latent of codes to the other of two values.

    Shapes: codes [n, latents], pair of values, up [n] -> [n, latents] float32.

    Args:
        codes: The codes before the edit.
        latent: The index of the latent.
        pair: The two values, such as `modes`.
        up: Whether each code goes to the second value; None = to the farther one, so that
            unlabelled recordings can be flipped too.
    """
    values, (one, other) = np.asarray(codes)[:, latent], pair
    up = np.abs(values - one) < np.abs(values - other) if up is None else up
    return put(codes, latent, np.where(up, other, one))


def ends(
    held: dict, name: str, latent: int
) -> tuple[tuple[float, float], tuple[str, str], tuple[int, int] | None]:
    """Computes two values of a latent to flip between, and the names of both ends.

    Of a label, from the mean codes of two classes, those that lie farthest apart, as far outwards
    again as they are from their middle (the published flips went to -1 and 1, where the classes lay
    at -.45 and .55). Of a number, likewise from the mean codes of its lowest and its highest
    quarter.

    Args:
        held: The result of `codes`.
        name: The name of a label, or of a continuous label.
        latent: The index of the latent.

    Returns:
        The pair of values, and a pair of names; for labels with their numbers as a third.
    """
    codes = np.asarray(held["mean"])[:, latent]
    if name in held["labels"]:
        labels = held["labels"][name]
        classes = np.unique(labels[labels != UNKNOWN])
        means = np.array([codes[labels == each].mean() for each in classes])
        chosen = sorted((classes[means.argmin()], classes[means.argmax()]))
        pair = modes(held["mean"], np.where(np.isin(labels, chosen), labels, UNKNOWN), latent)
        titles = tuple(held["classes"][name][each] for each in chosen)
        return _outwards(pair), titles, tuple(map(int, chosen))
    values = held["continuous"][name]
    low, high = np.nanquantile(values, (0.25, 0.75))
    pair = float(codes[values <= low].mean()), float(codes[values >= high].mean())
    return _outwards(pair), (f"low {name}", f"high {name}"), None


def _outwards(pair):
    middle = sum(pair) / 2
    return tuple(middle + REACH * (value - middle) for value in pair)


def edits(
    discovery: dict, name: str, factor: int, control: int, rows: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the codes of unseen items unchanged, with the factor flipped, and with the control.

    Args:
        discovery: The result of `discovered`.
        name: The label, or the continuous label.
        factor: The latent that is flipped.
        control: The latent that is moved as far, in its own spread.
        rows: The indices of the unseen items.

    Returns:
        "none", "flip" and "control": codes [n, latents]; and "up" [n], whether the flip goes to the
        second of `ends`: to the other class than that of the item, or, where that is unknown, to
        the end that is farther from its code.
    """
    pair, _, classes = ends(discovery["known"], name, factor)
    away = control_modes(pair, factor, control, discovery["activity"])
    codes = np.asarray(discovery["unseen"]["mean"], np.float32)[rows]
    up = flipped(codes, factor, pair)[:, factor] == np.float32(pair[1])
    if classes:
        labels = discovery["unseen"]["labels"].get(name, np.full(len(codes), UNKNOWN))[rows]
        up = np.where(labels == classes[0], True, np.where(labels == classes[1], False, up))
    return {
        "none": codes,
        "flip": flipped(codes, factor, pair, up),
        "control": flipped(codes, control, away, up),
        "up": up,
    }


def swept(code: np.ndarray, latent: int, values: np.ndarray) -> np.ndarray:
    """Sets a latent of one code to each of the values: [latents], [n] -> [n, latents] float32."""
    return put(np.tile(code, (len(values), 1)), latent, values)


def interpolated(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """Interpolates between codes in equal steps on the straight line, both ends included.

    Means of posteriors, unlike noise, do not lie near a sphere, so that a straight line is correct.

    Shapes: start, end [latents] -> [steps, latents] float32.
    """
    return np.linspace(start, end, steps).astype(np.float32)


def prior(n: int, latents: int, rng: np.random.Generator) -> np.ndarray:
    """Draws codes from the prior: [n, latents] float32 from a standard normal."""
    return rng.standard_normal((n, latents)).astype(np.float32)


def resampled(
    mean: np.ndarray, log_var: np.ndarray, n: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws codes from the posterior of one item: `mean + sigma * noise`.

    Shapes: mean, log_var [latents] -> [n, latents] float32.
    """
    noise = rng.standard_normal((n, len(mean)))
    return (mean + np.exp(np.asarray(log_var) / 2) * noise).astype(np.float32)


# --- Effects of edits


def judged(
    before: object, edits: dict[str, object], judges: dict[str, Callable[[object], np.ndarray]]
) -> dict:
    """Measures the changes of decoded items, by edit and judge.

    Args:
        before: The decoded items of the unchanged codes, as the judges take them.
        edits: Name -> decoded items of the edited codes, in the same order; such as those of the
            factor, and of its control.
        judges: Name -> function of items that gives for each of them a label ([n] whole numbers),
            a number ([n] fractions, NaN = not known), or a vector ([n, size], such as a speaker
            embedding).

    Returns:
        edit -> judge -> a dict with "count" of the items and, of labels, "changed", the share that
        is different, with "low" and "high" (95 %, Wilson); of numbers "change", the median of
        after - before; of vectors "similarity", the median cosine of before and after. None where
        nothing is known.

    Raises:
        KvoiceError: If an edit has another number of items.
    """
    first = {name: np.asarray(judge(before)) for name, judge in judges.items()}
    return {
        edit: {
            name: _changed(f"{edit}, {name}", first[name], np.asarray(judge(after)))
            for name, judge in judges.items()
        }
        for edit, after in edits.items()
    }


def _changed(what, before, after):
    if before.shape != after.shape:
        raise KvoiceError(f"{what}: {len(before)} items were judged before and {len(after)} after")
    if before.ndim == 2:
        sizes = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
        return _median("similarity", np.sum(before * after, axis=1) / sizes)
    if before.dtype.kind == "f":
        return _median("change", after - before)
    return share(int(np.sum(before != after)), len(before), "changed")


def share(hits: int, count: int, name: str = "share") -> dict:
    """Returns a share as a dict: its name, "count", and "low" and "high" (95 %, Wilson)."""
    low, high = wilson(hits, count)
    return {"count": count, name: hits / count, "low": low, "high": high}


def _median(name, values):
    values = values[np.isfinite(values)]
    return {"count": len(values), name: float(np.median(values)) if len(values) else None}


class Utterances:
    """The utterances of some splits in sequence, cut to the length that a model can decode.

    A decoder that is conditioned on phones makes one frame for each of them; another makes segments
    of one length, and longer utterances are cut to their middle, whose text is not known.

    Args:
        model: An auto-encoder of mels.
        sources: `data.source.Source`s of one corpus, of mels, and of F0 and phones as far as known.
    """

    def __init__(self, model: object, *sources: Source) -> None:
        self.sources, self.frames = sources, None if model.phones else model.shape[0]
        self.spec, self.labels = sources[0].spec, sources[0].labels
        self._places = [(source, i) for source in sources for i in range(len(source))]

    def __len__(self):
        return len(self._places)

    def utterance(self, i: int) -> dict:
        """Returns an utterance like `data.source.Source.utterance`."""
        source, row = self._places[i]
        found = source.utterance(row)
        spare = 0 if self.frames is None else max(0, len(found["mel"]) - self.frames)
        if not spare:
            return found
        first, last = spare // 2, spare // 2 + self.frames
        hops = {"wave": self.spec.hop}  # of all others there is one value for each frame
        cut = {
            name: value[first * hops.get(name, 1) : last * hops.get(name, 1)]
            for name, value in found.items()
            if isinstance(value, np.ndarray)
        }
        return found | cut | {"text": ""}  # no longer all of it


def decoded(model: object, codes: np.ndarray, utterances: list[dict]) -> list[np.ndarray]:
    """Decodes codes to mels, each with the length and the phones of its utterance.

    Shapes: codes [n, latents] -> a list of [time, mels].

    Args:
        model: An auto-encoder of mels.
        codes: A code for each utterance.
        utterances: The utterances of a source.
    """
    if not model.phones:
        return [mel[: len(each["mel"])] for mel, each in zip(model.decode(codes), utterances)]
    mels, lengths = [None] * len(codes), {}
    for k, each in enumerate(utterances):
        lengths.setdefault(-(-len(each["mel"]) // LENGTHS) * LENGTHS, []).append(k)
    for length, places in sorted(lengths.items()):
        for start in range(0, len(places), TOGETHER):
            chosen = places[start : start + TOGETHER]
            phones = np.zeros((len(chosen), length), np.int32)  # as a source pads them
            for row, k in zip(phones, chosen):
                row[: len(utterances[k]["mel"])] = utterances[k]["phone"]
            for k, mel in zip(chosen, model.decode(np.asarray(codes)[chosen], phones)):
                mels[k] = mel[: len(utterances[k]["mel"])]
    return mels
