"""Files that PyTorch wrote, read without it: beside its own reading, and hostile ones."""

import collections
import copyreg
import io
import json
import os
import pickle
import random
import struct
import subprocess
import sys
import tarfile
import types
import zipfile

import numpy as np
import pytest

from kvoice.errors import KvoiceError
from kvoice.exchange import published, torchfiles

torch = pytest.importorskip("torch", reason="torch is not installed, which writes the files")

FORMATS = pytest.mark.parametrize("zipped", [True, False])
MARKER = "it-was-run"
DTYPES = [
    torch.bool,
    torch.uint8,
    torch.uint16,
    torch.uint32,
    torch.uint64,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.float32,
    torch.float64,
    torch.complex64,
    torch.complex128,
]


def saved(place, content, zipped, name="some.pt"):
    torch.save(content, place / name, _use_new_zipfile_serialization=zipped)
    return place / name


def refused(path):
    """The line that a file is refused with."""
    with pytest.raises(KvoiceError) as caught:
        torchfiles.read(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ") and "\n" not in line
    return line


def assert_same(ours, theirs):
    if isinstance(theirs, torch.Tensor):
        theirs = theirs.detach()
        theirs = (theirs.float() if theirs.dtype == torch.bfloat16 else theirs).numpy()
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
        np.testing.assert_array_equal(ours, theirs)
    elif isinstance(theirs, dict):
        assert isinstance(ours, dict) and list(ours) == list(theirs)
        for key, value in theirs.items():
            assert_same(ours[key], value)
    elif isinstance(theirs, (list, tuple)):
        assert isinstance(ours, tuple if isinstance(theirs, tuple) else list) and len(ours) == len(
            theirs
        )
        for one, other in zip(ours, theirs):
            assert_same(one, other)
    else:
        assert ours == theirs and type(ours) is type(theirs)


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# What PyTorch writes


@FORMATS
@pytest.mark.parametrize("dtype", [*DTYPES, torch.bfloat16])
def test_numbers_of_every_type_are_read(tmp_path, zipped, dtype):
    tensor = (numbers(3, 4) * 3).abs().to(dtype)
    content = {"a": tensor, "b": tensor[0, 0], "none": tensor[:0]}
    path = saved(tmp_path, content, zipped)
    assert_same(torchfiles.read(path), content)
    if zipped or str(dtype) not in (
        "torch.uint16",
        "torch.uint32",
        "torch.uint64",
    ):  # PyTorch 2.13 cannot
        assert_same(torchfiles.read(path), torch.load(path))


@FORMATS
def test_a_checkpoint_of_all_kinds_of_values_is_read(tmp_path, zipped):
    layer = torch.nn.Linear(3, 2)
    adam = torch.optim.Adam(layer.parameters())
    layer(numbers(4, 3)).sum().backward()
    adam.step()
    path = saved(
        tmp_path,
        {
            "state_dict": layer.state_dict(),
            "optimizer": adam.state_dict(),
            "iteration": 7,
            "rate": 1e-4,
            "on": True,
            "no": None,
            "name": "WaveGlow",
            "list": [1, (2, "three"), {}],
            "set": {1, 2},
            "size": torch.Size([2, 3]),
            "random": torch.get_rng_state(),
            "parameter": layer.weight,
        },
        zipped,
    )
    theirs = torch.load(path)
    assert_same(torchfiles.read(path), {**theirs, "size": (2, 3)})
    assert len(theirs["optimizer"]["state"]) == 2


@FORMATS
def test_devices_and_types_are_texts(tmp_path, zipped):
    content = [torch.device("cuda", 1), torch.device("cpu"), torch.float32, torch.bfloat16]
    path = saved(tmp_path, content, zipped)
    assert torchfiles.read(path) == ["cuda:1", "cpu", "float32", "bfloat16"]


@FORMATS
def test_views_of_one_storage_are_distinguished(tmp_path, zipped):
    whole = numbers(6, 5)
    path = saved(
        tmp_path,
        {
            "whole": whole,
            "transposed": whole.T,
            "slice": whole[1:4, ::2],
            "column": whole[:, 3],
            "one": whole[5, 4],
            "windows": whole.flatten().unfold(0, 3, 7),
            "empty": whole[6:],
            "nothing": torch.zeros(0, 3, 0),
            "diagonal": whole.diagonal(),
            "halves": whole.bfloat16().T[1:],
        },
        zipped,
    )
    ours = torchfiles.read(path)
    assert_same(ours, torch.load(path))
    assert np.shares_memory(ours["whole"], ours["slice"])
    assert not any(array.flags.writeable for name, array in ours.items() if array.size)


@FORMATS
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_every_protocol_are_read(tmp_path, zipped, protocol):
    path, content = tmp_path / "some.pt", {"a": numbers(3), "layer": torch.nn.Linear(2, 1)}
    torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    ours = torchfiles.read(path)
    assert_same(ours["a"], content["a"])
    assert_same(ours["layer"].tensors(), content["layer"].state_dict())


@pytest.fixture
def glow(monkeypatch):
    """A module `glow` that is there for pickling; deleted, it is gone for reading."""
    module = types.ModuleType("glow")

    class WaveGlow(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.upsample = torch.nn.ConvTranspose1d(2, 2, 8, 2)
            self.WN = torch.nn.ModuleList([torch.nn.utils.weight_norm(torch.nn.Conv1d(2, 3, 1))])
            self.register_buffer("kept", numbers(2))
            self.register_buffer("passing", numbers(2), persistent=False)
            self.register_buffer("absent", None)
            self.register_parameter("nothing", None)
            self.tied = self.upsample
            self.cached, self.n_group = numbers(3), 8

    WaveGlow.__module__, WaveGlow.__qualname__, module.WaveGlow = "glow", "WaveGlow", WaveGlow
    monkeypatch.setitem(sys.modules, "glow", module)
    return module


@FORMATS
@pytest.mark.filterwarnings("ignore")  # of the old weight norm, and of sources that cannot be found
def test_a_pickled_module_is_read_without_its_program(tmp_path, monkeypatch, glow, zipped):
    model = glow.WaveGlow()
    path = saved(tmp_path, {"model": model, "iteration": 3}, zipped)
    wrapped = saved(tmp_path, torch.nn.DataParallel(model), zipped, "wrapped.pt")
    monkeypatch.delitem(sys.modules, "glow")
    content = torchfiles.read(path)
    assert content["iteration"] == 3 and "glow" not in sys.modules
    module = content["model"]
    assert module.kind == "glow.WaveGlow" and module.state["n_group"] == 8 and not callable(module)
    assert list(module.tensors()) == list(model.state_dict())
    assert_same(module.tensors(), dict(model.state_dict()))
    assert {"WN.0.weight_g", "tied.bias", "kept"} <= module.tensors().keys()
    assert_same(module.state["cached"], model.cached)

    outer = torchfiles.read(wrapped)
    assert outer.kind == "torch.nn.parallel.data_parallel.DataParallel"
    assert list(outer.tensors()) == [f"module.{name}" for name in model.state_dict()]


def within(levels, *names):
    """A module in modules, under some names each time."""
    module = torch.nn.Identity()
    for _ in range(levels):
        outer = torch.nn.Identity()
        for name in names:
            outer.add_module(name, module)
        module = outer
    return module


@FORMATS
def test_modules_in_modules_without_end_are_refused(tmp_path, zipped):
    endless = torch.nn.Identity()
    endless.add_module("me", endless)
    for module in (endless, within(101, "inner"), within(14, "one", "two")):
        ours = torchfiles.read(saved(tmp_path, module, zipped))
        with pytest.raises(
            KvoiceError, match="a torch.nn.modules.linear.Identity of modules in modules"
        ):
            ours.tensors()
    assert torchfiles.read(saved(tmp_path, within(100, "inner"), zipped)).tensors() == {}


def test_nothing_of_pytorch_is_imported(tmp_path):
    path = saved(tmp_path, {"a": numbers(3), "layer": torch.nn.Linear(1, 1)}, True)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['torch'] = None\nfrom kvoice.exchange import torchfiles\n"
            f"print(torchfiles.read({str(path)!r})['layer'].kind)",
        ],
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "torch.nn.modules.linear.Linear", done.stderr


# Files by hand


class PersistentId:
    """What a pickle names by a persistent id."""

    def __init__(self, *pid):
        self.pid = pid


class Call:
    """What a pickle calls."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Pickler(pickle.Pickler):
    def persistent_id(self, thing):
        return thing.pid if isinstance(thing, PersistentId) else None


def pickled(content, protocol=2):
    file = io.BytesIO()
    Pickler(file, protocol).dump(content)
    return file.getvalue()


def written(place, content, zipped, storages=(), **members):
    """A file of a pickle, or of content, and storages of float32."""
    path = place / "some.pt"
    program = content if isinstance(content, bytes) else pickled(content)
    values = [np.asarray(each, "<f4") for each in storages]
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in ({"data.pkl": program, "byteorder": b"little"} | members).items():
                archive.writestr(f"archive/{name}", data)
            for key, each in enumerate(values):
                archive.writestr(f"archive/data/{key}", each.tobytes())
    else:
        head = [torchfiles.MAGIC, torchfiles.VERSION, {"little_endian": True}]
        path.write_bytes(
            b"".join(map(pickled, head))
            + program
            + pickled([str(key) for key in range(len(values))])
            + b"".join(struct.pack("<q", each.size) + each.tobytes() for each in values)
        )
    return path


def storage(count, zipped, key="0", kind=torch.FloatStorage, part=None):
    return PersistentId("storage", kind, key, "cpu", count, *([] if zipped else [part]))


def rebuilt(*arguments):
    return Call(torch._utils._rebuild_tensor_v2, *arguments, False, collections.OrderedDict())


def test_what_pytorch_0_4_wrote_is_read(tmp_path, glow):
    """Modules with their source, parameters by their class, the older function, parts of
    storages.
    """
    kind = glow.WaveGlow
    weight = Call(torch._utils._rebuild_tensor, storage(6, False), 1, (2, 2), (2, 1))
    part = Call(torch._utils._rebuild_tensor, storage(6, False, part=("9", 4, 2)), 0, (2,), (1,))
    path = written(
        tmp_path,
        {
            "model": [PersistentId("module", kind, "glow.py", "class WaveGlow: pass"), kind],
            "weight": Call(torch.nn.Parameter, weight, True),
            "part": part,
        },
        False,
        [range(6)],
    )
    ours = torchfiles.read(path)
    assert_same(ours["weight"], torch.tensor([[1.0, 2], [3, 4]]))
    assert_same(ours["part"], torch.tensor([4.0, 5]))
    assert [each.kind for each in ours["model"]] == ["glow.WaveGlow"] * 2


def test_cuda_s_storages_are_read_as_any(tmp_path):
    text = pickled(rebuilt(storage(2, True), 0, (2,), (1,))).replace(
        b"ctorch\nFloat", b"ctorch.cuda\nFloat"
    )
    assert b"torch.cuda" in text
    assert_same(torchfiles.read(written(tmp_path, text, True, [[1, 2]])), torch.tensor([1.0, 2]))


# Hostile files


class Evil:
    """What unpickles by making a folder."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place / MARKER),)


@FORMATS
def test_a_program_is_not_run(tmp_path, zipped):
    path = saved(tmp_path, {"a": numbers(2), "b": Evil(tmp_path)}, zipped)
    assert "asks for posix.mkdir, and only tensors are read, so nothing of it was run" in refused(
        path
    )
    assert not (tmp_path / MARKER).exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / MARKER).exists()  # it does run where it is let


@FORMATS
@pytest.mark.parametrize(
    "asked",
    [
        eval,
        os.system,
        getattr,
        np.zeros(1).__reduce__()[0],
        collections.defaultdict,
        torch.load,
        torch.hub.load,
        np.dtype,
        subprocess.Popen,
    ],
)
def test_nothing_else_is_looked_up(tmp_path, zipped, asked):
    assert "asks for " in refused(written(tmp_path, {"a": [asked]}, zipped))


@pytest.mark.parametrize(
    "asked", ["torch.nn.modules.linear os.system", "glow sys", "torch.nn eval"]
)
def test_names_below_the_layers_of_pytorch_are_inert(tmp_path, asked):
    module, name = (part.encode() for part in asked.split(" "))
    path = written(
        tmp_path, b"\x80\x02c" + module + b"\n" + name + b"\n(X\x04\x00\x00\x00exittR.", True
    )
    assert (
        torchfiles.read(path).kind == asked.replace(" ", ".") and torchfiles.read(path).state == {}
    )


@FORMATS
def test_registered_extensions_are_not_looked_up(tmp_path, monkeypatch, zipped):
    copyreg.add_extension("os", "getcwd", 0xF0)
    monkeypatch.setitem(copyreg._extension_cache, 0xF0, os.getcwd)
    try:
        assert "no PyTorch file" in refused(written(tmp_path, b"\x80\x02\x82\xf0)R.", zipped))
    finally:
        copyreg.remove_extension("os", "getcwd", 0xF0)


@FORMATS
@pytest.mark.parametrize(
    "asked",
    [
        "torch._utils _rebuild_tensor_v2",
        "collections OrderedDict",
        "torch.nn Linear",
        "torch FloatStorage",
    ],
)
def test_what_is_looked_up_cannot_be_changed(tmp_path, zipped, asked):
    place, name = (part.encode() for part in asked.split())
    # (None, {"kind": 5}), whose second part is for attributes
    state = b"(N}X\x04\x00\x00\x00kindK\x05st"
    path = written(tmp_path, b"\x80\x02c" + place + b"\n" + name + b"\n" + state + b"b.", zipped)
    assert "no PyTorch file" in refused(path)
    assert torchfiles.Module.kind == "" and not hasattr(torchfiles._tensor, "kind")


@FORMATS
@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (4, (1,), (1,)),
        (0, (5,), (1,)),
        (3, (2,), (1,)),
        (0, (2,), (4,)),
        (0, (2, 2), (3, 1)),
        (-1, (2,), (1,)),
        (3, (2,), (-1,)),
        (0, (-2,), (1,)),
        (0, (-2, -2), (1, 1)),
        (0, (2**62,), (1,)),
        (0, (2**62, 4), (1, 1)),
        (0, (2,), (2**63,)),
        (0, (2,), (1, 1)),
        (0, (2.0,), (1,)),
        (0.0, (2,), (1,)),
        (0, ("2",), (1,)),
        (0, (1,) * 70, (1,) * 70),
        (0, 2, 1),
        (None, (1,), (1,)),
        (0, (0, 2**70), (1, 1)),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(tmp_path, zipped, offset, size, stride):
    path = written(tmp_path, rebuilt(storage(4, zipped), offset, size, stride), zipped, [range(4)])
    assert "no PyTorch file, or a damaged one" in refused(path)


@FORMATS
def test_a_tensor_that_repeats_numbers_without_end_is_refused(tmp_path, zipped):
    path = written(tmp_path, rebuilt(storage(4, zipped), 0, (2**40,), (0,)), zipped, [range(4)])
    assert "repeats its numbers" in refused(path)


@FORMATS
def test_a_tensor_is_no_storage(tmp_path, zipped):
    repeated = rebuilt(
        storage(4, zipped), 3, (4,), (0,)
    )  # whose length says nothing of what is behind it
    assert_same(
        torchfiles.read(written(tmp_path, repeated, zipped, [range(4)])), torch.full((4,), 3.0)
    )
    for inner in (
        repeated,
        rebuilt(storage(4, zipped), 0, (2, 2), (2, 1)),
        [0.0] * 4,
        "float32",
        {},
    ):
        path = written(tmp_path, rebuilt(inner, 0, (2,), (1,)), zipped, [range(4)])
        assert "no PyTorch file, or a damaged one" in refused(path)


@FORMATS
@pytest.mark.parametrize("count", [5, 2**40, -1, 4.0, None, "4"])
def test_a_storage_of_another_length_than_declared_is_refused(tmp_path, zipped, count):
    path = written(tmp_path, rebuilt(storage(count, zipped), 0, (1,), (1,)), zipped, [range(4)])
    assert "no PyTorch file, or a damaged one" in refused(path)


def test_a_storage_of_another_length_in_the_file_is_refused(tmp_path):
    path = written(tmp_path, rebuilt(storage(4, False), 0, (1,), (1,)), False, [range(4)])
    whole = path.read_bytes()
    assert whole.count(struct.pack("<q", 4)) == 1
    path.write_bytes(whole.replace(struct.pack("<q", 4), struct.pack("<q", 5)))
    assert "no PyTorch file, or a damaged one" in refused(path)


@FORMATS
@pytest.mark.parametrize("kind", ["object", "S4", "float32,float32", "datetime64[s]"])
def test_other_types_of_numbers_are_refused(tmp_path, zipped, kind):
    path = written(
        tmp_path, rebuilt(storage(4, zipped, kind=kind), 0, (1,), (1,)), zipped, [range(4)]
    )
    assert f"holds a tensor of type {kind}, which is not read" in refused(path)


@FORMATS
def test_a_device_of_other_things_is_refused(tmp_path, zipped):
    program = pickled({"a": Call(torch.device, [[1, 2]])})
    assert "no PyTorch file, or a damaged one" in refused(written(tmp_path, program, zipped))


@pytest.mark.parametrize(
    "part", [("1", 3, 2), ("1", -1, 2), ("1", 0, 2**40), ("1", 2, -1), ("1", 0)]
)
def test_a_part_beyond_its_storage_is_refused(tmp_path, part):
    path = written(
        tmp_path, rebuilt(storage(4, False, part=part), 0, (1,), (1,)), False, [range(4)]
    )
    assert "no PyTorch file, or a damaged one" in refused(path)


@FORMATS
@pytest.mark.parametrize(
    "pid",
    [
        ("storage", torch.FloatStorage, "7", "cpu", 4),
        ("storage", "float32"),
        ("other", 1),
        (),
        5,
        ("storage", 5, "0", "cpu", 4),
        ("storage", torch.FloatStorage, [], "cpu", 4),
        ("storage", torch.FloatStorage, 0, "cpu", 4),
    ],
)
def test_other_persistent_ids_are_refused(tmp_path, zipped, pid):
    program = PersistentId(*pid) if isinstance(pid, tuple) else b"\x80\x02K\x05Q."
    path = written(tmp_path, program, zipped, [range(4)])
    assert "no PyTorch file, or a damaged one" in refused(path)


@FORMATS
@pytest.mark.parametrize(
    "program",
    [
        b"",
        b".",
        b"\x80\x02",
        b"\x80\x02(.",
        b"\x80\xff}.",
        b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",
        b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",
        b"\x80\x02}h\x09.",
        b"I" + b"9" * 5000 + b"\n.",
    ],
)
def test_broken_pickles_are_refused(tmp_path, zipped, program):
    assert "no PyTorch file, or a damaged one" in refused(written(tmp_path, program, zipped))


@FORMATS
def test_a_name_in_a_message_is_one_line(tmp_path, zipped):
    name = b"X\x06\x00\x00\x00a\n\x1b[1m"
    path = written(tmp_path, b"\x80\x04" + name + name + b"\x93.", zipped)
    assert r"asks for a\n\x1b[1m.a\n\x1b[1m, and" in refused(path)


@FORMATS
@pytest.mark.parametrize(
    "state",
    [
        {"_parameters": 5},
        {"_buffers": [1]},
        {"_modules": {5: 1}},
        {"_non_persistent_buffers_set": 5},
        {"_parameters": None},
    ],
)
def test_a_damaged_module_is_refused(tmp_path, zipped, state):
    module = torch.nn.Identity()
    module.__dict__.update(state)
    ours = torchfiles.read(saved(tmp_path, module, zipped))
    with pytest.raises(KvoiceError, match="holds a damaged torch.nn.modules.linear.Identity"):
        ours.tensors()


@FORMATS
def test_a_file_that_ends_early_is_refused(tmp_path, zipped):
    path = saved(
        tmp_path, {"a": numbers(40), "b": torch.nn.Linear(2, 2), "c": numbers(3).double()}, zipped
    )
    whole = path.read_bytes()
    for end in {
        *range(0, len(whole), max(1, len(whole) // 200)),
        *range(len(whole) - 20, len(whole)),
    }:
        path.write_bytes(whole[:end])
        refused(path)


@FORMATS
def test_a_damaged_file_is_read_or_refused(tmp_path, zipped):
    path = saved(
        tmp_path, {"a": numbers(4).bfloat16(), "b": torch.nn.Linear(2, 2), "c": {1}}, zipped
    )
    whole, rng, refusals = path.read_bytes(), random.Random(0), 0
    for _ in range(600):
        broken = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            broken[rng.randrange(len(whole))] = rng.randrange(256)
        path.write_bytes(broken)
        try:
            content = torchfiles.read(path)
            if isinstance(content, dict) and isinstance(content.get("b"), torchfiles.Module):
                content["b"].tensors()
        except KvoiceError as error:
            refusals += "\n" not in str(error)
    assert refusals > 50


# Files that are something else


def test_what_is_no_pytorch_file_is_named(tmp_path):
    path = tmp_path / "some.pt"
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("folder/readme", b"text")
    for content in (
        b"",
        b"text\n" * 99,
        pickle.dumps({"a": 1}),
        (tmp_path / "other.zip").read_bytes(),
    ):
        path.write_bytes(content)
        assert "no PyTorch file, or a damaged one" in refused(path)
    assert "no such file" in refused(tmp_path / "gone.pt")
    assert "is a folder" in refused(tmp_path)


@pytest.mark.filterwarnings("ignore")  # it is on its way out
def test_a_torchscript_archive_is_named(tmp_path):
    path = tmp_path / "some.pt"
    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(str(path))
    assert "is a TorchScript archive, a program" in refused(path)


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ("sys_info", "before 0.1.10, which is too old"),
        ("model_config.yaml", "is an archive; unpack it"),
    ],
)
def test_tar_files_are_named(tmp_path, member, words):
    with tarfile.open(tmp_path / "some.pt", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo(member), io.BytesIO())
    assert words in refused(tmp_path / "some.pt")
    with tarfile.open(tmp_path / "some.pt", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo(member), io.BytesIO())
    assert "is an archive; unpack it" in refused(tmp_path / "some.pt")


def test_a_zip_whose_members_share_their_bytes_is_refused(tmp_path):
    path = written(tmp_path, rebuilt(storage(999, True), 0, (1,), (1,)), True, [range(999)] * 2)
    whole, second = path.read_bytes(), b"archive/data/1"
    assert torchfiles.read(path)[0] == 0
    entry = whole.rindex(second) - 46  # in the list at the end, which says where each begins
    with zipfile.ZipFile(path) as archive:
        first = archive.getinfo("archive/data/0").header_offset
    shared = (
        whole[:entry] + whole[entry : entry + 42] + struct.pack("<I", first) + whole[entry + 46 :]
    )
    begins = shared.index(b"PK\1\2")
    path.write_bytes(
        shared[: shared.index(b"PK\3\4", first + 1)]
        + shared[begins:-6]
        + struct.pack("<IH", shared.index(b"PK\3\4", first + 1), 0)
    )
    with zipfile.ZipFile(path) as archive:
        assert [member.header_offset for member in archive.infolist()][2:] == [first, first]
    assert "no PyTorch file, or a damaged one" in refused(path)


def test_zips_of_another_kind_are_named(tmp_path):
    assert "another order of bytes" in refused(written(tmp_path, {}, True, byteorder=b"big"))
    path = tmp_path / "some.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickled({}))
    assert "is compressed" in refused(path)


@FORMATS
@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (lambda: torch.eye(3).to_sparse(), "a sparse tensor"),
        (lambda: torch.eye(3).to_sparse_csr(), "a sparse tensor"),
        (lambda: torch.empty(3, device="meta"), "a tensor without values"),
        (
            lambda: torch.quantize_per_tensor(torch.eye(3), 0.1, 0, torch.qint8),
            "a quantised tensor",
        ),
        (lambda: torch.eye(3).to(torch.float8_e4m3fn), "asks for torch.float8_e4m3fn"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_tensors_that_are_not_plain_are_named(tmp_path, zipped, tensor, words):
    assert words in refused(saved(tmp_path, {"a": tensor()}, zipped))


def nested(depth=60):
    """The opcodes of a tuple that holds itself twice, and so on: its hash takes for ever."""
    return b"(t" + b"".join(
        b"q" + bytes([k]) + b"h" + bytes([k]) + pickle.TUPLE2 for k in range(depth)
    )


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02}" + nested() + b"K\x01s.",  # as a key
        b"\x80\x02}(" + nested() + b"K\x01u.",
        b"\x80\x02(" + nested() + b"K\x01d.",
        b"\x80\x04\x8f(" + nested() + b"\x90.",  # in a set
        b"\x80\x04(" + nested() + b"\x91.",
        b"\x80\x02c__builtin__\nset\n(" + nested() + b"lRq\xff\x85R.",
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # the last of two thousand million objects
    ],
)
def test_a_pickle_takes_no_more_than_is_in_it(tmp_path, program):
    """Where this hangs, or takes all memory, it has failed."""
    (tmp_path / "attr.pkl").write_bytes(program)
    with pytest.raises(KvoiceError, match="attr.pkl: "):
        published.moments(tmp_path / "attr.pkl", 4)
    with zipfile.ZipFile(tmp_path / "a.ckpt", "w") as archive:
        archive.writestr("a/data.pkl", program)
    try:
        torchfiles.read(tmp_path / "a.ckpt")
    except KvoiceError as error:
        assert "a.ckpt: " in str(error)
    else:
        assert program.endswith(b"\x7f.")  # harmless for an unpickler in Python


def safetensors(tensors):
    """The bytes of such a file, as its documentation describes them."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, (kind, array) in tensors.items():
        place = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": place}
        data += array.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_tensors_of_a_safetensors_file_are_read(tmp_path):
    wanted = {
        "a.weight": np.arange(6, dtype="<f4").reshape(2, 3),
        "b": np.array(3, "<i8"),
        "half": np.array([1.5, -2], "<f2"),
    }
    kinds = ("F32", "I64", "F16")
    content = safetensors({name: (k, each) for k, (name, each) in zip(kinds, wanted.items())})
    (tmp_path / "a.safetensors").write_bytes(content)
    found = torchfiles.read(tmp_path / "a.safetensors")
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)
    bfloat = safetensors({"x": ("BF16", np.array([0x3FC0], "<u2"))})
    (tmp_path / "b.safetensors").write_bytes(bfloat)
    np.testing.assert_array_equal(torchfiles.read(tmp_path / "b.safetensors")["x"], [1.5])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n<!DOCTYPE html><html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "is a Git LFS pointer"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "is an HDF5 file"),
        (safetensors({"x": ("F8_E4M3", np.zeros(2, "u1"))}), "type F8_E4M3, which is not read"),
        (safetensors({"x": ("F32", np.zeros(2, "f4"))})[:-4], "no PyTorch file, or a damaged"),
        (struct.pack("<Q", 2**60) + b'{"a":1}', "no PyTorch file, or a damaged"),
        (struct.pack("<Q", 9) + b'{"a":[1]}', "no PyTorch file, or a damaged"),
    ],
)
def test_files_of_another_kind_are_named(tmp_path, content, message):
    (tmp_path / "a.ckpt").write_bytes(content)
    with pytest.raises(KvoiceError, match=f"a.ckpt: .*{message}"):
        torchfiles.read(tmp_path / "a.ckpt")
