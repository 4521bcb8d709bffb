"""What an installation brings: one command with its configs inside, under the tried versions."""

import ast
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import kvoice
from kvoice import frameworks, weights
from kvoice.cli import main as cli

ROOT = pathlib.Path(__file__).resolve().parent.parent
SETUP = (ROOT / "setup.py").read_text()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of this checkout, built outside of it and unpacked."""
    place = tmp_path_factory.mktemp("wheel")
    for name in ("setup.py", "kvoice", "configs"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, place / name)
    subprocess.run(
        [sys.executable, "setup.py", "-q", "bdist_wheel"],
        cwd=place,
        check=True,
        capture_output=True,
    )
    (built,) = (place / "dist").glob("*.whl")
    zipfile.ZipFile(built).extractall(place / "site")
    return place / "site"


def test_a_wheel_gives_one_command(wheel):
    (entry_points,) = wheel.glob("*.dist-info/entry_points.txt")
    assert entry_points.read_text().split("\n\n")[0].splitlines() == [
        "[console_scripts]",
        "kvoice = kvoice.cli.main:main",
    ]
    assert not list(wheel.glob("*.data/scripts/*"))


def test_a_wheel_holds_the_version_of_the_package(wheel):
    (metadata,) = wheel.glob("*.dist-info/METADATA")
    assert f"\nVersion: {kvoice.__version__}\n" in metadata.read_text()


@pytest.fixture(scope="module")
def requirements(wheel):
    """The requirements of each extra, and under "" of the package alone."""
    (metadata,) = wheel.glob("*.dist-info/METADATA")
    listed = [
        Requirement(line.partition(": ")[2])
        for line in metadata.read_text().splitlines()
        if line.startswith("Requires-Dist: ")
    ]
    extras = ["", *setup_extras()]
    return {
        extra: [
            r
            for r in listed
            if r.marker is None
            and not extra
            or r.marker is not None
            and extra
            and r.marker.evaluate({"extra": extra})
        ]
        for extra in extras
    }


def setup_extras():
    (call,) = (
        node
        for node in ast.walk(ast.parse(SETUP))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "setup"
    )
    (extras,) = (word.value for word in call.keywords if word.arg == "extras_require")
    return [key.value for key in extras.keys]


def names(requirements):
    return {canonical(r.name) for r in requirements}


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_pythons_are_those_that_were_tried(wheel):
    (metadata,) = wheel.glob("*.dist-info/METADATA")
    (wanted,) = (
        line for line in metadata.read_text().splitlines() if line.startswith("Requires-Python: ")
    )
    fits = [
        minor for minor in range(8, 20) if f"3.{minor}" in SpecifierSet(wanted.partition(": ")[2])
    ]
    assert fits == [11, 12, 13]


FRAMEWORKS = {
    "tensorflow",
    "tensorflow-probability",
    "tensorflow-io",
    "tf-keras",
    "tensorboard",
    "jax",
    "torch",
    "keras-tuner",
}


def test_the_package_alone_brings_no_framework(requirements):
    assert len(requirements[""]) > 10
    assert not FRAMEWORKS & names(requirements[""])


@pytest.mark.parametrize(
    "extra, brought",
    [
        ("tensorflow", {"tensorflow", "tensorflow-probability", "tf-keras", "tensorboard"}),
        ("jax", {"jax"}),
        ("torch", {"torch"}),
        ("tune", {"keras-tuner"}),
        ("judges", set()),
        ("test", set()),
        (
            "tfio",
            {"tensorflow", "tensorflow-io", "tensorflow-probability", "tf-keras", "tensorboard"},
        ),
    ],
)
def test_each_extra_brings_its_framework_and_no_other(requirements, extra, brought):
    assert FRAMEWORKS & names(requirements[extra]) == brought


@pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
def test_a_missing_framework_is_told_by_an_extra_that_brings_it(requirements, framework):
    (extra,) = (
        extra
        for extra, packages in frameworks.EXTRAS.items()
        if framework in map(canonical, packages)
    )
    assert framework in names(requirements[extra])


def test_a_missing_judge_is_told_by_the_extra_that_brings_it(requirements):
    assert set(frameworks.EXTRAS["judges"]) <= names(requirements["judges"])


def test_a_wheel_finds_the_configs_inside(wheel, tmp_path):
    shown = subprocess.run(
        [sys.executable, "-Pm", "kvoice", "train", "--model=voicegan:paper", "-h"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
    )
    assert "--config.model.width=64" in shown.stdout
    asked = subprocess.run(
        [sys.executable, "-Pc", "from kvoice.cli import configs; print(configs.CONFIGS)"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
    )
    assert asked.stdout.strip() == str(wheel / "kvoice" / "configs")


def test_a_wheel_holds_every_module_and_nothing_of_the_tests(wheel):
    packed = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*.py")}
    own = {path.relative_to(ROOT).as_posix() for path in (ROOT / "kvoice").rglob("*.py")}
    configs = {f"kvoice/configs/{path.name}" for path in (ROOT / "configs").glob("*.py")}
    assert packed == own | configs


def pins(name):
    """Distribution -> its specifier in a file of constraints."""
    lines = [
        Requirement(line)
        for line in (ROOT / name).read_text().splitlines()
        if not line.startswith("#")
    ]
    return {canonical(pin.name): pin.specifier for pin in lines}


@pytest.mark.parametrize(
    "file, extras",
    [
        ("constraints.txt", ["", "tensorflow", "jax", "torch", "judges", "tune", "test"]),
        ("constraints-tfio.txt", ["", "tfio", "jax", "torch", "tune", "test"]),
    ],
)
def test_every_requirement_is_pinned_to_what_it_allows(requirements, file, extras):
    pinned = pins(file)
    for requirement in (each for extra in extras for each in requirements[extra]):
        specifier = pinned[canonical(requirement.name)]
        exact = [version.version for version in specifier if version.operator == "=="]
        assert exact or requirement.name in ("torch", "setuptools")
        assert all(version in requirement.specifier for version in exact), requirement


def test_each_verb_has_a_front_door():
    doors = {path.name for path in (ROOT / "bin").iterdir()}
    assert doors == {"kvoice", *cli.VERBS}
    assert all(os.readlink(ROOT / "bin" / verb) == "kvoice" for verb in cli.VERBS)


# bin/* and make, on machines that lack something


@pytest.fixture
def bare(tmp_path):
    """A directory for PATH with no Python in it, and a copy of the front doors."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "basename", "readlink", "make", "touch"):
        if shutil.which(name):
            (tools / name).symlink_to(shutil.which(name))
    shutil.copytree(ROOT / "bin", tmp_path / "bin", symlinks=True)
    for name in ("Makefile", "setup.py", "constraints.txt", "constraints-tfio.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def run(command, bare):
    return subprocess.run(
        command, cwd=bare, env={"PATH": str(bare / "tools")}, capture_output=True, text=True
    )


def python(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_front_door_says_how_to_install(bare):
    answer = run([bare / "bin" / "train", "-h"], bare)
    assert answer.returncode == 1
    assert len(answer.stderr.splitlines()) == 1 and "make install" in answer.stderr


def test_a_front_door_finds_the_environment_beside_it(bare):
    python(bare / ".venv" / "bin" / "python", """printf '%s\\n' "$@" """)
    answer = run([bare / "bin" / "train", "--run=with space"], bare)
    assert answer.stdout.splitlines()[-4:] == ["-Pm", "kvoice", "train", "--run=with space"]


@pytest.mark.parametrize("door, named", [("train", "bin/"), ("kvoice", "bin/kvoice ")])
def test_what_comes_next_begins_with_the_front_door_that_was_used(bare, door, named):
    python(bare / ".venv" / "bin" / "python", 'echo "[$KVOICE_DOOR]"')
    assert run([f"bin/{door}", "report"], bare).stdout.splitlines()[-1] == f"[{named}]"


def test_a_front_door_prefers_the_active_environment(bare):
    python(bare / "tools" / "python3", "echo active")
    python(bare / ".venv" / "bin" / "python", "echo own")
    assert run([bare / "bin" / "train"], bare).stdout.splitlines()[-1] == "active"


def test_a_front_door_passes_an_active_environment_without_kvoice(bare):
    python(bare / "tools" / "python3", "exit 1")
    python(bare / ".venv" / "bin" / "python", "echo own")
    assert run([bare / "bin" / "train"], bare).stdout.splitlines()[-1] == "own"


needs_make = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


def said_by_make(answer):
    return [line for line in answer.stderr.splitlines() if not line.startswith("make")]


@needs_make
@pytest.mark.parametrize(
    "there, target, folder, wanted",
    [
        ("3.14", "train", ".venv", "3.11 3.12 3.13,"),
        ("3.13", "test-tfio", ".venv-tfio", "3.11 3.12,"),
    ],
)
def test_make_names_the_pythons_it_can_use(bare, there, target, folder, wanted):
    python(bare / "tools" / "python3", f"echo {there}")
    answer = run(["make", target], bare)
    assert answer.returncode == 2 and not (bare / folder).exists()
    (line,) = said_by_make(answer)
    assert wanted in line


@needs_make
def test_make_names_the_missing_venv_module(bare):
    python(bare / "tools" / "python3", "echo 3.9")
    python(bare / "tools" / "python3.12", 'case "$2" in *ensurepip*) exit 1;; esac; echo 3.12')
    answer = run(["make", "test"], bare)
    assert answer.returncode == 2 and not (bare / ".venv").exists()
    (line,) = said_by_make(answer)
    assert "python3.12-venv" in line


@needs_make
def test_make_installs_once(bare):
    log = bare / "log"
    python(
        bare / "tools" / "python3",
        f'echo 3.11; [ "$2" = venv ] && mkdir -p .venv/bin && '
        f"cp {bare}/fake .venv/bin/python; exit 0",
    )
    python(bare / "fake", f'echo "$@" >> {log}')
    for name in ("mkdir", "cp"):
        (bare / "tools" / name).symlink_to(shutil.which(name))
    for _ in range(2):
        assert run(["make", "install"], bare).returncode == 0
    assert log.read_text().splitlines() == [
        "-m pip install --constraint constraints.txt --editable .[tensorflow]"
    ]


@needs_make
def test_make_makes_an_environment_without_pip_anew(bare):
    python(
        bare / "tools" / "python3",
        f'echo 3.11; [ "$2" = venv ] && cp {bare}/fake .venv/bin/python; exit 0',
    )
    python(bare / "fake", "exit 0")
    python(bare / ".venv" / "bin" / "python", "exit 1")  # killed before pip was there
    (bare / "tools" / "cp").symlink_to(shutil.which("cp"))
    assert run(["make", "install"], bare).returncode == 0
    assert (bare / ".venv" / "bin" / "python").read_text() == (bare / "fake").read_text()


@needs_make
@pytest.mark.parametrize("words, there", [(["PYTHON=python3"], "3.12"), ([], "3.10")])
def test_make_tells_an_environment_of_another_python(bare, words, there):
    python(bare / "tools" / "python3", "echo 3.11")
    python(bare / ".venv" / "bin" / "python", f'[ "$1" = -c ] && echo {there}; exit 0')
    (bare / ".venv" / ".installed").touch()
    (bare / ".venv" / ".made").touch()
    if not words:
        (bare / ".venv" / ".made").unlink()
        (bare / ".venv" / ".installed").unlink()
    answer = run(["make", "install", *words], bare)
    assert answer.returncode == 2 and said_by_make(answer) == [
        f".venv is of Python {there}; delete it, then make again"
    ]


def test_a_wheel_holds_the_weights_that_ship(wheel):
    for name in weights.names():
        own, packed = weights.shipped(name), wheel / "kvoice" / "weights" / name
        files = [path.relative_to(own) for path in own.rglob("*") if path.is_file()]
        assert len(files) >= 6
        for path in files:
            assert (packed / path).read_bytes() == (own / path).read_bytes()
