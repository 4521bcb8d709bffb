"""Pictures of digits: `digits` of scikit-learn (built in), `mnist[:FILE]` as Keras keeps it."""

import hashlib
import os

import numpy as np

from kvoice.errors import KvoiceError

MNIST = "~/.keras/datasets/mnist.npz"


class Digits:
    """Images of digits as a corpus; which digit it is, is the one factor.

    Args:
        pixels: [n, height, width] uint8.
        white: The pixel that becomes 1.
        digits: [n], 0 to 9.
        tests: How many at the end are the corpus' own test items; 0 = it has none.
    """

    factors = ["digit"]
    levels = [10]
    labels = {"digit": [str(digit) for digit in range(10)]}

    def __init__(self, pixels, white, digits, tests=0):
        self._pixels, self._white, self.tests = pixels, white, tests
        self._digits = digits.astype(np.int32)
        self.shape = pixels.shape[1:]
        digest = hashlib.sha256(pixels.tobytes() + self._digits.tobytes())
        self.fingerprint = digest.hexdigest()[:12]

    def __len__(self):
        return len(self._pixels)

    def images(self, items):
        """Images of items by their numbers, black 0 and white 1: [n] -> [n, *shape] float32."""
        return self._pixels[items] / np.float32(self._white)

    def values(self, items):
        """The digits of items: [n] -> [n, 1] float32."""
        return self._digits[items][:, None].astype(np.float32)

    def level(self, values):
        """The level of each value, which is the digit: [n, 1] -> [n, 1] int32."""
        return np.rint(values).astype(np.int32)


def digits():
    """The 1,797 images of 8 x 8 that scikit-learn brings."""
    import sklearn.datasets

    bunch = sklearn.datasets.load_digits()
    return Digits(bunch.images.astype(np.uint8), 16, bunch.target)


def mnist(path=""):
    """The 70,000 images of 28 x 28 of MNIST, whose last 10,000 are its own test items.

    Args:
        path: A file as Keras' loader keeps it; "" = where that keeps it. Nothing is downloaded.

    Raises:
        KvoiceError: If the file is not there, or not such a file; the line says how to get it.
    """
    file = os.path.expanduser(path or MNIST)
    if not os.path.exists(file):
        raise KvoiceError(
            f"{file}: is not there; on a machine with network `python -c 'import keras; "
            "keras.datasets.mnist.load_data()'` writes ~/.keras/datasets/mnist.npz: copy it here, "
            "or name another place with --data=mnist:FILE"
        )
    try:
        with np.load(file, allow_pickle=False) as arrays:
            pixels = [arrays[f"x_{part}"] for part in ("train", "test")]
            labels = [arrays[f"y_{part}"] for part in ("train", "test")]
    except Exception as error:  # zip, npy and pickle each have their own
        reason = str(error).strip("'\"").splitlines()
        raise KvoiceError(
            f"{file}: is not the mnist.npz of Keras, with x_train, y_train, x_test and y_test "
            f"({reason[0] if reason else type(error).__name__})"
        ) from None
    for images, names in zip(pixels, labels):
        if (
            images.ndim != 3
            or images.dtype != np.uint8
            or names.shape != images.shape[:1]
            or images.shape[1:] != pixels[0].shape[1:]
            or not np.isin(names, range(10)).all()
        ):
            raise KvoiceError(
                f"{file}: holds {images.dtype} {list(images.shape)} with labels "
                f"{list(names.shape)}; [n, 28, 28] uint8 with digits [n] is wanted"
            )
    return Digits(np.concatenate(pixels), 255, np.concatenate(labels), tests=len(pixels[1]))
