import os

import numpy as np
import pytest
import sklearn.datasets

from kvoice.data.synthetic import digits as images
from kvoice.errors import KvoiceError


def mnist_file(path, **changes):
    """A small mnist.npz: each image is filled with its digit, the test ones brighter."""
    arrays = {}
    for part, count, plus in (("train", 30, 0), ("test", 10, 100)):
        digits = (np.arange(count) % 10).astype(np.uint8)
        arrays[f"y_{part}"] = digits
        arrays[f"x_{part}"] = np.broadcast_to(digits[:, None, None] + plus, (count, 28, 28)).astype(
            np.uint8
        )
    arrays = {name: value for name, value in (arrays | changes).items() if value is not None}
    np.savez(path, **arrays)
    return str(path)


def test_digits_are_those_of_scikit_learn():
    corpus = images.digits()
    bunch = sklearn.datasets.load_digits()
    items = np.array([5, 1796])
    assert len(corpus) == 1797 and corpus.shape == (8, 8) and not corpus.tests
    np.testing.assert_array_equal(corpus.images(items), bunch.images[items].astype(np.float32) / 16)
    np.testing.assert_array_equal(corpus.values(items)[:, 0], bunch.target[items])
    whole = corpus.images(np.arange(1797))
    assert whole.dtype == np.float32 and whole.min() == 0 and whole.max() == 1
    np.testing.assert_array_equal(corpus.level(corpus.values(items)), corpus.values(items))


def test_mnist_is_read_in_its_own_order_with_its_test_items_last(tmp_path):
    corpus = images.mnist(mnist_file(tmp_path / "mnist.npz"))
    assert len(corpus) == 40 and corpus.shape == (28, 28) and corpus.tests == 10
    np.testing.assert_allclose(corpus.images(np.array([7, 37]))[:, 3, 4], [7 / 255, 107 / 255])
    np.testing.assert_array_equal(corpus.values(np.array([7, 37])), [[7], [7]])


def test_mnist_is_found_where_keras_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(KvoiceError) as error:
        images.mnist()
    assert "load_data()" in str(error.value) and "mnist:FILE" in str(error.value)
    assert str(tmp_path / ".keras/datasets/mnist.npz") in str(error.value)
    assert "\n" not in str(error.value)
    (tmp_path / ".keras" / "datasets").mkdir(parents=True)
    mnist_file(tmp_path / ".keras" / "datasets" / "mnist.npz")
    assert len(images.mnist()) == 40


@pytest.mark.parametrize(
    "changes",
    [
        {"y_test": None},
        {"x_train": np.zeros((30, 28, 28), np.float32)},
        {"x_train": np.zeros((30, 784), np.uint8)},
        {"x_test": np.zeros((9, 28, 28), np.uint8)},
        {"x_test": np.zeros((10, 27, 28), np.uint8)},
        {"y_train": np.full(30, 10, np.uint8)},
        {"x_train": np.array([None], object)},
    ],
)
def test_a_file_that_is_not_mnist_is_named_in_one_line(changes, tmp_path):
    path = mnist_file(tmp_path / "mnist.npz", **changes)
    with pytest.raises(KvoiceError) as error:
        images.mnist(path)
    assert str(error.value).startswith(path) and "\n" not in str(error.value)


class Trap:
    """Makes a directory when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_nothing_in_a_file_is_executed(tmp_path):
    trap = Trap(str(tmp_path / "sprung"))
    path = mnist_file(tmp_path / "mnist.npz", x_train=np.array([trap], object))
    with pytest.raises(KvoiceError, match="is not the mnist.npz"):
        images.mnist(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_named_in_one_line(content, tmp_path):
    path = tmp_path / "mnist.npz"
    path.write_bytes(content)
    with pytest.raises(KvoiceError) as error:
        images.mnist(str(path))
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_other_digits_have_another_fingerprint(tmp_path):
    one = images.mnist(mnist_file(tmp_path / "one.npz"))
    other = images.mnist(mnist_file(tmp_path / "two.npz", y_test=np.zeros(10, np.uint8)))
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == images.mnist(str(tmp_path / "one.npz")).fingerprint
