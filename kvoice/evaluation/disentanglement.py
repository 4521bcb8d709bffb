"""Measures the disentanglement of the latents of a beta-VAE, and logs their KL in training.

For data with known factors (tones, digits) the metrics of `metrics.disentanglement` are computed
beside those of the factors themselves, of noise, and of principal components of the same items. The
model has two rows: the means of the posteriors, as most studies use them, and samples of the
posteriors, for which MIG was defined: the mean of a latent with hardly any information can still
predict a factor, where a sample cannot.
"""

import csv
import io

import keras
import numpy as np

from kvoice.data.factors import FactorSource
from kvoice.data.source import Source
from kvoice.errors import KvoiceError
from kvoice.files import replaced
from kvoice.inference import latents
from kvoice.metrics import disentanglement
from kvoice.models.betavae import BetaVAE
from kvoice.runs import Run

TITLES = {
    "mig": "MIG",
    "dci_disentanglement": "DCI D",
    "dci_completeness": "DCI C",
    "dci_informativeness": "DCI I",
    "sap_continuous": "SAP",
    "sap_discrete": "SAP (discrete)",
    "factor_vae": "FactorVAE",
    "beta_vae": "beta-VAE",
    "modularity": "modularity",
    "explicitness": "explicitness",
    "total_correlation": "TC",
}


class LatentLog(keras.callbacks.Callback):
    """Writes RUN/latents.csv: the KL divergence of each latent, in nats, after each epoch.

    Args:
        run: The run.
        source: The validation data, of which the first batches are encoded.
        batches: The number of batches.
    """

    def __init__(self, run: Run, source: Source | FactorSource, batches: int = 4) -> None:
        super().__init__()
        self.path, self.source, self.batches = run.path / "latents.csv", source, batches
        self.first = run.state.get("step", 0)
        self.rows = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        if self.path.exists():
            with open(self.path, encoding="utf-8", newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["step"]) <= self.first]

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        means, log_vars = zip(
            *(
                self.model.encode(batch[self.model.domain], batch.get("mask"))
                for batch in map(self.source.batch, range(self.batches))
            )
        )
        kl = latents.activity(np.concatenate(means), np.concatenate(log_vars))["kl"]
        step = int(keras.ops.convert_to_numpy(self.model.step))
        self.rows.append(
            {"step": step, **{f"kl_{k}": f"{value:.5g}" for k, value in enumerate(kl)}}
        )
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(self.rows[0]))
        writer.writeheader()
        writer.writerows(self.rows)
        with replaced(self.path) as file:
            file.write(text.getvalue().encode())


def factor_scores(
    model: BetaVAE,
    train: FactorSource,
    test: FactorSource,
    count: int,
    seed: int,
    references: bool = True,
    jobs: int = 1,
) -> dict:
    """Computes the metrics of a model on data with known factors.

    As in the studies on images, the codes are those of training items; the reconstruction error is
    measured on test items.

    Args:
        model: A trained BetaVAE.
        train: A `FactorSource`, of whose items `count` are drawn (all, if it has no more).
        test: The source of unseen items.
        count: The number of items, at most.
        seed: The seed of all random draws.
        references: Whether to score the references too: identity, noise and PCA.
        jobs: The number of processes; -1 = one for each processor.

    Returns:
        "rows": a list of {"name": "means", "draws", "identity", "noise" or "PCA", **metrics};
        "factors"; "levels"; "items"; "reconstruction" (root mean square error, 1 = from black to
        white) and "reconstruction_of_mean" (the error of predicting the mean item); "activity";
        "information" [latents, factors] of draws in nats; "metrics", those of "draws" by name;
        "tables".
    """
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(train))[:count])
    items = train.items(rows)
    images, levels = items["image"], train.level(items["factors"])
    if least := [
        name
        for name, column in zip(train.factors, levels.T)
        if np.bincount(column).min(initial=2, where=np.bincount(column) > 0) < 2
    ]:
        raise KvoiceError(
            f"{len(rows)} items are too few for {least[0]}: a level of it is there once only; "
            "give a larger --count"
        )
    mean, log_var = model.encode(images)
    codes = {"means": mean, "draws": mean + np.exp(log_var / 2) * rng.standard_normal(mean.shape)}
    units = latents.activity(mean, log_var)
    unknown = test.items(np.arange(len(test)))["image"]
    error = model.decode(model.encode(unknown)[0]) - unknown
    information = disentanglement.mutual_information(codes["draws"], levels)
    if references:
        dims = min(mean.shape[1], len(images), images[0].size)
        codes |= {
            "identity": disentanglement.identity(levels),
            "noise": disentanglement.noise(len(rows), mean.shape[1], rng),
            "PCA": disentanglement.pca(images, dims, rng),
        }
    table = [
        {"name": name, **disentanglement.scores(values, levels, rng, jobs=jobs)}
        for name, values in codes.items()
    ]
    found = {
        "kind": "factors",
        "rows": table,
        "factors": list(train.factors),
        "levels": [int(n) for n in train.levels],
        "items": len(rows),
        "seed": seed,
        "information": information.tolist(),
        "reconstruction": float(np.sqrt(np.mean(error**2))),
        "reconstruction_of_mean": float(np.sqrt(unknown.var(axis=0).mean())),
        "activity": {"kl": units["kl"].tolist(), "active": units["active"]},
    }
    found["metrics"] = {TITLES[name]: table[1][name] for name in TITLES} | {
        "reconstruction": found["reconstruction"],
        "KL": float(units["kl"].sum()),
        "active": len(found["activity"]["active"]),
    }
    return found | {"tables": _tables(found)}


def _tables(scores):
    """Formats the scores as tables for `kvoice.report`."""
    rows = [
        [row["name"], *("-" if row[name] is None else f"{row[name]:.3f}" for name in TITLES)]
        for row in scores["rows"]
    ]
    note = (
        f"{scores['items']} items with {', '.join(scores['factors'])}. Means and draws of the "
        "posteriors are the model's; identity is the factors themselves, PCA the same items' "
        f"principal components. Reconstruction error of unseen items "
        f"{scores['reconstruction']:.4f}, of the mean item {scores['reconstruction_of_mean']:.4f}."
    )
    informative = [
        [
            f"latent {j}",
            f"{scores['activity']['kl'][j]:.2f}",
            *(f"{nats:.2f}" for nats in scores["information"][j]),
        ]
        for j in scores["activity"]["active"]
    ]
    return [
        {
            "title": "Disentanglement",
            "note": note,
            "columns": ["codes", *TITLES.values()],
            "rows": rows,
        },
        {
            "title": "What each latent in use says",
            "note": "KL, and what a draw says about each factor, in nats.",
            "columns": ["latent", "KL", *scores["factors"]],
            "rows": informative,
        },
    ]
