"""Images of digits: `digits` of scikit-learn (built in), and `mnist[:FILE]` as Keras stores it."""

import hashlib
import os

import numpy as np

from kvoice.errors import KvoiceError
from kvoice.files import expanded

MNIST = "~/.keras/datasets/mnist.npz"


class Digits:
    """A corpus of images of digits, whose only factor is the digit.

    Args:
        pixels: The images, [n, height, width] uint8, 0 = black.
        white: The value of a white pixel, which is scaled to 1.
        digits: The digit of each image, [n], 0 to 9.
        tests: Number of test items of the corpus, which are its last items; 0 = none.
    """

    factors = ["digit"]
    levels = [10]
    labels = {"digit": [str(digit) for digit in range(10)]}

    def __init__(self, pixels: np.ndarray, white: int, digits: np.ndarray, tests: int = 0) -> None:
        self._pixels, self._white, self.tests = pixels, white, tests
        self._digits = digits.astype(np.int32)
        self.shape = pixels.shape[1:]
        digest = hashlib.sha256(pixels.tobytes() + self._digits.tobytes())
        self.fingerprint = digest.hexdigest()[:12]

    def __len__(self) -> int:
        return len(self._pixels)

    def images(self, items: np.ndarray) -> np.ndarray:
        """The images of items by their numbers, 0 black to 1 white: [n] -> [n, *shape] float32."""
        return self._pixels[items] / np.float32(self._white)

    def values(self, items: np.ndarray) -> np.ndarray:
        """The digits of items: [n] -> [n, 1] float32."""
        return self._digits[items][:, None].astype(np.float32)

    def level(self, values: np.ndarray) -> np.ndarray:
        """The level of each value, which is the digit: [n, 1] -> [n, 1] int32."""
        return np.rint(values).astype(np.int32)


def digits() -> Digits:
    """The 1,797 images of 8 x 8 pixels that are part of scikit-learn."""
    import sklearn.datasets

    bunch = sklearn.datasets.load_digits()
    return Digits(bunch.images.astype(np.uint8), 16, bunch.target)


def mnist(path: str = "") -> Digits:
    """The 70,000 images of 28 x 28 pixels of MNIST, whose last 10,000 are its test items.

    Args:
        path: A file as the loader of Keras writes it; "" = its default place, `MNIST`. Nothing is
            downloaded.

    Raises:
        KvoiceError: If the file is missing or of another format; the message says how to get it.
    """
    file = expanded(path or MNIST)
    if not os.path.exists(file):
        raise KvoiceError(
            f"{file}: is not there; on a machine with network `python -c 'import keras; "
            "keras.datasets.mnist.load_data()'` writes ~/.keras/datasets/mnist.npz: copy it here, "
            "or name another place with --data=mnist:FILE"
        )
    try:
        # Opened here: np.load leaves a file that it cannot read open.
        with open(file, "rb") as opened, np.load(opened, allow_pickle=False) as arrays:
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
