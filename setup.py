"""kvoice as a package; `constraints.txt` holds the versions that were tried together."""

import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "kvoice" / "__init__.py").read_text())[1]

# Elsewhere pip is left with nothing to resolve but `python_requires`, and says so in one line
# instead of a page about TensorFlow.
FITS = "python_version >= '3.11' and python_version < '3.13'"
JAX = ["jax>=0.4.30"]
TORCH = ["torch>=2.11"]

setuptools.setup(
    name="kvoice",
    version=VERSION,
    description="Disentangled representations of voices, and speech made from them, in Keras 3",
    license="Apache-2.0",
    # Keras 3.15 needs 3.11, TensorFlow 2.16 and tensorflow-io 0.37 end at 3.12.
    python_requires=">=3.11,<3.13",
    packages=[*setuptools.find_packages(include=["kvoice", "kvoice.*"]), "kvoice.configs"],
    package_dir={"kvoice.configs": "configs"},
    entry_points={"console_scripts": ["kvoice = kvoice.cli:main"]},
    install_requires=[f"{requirement}; {FITS}" for requirement in [
        "absl-py",
        "google-crc32c",
        "keras>=3.15,<3.16",
        "keras-tuner>=1.4.8",
        "librosa>=0.11",
        "matplotlib",
        "ml_collections>=1.0",
        "numpy",
        "scikit-learn",
        "scipy",
        "setuptools<81",  # TensorBoard 2.16 imports pkg_resources, which 81 dropped
        "soundfile",
        "soxr",
        "tensorflow>=2.16,<2.17",  # tensorflow-io 0.37 is built against it
        "tensorflow-io>=0.37,<0.38",
        "tensorflow-probability>=0.24,<0.25",
        "tf-keras>=2.16,<2.17",  # TensorFlow Probability imports it without declaring it
        "tqdm",
    ]],
    extras_require={
        "gpu": ["tensorflow[and-cuda]>=2.16,<2.17"],
        "jax": JAX,
        "torch": TORCH,
        "test": ["playwright>=1.60", "pytest>=8", *JAX, *TORCH],
    },
)
