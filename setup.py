"""kvoice as a package; `constraints.txt` holds the versions that were tried together."""

import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "kvoice" / "__init__.py").read_text())[1]

setuptools.setup(
    name="kvoice",
    version=VERSION,
    description="Disentangled representations of voices, and speech made from them, in Keras 3",
    license="Apache-2.0",
    # Keras 3.15 needs 3.11; TensorFlow 2.21 ends at 3.13.
    python_requires=">=3.11,<3.14",
    packages=[*setuptools.find_packages(include=["kvoice", "kvoice.*"]), "kvoice.configs"],
    package_dir={"kvoice.configs": "configs"},
    package_data={"kvoice.weights": ["*/*", "*/checkpoints/*"]},
    entry_points={"console_scripts": ["kvoice = kvoice.cli.main:main"]},
    install_requires=[  # no framework: an extra brings one
        "absl-py",
        "google-crc32c",
        "h5py",
        "keras>=3.15,<3.16",
        "librosa>=0.11",
        "matplotlib",
        "ml_collections>=1.0",
        "numpy",
        "scikit-learn",
        "scipy",
        "soundfile",
        "soxr",
        "threadpoolctl",
        "tqdm",
    ],
    extras_require={  # `kvoice.frameworks.EXTRAS` says which packages each of them brings
        "tensorflow": [
            "tensorboard>=2.20",  # TensorFlow 2.21 does not bring it
            "tensorflow>=2.21,<2.22",
            "tensorflow-probability>=0.25,<0.26",
            "tf-keras>=2.21,<2.22",  # TensorFlow Probability imports it without declaring it
        ],
        "jax": ["jax>=0.4.30"],
        "torch": ["torch>=2.11"],
        # Decodes sound in the graph; it is built against an older TensorFlow, on Python 3.11 and
        # 3.12. Instead of [tensorflow], with constraints-tfio.txt.
        "tfio": [
            "setuptools<81",  # TensorBoard 2.16 imports pkg_resources, which 81 dropped
            "tensorboard>=2.16,<2.17",
            "tensorflow>=2.16,<2.17",
            "tensorflow-io>=0.37,<0.38",
            "tensorflow-probability>=0.24,<0.25",
            "tf-keras>=2.16,<2.17",
        ],
        # Recognisers that evaluate speech; they bring their weights.
        "judges": [
            "hama>=1.7,<2",
            "onnxruntime>=1.20",  # speechmos imports it, and requests, without declaring them
            "pocketsphinx>=5.0.4,<6",
            "requests",
            "speechmos>=0.0.1.1",
        ],
        "gpu": ["tensorflow[and-cuda]>=2.21,<2.22"],
        "tune": ["keras-tuner>=1.4.8"],
        "test": ["playwright>=1.60", "pytest>=8", "pytest-xdist>=3.6", "ruff>=0.17"],
    },
)
