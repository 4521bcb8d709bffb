"""Scores of latents whose factors are known, and the log of their KL."""

import csv
import types

import numpy as np
import pytest

pytestmark = pytest.mark.backend

LEVELS = (2, 3, 3)


class Grid:
    """Images that show their factors: one row of pixels for each."""

    factors, levels = ["a", "b", "c"], LEVELS

    def __init__(self, count, seed):
        rng = np.random.default_rng(seed)
        self.values = np.stack([rng.integers(n, size=count) for n in LEVELS], axis=1)

    def __len__(self):
        return len(self.values)

    def items(self, rows):
        values = self.values[rows].astype(np.float32)
        return {
            "image": np.repeat((values / np.array(LEVELS))[:, :, None], 4, axis=2).astype(
                np.float32
            ),
            "factors": values,
        }

    def level(self, factors):
        return factors.astype(np.int32)


class Reader:
    """A model that reads the factors off the image, each into a latent of its own, and one for
    nothing.
    """

    domain = "image"

    def encode(self, images, mask=None):
        mean = np.zeros((len(images), 4), np.float32)
        mean[:, :3] = (images[:, :, 0] - 0.4) * 4
        log_var = np.full_like(mean, -8.0)
        log_var[:, 3] = 0  # the prior
        return mean, log_var

    def decode(self, codes):
        return np.repeat(codes[:, :3, None] / 4 + 0.4, 4, axis=2)


@pytest.fixture(scope="module")
def scores():
    from kvoice.evaluation import disentanglement

    return disentanglement.factor_scores(Reader(), Grid(400, 0), Grid(100, 1), 300, seed=0)


def test_a_model_that_reads_the_factors_scores_as_the_factors_do(scores):
    means, draws, identity, noise, pca = scores["rows"]
    assert [row["name"] for row in scores["rows"]] == ["means", "draws", "identity", "noise", "PCA"]
    assert means["mig"] == pytest.approx(identity["mig"], abs=0.01) and means["mig"] > 0.95
    assert draws["mig"] > 0.9 and draws["dci_disentanglement"] > 0.95
    assert noise["mig"] < 0.05
    assert scores["items"] == 300


def test_the_latent_in_use_and_what_it_says_are_named(scores):
    assert scores["activity"]["active"] == [0, 1, 2]
    information = np.array(scores["information"])
    assert information.argmax(axis=0).tolist() == [0, 1, 2]
    np.testing.assert_allclose(information.max(axis=0), np.log(LEVELS), atol=0.05)
    assert information[3].max() < 0.1  # draws of the prior, though its mean is as good as any


def test_the_error_of_reconstruction_is_beside_that_of_knowing_nothing(scores):
    assert scores["reconstruction"] < 1e-5
    images = Grid(100, 1).items(np.arange(100))["image"]
    expected = np.sqrt(np.mean((images - images.mean(axis=0)) ** 2))
    assert scores["reconstruction_of_mean"] == pytest.approx(expected, rel=1e-5)


def test_the_tables_hold_the_numbers(scores):
    metrics, informative = scores["tables"]
    assert metrics["columns"][:2] == ["codes", "MIG"]
    assert metrics["rows"][1][:2] == ["draws", f"{scores['metrics']['MIG']:.3f}"]
    assert all(
        len(row) == len(table["columns"]) for table in scores["tables"] for row in table["rows"]
    )
    assert [row[0] for row in informative["rows"]] == ["latent 0", "latent 1", "latent 2"]


def test_without_references_only_the_model_is_scored():
    from kvoice.evaluation import disentanglement

    found = disentanglement.factor_scores(
        Reader(), Grid(200, 0), Grid(20, 1), 150, 0, references=False
    )
    assert [row["name"] for row in found["rows"]] == ["means", "draws"]


def logged(path, first, step):
    """What `LatentLog` writes at the end of an epoch that ends at `step`, of a run that was at
    `first`.
    """
    from kvoice.evaluation import disentanglement

    run = types.SimpleNamespace(path=path, state={"step": first} if first else {})
    source = types.SimpleNamespace(batch=lambda i: Grid(8, i).items(np.arange(8)))
    log = disentanglement.LatentLog(run, source, batches=2)
    model = Reader()
    model.step = np.float32(step)
    log.set_model(model)
    log.on_train_begin()
    log.on_epoch_end(0)
    with open(path / "latents.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_the_kl_of_each_latent_is_logged_and_a_resumed_run_repeats_no_row(tmp_path):
    (row,) = logged(tmp_path, 0, 10)
    images = np.concatenate([Grid(8, i).items(np.arange(8))["image"] for i in range(2)])
    mean, log_var = Reader().encode(images)
    expected = np.mean((mean**2 + np.exp(log_var) - 1 - log_var) / 2, axis=0)
    np.testing.assert_allclose(
        [float(row[f"kl_{k}"]) for k in range(4)], expected, rtol=1e-3, atol=1e-6
    )
    assert [row["step"] for row in logged(tmp_path, 10, 20)] == ["10", "20"]
    assert [row["step"] for row in logged(tmp_path, 10, 20)] == ["10", "20"]  # begun again at 10
