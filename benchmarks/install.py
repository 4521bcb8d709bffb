"""Size and time of an installation with each extra, in an empty environment.

    python benchmarks/install.py

The time is mostly that of downloading. It needs the packages' registry, and makes its environments
in a temporary folder.
"""

import pathlib
import subprocess
import sys
import tempfile
import time

import measure

ROOT = pathlib.Path(__file__).parent.parent
EXTRAS = {
    "": "constraints.txt",
    "tensorflow": "constraints.txt",
    "jax": "constraints.txt",
    "torch": "constraints.txt",
    "tfio": "constraints-tfio.txt",
}


def installed(extra, constraints):
    """The size in MB and the seconds of an installation of kvoice with an extra ("" = none)."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        empty = size_mb(folder)
        start = time.perf_counter()
        subprocess.run(
            [
                f"{folder}/bin/python",
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-cache-dir",
                "--constraint",
                ROOT / constraints,
                f"{ROOT}[{extra}]" if extra else ROOT,
            ],
            check=True,
        )
        seconds = time.perf_counter() - start
        return {"size_mb": round(size_mb(folder) - empty), "seconds": round(seconds)}


def size_mb(folder):
    """The size of a folder's files in MB."""
    files = (
        path for path in pathlib.Path(folder).rglob("*") if path.is_file() and not path.is_symlink()
    )
    return sum(path.stat().st_size for path in files) / 1e6


def main():
    measure.write(
        "install", {"extras": {extra: installed(extra, file) for extra, file in EXTRAS.items()}}
    )


if __name__ == "__main__":
    main()
