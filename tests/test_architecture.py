"""The house holds to its design: who imports whom, which file may use which framework, names."""

import ast
import graphlib
import keyword
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "kvoice").rglob("*.py"))

# A file imports its own rank and lower ones, and nothing in a circle. A package has one rank.
RANKS = [
    {
        "earlier",
        "errors",
        "files",
        "progress",
        "imports",
        "frameworks",
        "audio",
        "backend",
        "weights",
    },
    {"data", "layers", "losses", "steps", "metrics", "runs", "plots", "recognisers"},
    {"models"},
    {"training", "exchange"},
    {"inference"},
    {"evaluation"},
    {"report"},
    {"cli"},
    {"", "__main__"},
]
RANK = {name: rank for rank, names in enumerate(RANKS) for name in names}

# Only these files import these packages; a name that ends in "/" is a whole folder.
OWNERS = {
    "tensorflow": ("backend", "data/features", "data/pipeline", "training/tensorboard"),
    "jax": ("backend",),
    "torch": ("backend",),
    "tensorflow_probability": ("backend",),
    "tensorflow_io": ("data/features",),
    "keras": (
        "backend",
        "layers/",
        "losses",
        "steps",
        "models/",
        "training/",
        "exchange/shipped",
        "inference/ascent",
        "evaluation/disentanglement",
        "evaluation/voicegan",
    ),
    "soundfile": ("audio",),
    "h5py": ("training/checkpoints", "exchange/shipped"),
    "soxr": ("audio",),
    "threadpoolctl": ("inference/convert", "metrics/disentanglement"),
    "matplotlib": ("plots",),
    "sklearn": (
        "data/synthetic/digits",
        "metrics/",
        "evaluation/judges",
        "evaluation/speakerencoder",
    ),
    "google_crc32c": ("data/shards", "data/source"),
    "absl": ("cli/flags",),
    "tqdm": ("progress",),
    "librosa": ("data/synthetic/additive",),
    "hama": ("recognisers",),
    "pocketsphinx": ("recognisers",),
    "speechmos": ("recognisers",),
    "onnxruntime": (),
    "keras_tuner": (),
}
NEVER_IMPORTED_BY = {
    "models": {"audio", "data"},
    "layers": {"audio", "data"},
    "losses": {"audio", "data"},
    "steps": {"audio", "data"},
}


def module(path):
    """kvoice/data/source.py -> "data/source"; kvoice/__init__.py -> ""."""
    name = path.relative_to(ROOT / "kvoice").with_suffix("").as_posix()
    return name.removesuffix("__init__").removesuffix("/")


MODULES = {module(path): path for path in FILES}


def imports(text):
    """The dotted names that a source imports anywhere, functions included."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def inner(name):
    """What an imported name is in kvoice: "kvoice.data.source.Source" -> "data/source"."""
    parts = name.split(".")[1:]
    while parts and "/".join(parts) not in MODULES:
        parts.pop()
    return "/".join(parts)


def top(name):
    return name.split("/")[0]


IMPORTS = {name: imports(path.read_text()) for name, path in MODULES.items()}
INNER = {
    name: {inner(i) for i in found if i.split(".")[0] == "kvoice"} - {name}
    for name, found in IMPORTS.items()
}


def test_every_module_has_a_rank():
    assert {top(name) for name in MODULES} <= set(RANK)


def test_imports_only_go_down():
    wrong = [
        f"{name or 'kvoice'} imports {other}"
        for name, others in INNER.items()
        for other in others
        if RANK[top(other)] > RANK[top(name)]
    ]
    assert not wrong


def test_nothing_is_imported_in_a_circle():
    """Neither files nor packages: `prepare` raises a CycleError that names them."""
    files = {name: {other for other in others if other} for name, others in INNER.items()}
    packages = {}
    for name, others in files.items():
        packages.setdefault(top(name), set()).update({top(other) for other in others} - {top(name)})
    for graph in (files, packages):
        graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("name", [name for name in MODULES if top(name) in NEVER_IMPORTED_BY])
def test_models_meet_audio_and_data_only_through_named_arrays(name):
    assert not {top(other) for other in INNER[name]} & NEVER_IMPORTED_BY[top(name)]


def test_no_model_imports_another():
    assert not [
        f"{name} imports {other}"
        for name, others in INNER.items()
        for other in others
        if name.startswith("models/") and other.startswith("models")
    ]


def test_a_package_is_imported_only_by_its_owners():
    wrong = [
        f"{name} imports {package}"
        for name, found in IMPORTS.items()
        for package in {i.split(".")[0] for i in found} & set(OWNERS)
        if not any(
            name == owner or owner.endswith("/") and f"{name}/".startswith(owner)
            for owner in OWNERS[package]
        )
    ]
    assert not wrong


def test_no_file_is_a_drawer():
    drawers = {"utils", "util", "core", "base", "helpers", "common", "misc"}
    assert not drawers & {part for name in MODULES for part in name.split("/")}


def test_functions_are_named_after_what_they_return_or_do():
    kerass = {"get_config", "get_compile_config", "get_build_config", "get_metrics_result"}
    wrong = [
        f"{name}: {node.name}"
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        if re.match("_?(get|make|compute|process)_", node.name)
        and node.name not in kerass
        and not node.name.startswith("compute_output_s")
    ]
    assert not wrong


# Hinted throughout. A tensor of `keras.ops` has another type on each backend: what takes or returns
# one is left without.
HINTED = {
    "",
    *("audio", "errors", "files", "frameworks", "plots", "progress", "recognisers", "runs"),
    *("data", "metrics", "training", "exchange", "inference", "evaluation", "report"),
}
OF_TENSORS = {
    "inference/ascent: pull_to_zero",
    "inference/ascent: Path.items",
    "inference/ascent: Path.mels",
    "inference/ascent: Path.logits",
    "inference/vocode: Vocoder.graph",
}


def public(body, within=""):
    """Yields the name and the node of each public function and method."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node.body, f"{within}{node.name}.")
        elif isinstance(node, ast.FunctionDef) and re.match("[^_]|__(init|call)__$", node.name):
            yield within + node.name, node


def without_hint(function):
    """What has no hint: the names of arguments, and "return"."""
    args = function.args
    every = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
    bare = [each.arg for each in every if each and not each.annotation]
    return {*bare, *["return"] * (function.returns is None)} - {"self", "cls"}


def test_public_functions_have_hints_on_all_that_they_take_and_return():
    assert OF_TENSORS == {
        f"{name}: {function}"
        for name, path in MODULES.items()
        if top(name) in HINTED or name == "models"
        for function, node in public(ast.parse(path.read_text()).body)
        if without_hint(node)
    }


# Verb V is cli/V.py over one function of the library; model M is configs/M.py, models/M.py,
# evaluation/M.py and report/M.py.
MODELS = {path.stem for path in (ROOT / "configs").glob("*.py")}


def test_a_model_has_a_file_of_its_name_for_each_thing_that_it_is():
    for package in ("models", "evaluation", "report"):
        assert {f"{package}/{model}" for model in MODELS} <= set(MODULES)


def test_a_verb_has_a_file_of_its_name():
    verbs = {path.name for path in (ROOT / "bin").iterdir()} - {"kvoice"}  # each is a link
    files = {verb + "_" * keyword.iskeyword(verb) for verb in verbs}
    others = {"main", "flags", "configs", "corpora", "files", ""}
    assert {
        name.removeprefix("cli").removeprefix("/") for name in MODULES if top(name) == "cli"
    } == {*files, *others}


def _source(name):
    return MODULES[name].read_text()


@pytest.mark.parametrize(
    "name", [name for name in MODULES if top(name) in ("cli", "training", "inference")]
)
def test_nothing_that_serves_all_models_asks_for_the_name_of_one(name):
    # The words of a command may name one in an example; what is used by all of them may not.
    if top(name) != "cli":
        others = "|".join(MODELS - {"classifier"})  # which is a common noun too
        named = re.findall(rf"\b(?:{others})\b|models\.\w+\.\w+|--model=\w+", _source(name))
        assert not named
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        assert not (isinstance(node, ast.Constant) and node.value in MODELS), f"line {node.lineno}"
    assert not INNER[name] & {
        f"{package}/{model}" for package in ("models", "evaluation") for model in MODELS
    }


@pytest.mark.parametrize(
    "name, most",
    [
        ("cli/main", 150),
        *((name, 180) for name in MODULES if name.startswith("cli/") and name != "cli/main"),
    ],
)
def test_commands_are_short(name, most):
    assert len(MODULES[name].read_text().splitlines()) <= most


def test_every_module_says_what_it_is_for():
    assert not [
        name
        for name, path in MODULES.items()
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]


def test_front_doors_are_short():
    for path in (ROOT / "bin").iterdir():
        assert len(path.read_text().splitlines()) <= 15


PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]


def test_the_readme_can_be_read_through():
    assert len(PAGES[0].read_text().splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]


def test_no_tracked_file_names_a_place_on_somebodys_machine():
    # Written with brackets, so that this line does not match itself.
    place = re.compile(r"""(?:^|[\s"'`(=:,])/(?:hom[e]/\w|roo[t]/|wor[k]/|User[s]/\w|op[t]/\w)""")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    wrong = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" in content:
            continue  # not text
        wrong += [
            f"{name}:{number}"
            for number, line in enumerate(content.decode(errors="replace").splitlines(), 1)
            if place.search(line)
        ]
    assert not wrong
