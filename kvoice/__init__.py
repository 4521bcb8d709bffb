"""Disentangled representations of voices, and speech made from them, in Keras 3.

Importing this package imports no framework, so that `-h` answers at once, and sets what has to be
set before one is imported.
"""

import os

from kvoice import imports

__version__ = "0.1.0"

# A virtual machine may advertise AMX without being able to run it: a bfloat16 matmul then ends the
# process with SIGILL on all three backends. This cap keeps oneDNN to what works; it costs nothing
# that was measured.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
# TensorFlow writes a page about missing CUDA libraries at start-up; what matters is raised anyway.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
imports.silence_tensorflow()


def load(run: str | os.PathLike) -> object:
    """Returns the trained model of a run, as an `inference.voice.Voice`.

    That has `model`, `spec`, `names` and `run`, the model's verbs from arrays of samples to arrays
    of samples (`generate`, `convert`, `encode`, `classify` or `vocode`), `mel` and `to_wave`.
    It runs on the backend that KERAS_BACKEND names, else on the first that is installed.

    Args:
        run: The directory of a run, or the name of weights that ship, such as "adainvc".

    Raises:
        KvoiceError: If the folder is no run, has no checkpoint, or no backend is installed.
    """
    from kvoice import frameworks

    frameworks.chosen_backend()
    from kvoice.inference import voice

    return voice.load(run)
