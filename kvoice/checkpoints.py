"""Published PyTorch weights -> a run, strict: every tensor has its place, and every place its tensor.

The layers of the models bear the published names, and Keras orders the axes of every kernel the other
way round, so that a tensor's transpose is the variable. The sizes of a network are read from its
tensors: smaller ones of the same family load too.

Files are data here, never programs. PyTorch's come through `torchfiles`, without PyTorch, and of NumPy's
pickles a restricted one of this file builds arrays from their bytes, without calling NumPy's own.

Sources:
    adainvc: the state dict of the public code of Chou, Yeh & Lee 2019, arXiv:1904.05742 (August 2019),
    with the mean and the spread of each band in a second file, `attr.pkl`.
    speakerencoder: Resemblyzer's, whose file wraps the state dict and keeps the scale and the offset of
    the cosines in it. PyTorch's order of an LSTM's gates (input, forget, cell, output) is Keras'; it
    adds two biases where Keras has one.
"""

import collections
import dataclasses
import hashlib
import io
import pickle
import re
from pathlib import Path

import numpy as np

from kvoice import audio, runs, torchfiles, training
from kvoice.errors import KvoiceError
from kvoice.files import whole_directory

NAMED = 5  # tensors that a message lists
# Where files keep the weights, beside other things: Resemblyzer's, those of PyTorch's users, NVIDIA's.
WRAPPED = ("model_state", "state_dict", "model")
SPREAD = ("module.1.", "module.")  # before all names, of modules spread over devices
# Tensors of Resemblyzer's training that its own loader leaves out; they may be absent.
OPTIONAL = ("similarity_weight", "similarity_bias")


@dataclasses.dataclass(frozen=True)
class Network:
    """What is known of the published form of a model.

    Attributes:
        source: Whose file it is.
        sizes: Tensors -> arguments of the model, whatever may be missing or wrong among them; where
            nothing says a size, the published one.
        variables: Model -> pairs of a variable and the names of the tensors whose sum it is.
        specs: Names of Specs. The one with as many mels as the network is its own; where there is
            none, it is the last one, with that number of mels.
        variants: Name of a Spec -> variant of the config, where it is not the default.
        stats: Whether it wants mels standardised by a second file.
    """

    source: str
    sizes: collections.abc.Callable
    variables: collections.abc.Callable
    specs: tuple
    variants: dict
    stats: bool


@dataclasses.dataclass(frozen=True)
class Published:
    """The weights in a file.

    Attributes:
        name: The model.
        path: The file.
        sha256: Its hash.
        tensors: Name -> float32 array, axes in PyTorch's order.
        sizes: Arguments of the model that the tensors say.
        spec: The Spec of its mels.
        variant: Of the config of the model.
    """

    name: str
    path: Path
    sha256: str
    tensors: dict
    sizes: dict
    spec: audio.Spec
    variant: str


# --- The networks


def _usual(tensors, pattern, axis, published):
    """The size that most tensors of a name have on an axis: one wrong tensor shall not decide it."""
    found = collections.Counter(
        array.shape[axis] for name, array in tensors.items()
        if array.ndim > axis and re.fullmatch(pattern, name))
    return found.most_common(1)[0][0] if found else published


def _count(tensors, pattern):
    """How many tensors are numbered from 0, by the largest number."""
    numbers = [int(match[1]) for name in tensors if (match := re.fullmatch(pattern, name))]
    return min(max(numbers, default=-1) + 1, len(tensors))


def _adainvc_sizes(tensors):
    def usual(pattern, axis, published=128):
        return _usual(tensors, pattern, axis, published)

    blocks = r"\.(?:first|second)_conv_layers\.\d+\.weight"
    stages = {part: (_count(tensors, rf"{part}\.first_conv_layers\.(\d{{1,6}})\.weight") + 1) // 2
              for part in ("speaker_encoder", "content_encoder", "decoder")}
    return {
        "mels": usual(r"\w+_encoder\.conv_bank\.\d+\.weight", 1, 512),
        "width": {
            "bank": usual(r"\w+_encoder\.conv_bank\.\d+\.weight", 0),
            "speaker": usual(rf"speaker_encoder{blocks}", 0),
            "content": usual(rf"content_encoder{blocks}", 0),
            "decoder": usual(r"decoder\.first_conv_layers\.\d+\.weight", 0)},
        "latents": usual(r"content_encoder\.(?:mean|std)_layer\.weight", 0),
        "embedding": usual(r"decoder\.conv_affine_layers\.\d+\.weight", 1),
        "bank": _count(tensors, r"\w+_encoder\.conv_bank\.(\d{1,6})\.weight") or 8,
        "kernel": usual(rf"\w+{blocks}", 2, 5),
        "encoder_stages": max(stages["speaker_encoder"], stages["content_encoder"]) or 3,
        "decoder_stages": stages["decoder"] or 3,
        "dense_blocks": _count(tensors, r"speaker_encoder\.first_dense_layers\.(\d{1,6})\.weight"),
    }


def _adainvc_variables(model):
    for part, network in (("speaker_encoder", model.speaker_encoder),
                          ("content_encoder", model.content_encoder),
                          ("decoder", model.styles), ("decoder", model.decoder)):
        for layer in network.layers:
            if layer.weights:
                name = re.sub(r"_(\d+)$", r".\1", layer.name)
                yield layer.kernel, [f"{part}.{name}.weight"]
                yield layer.bias, [f"{part}.{name}.bias"]


def _speakerencoder_sizes(tensors):
    return {
        "mels": _usual(tensors, r"lstm\.weight_ih_l0", 1, 40),
        "width": _usual(tensors, r"lstm\.weight_hh_l\d+", 1, 256),
        "depth": _count(tensors, r"lstm\.weight_hh_l(\d{1,6})") or 3,
        "embedding": _usual(tensors, r"linear\.(?:weight|bias)", 0, 256),
        "partial_frames": 160,
    }


def _speakerencoder_variables(model):
    lstms = [layer for layer in model.network.layers if layer.name.startswith("lstm_")]
    for i, lstm in enumerate(lstms):
        yield lstm.cell.kernel, [f"lstm.weight_ih_l{i}"]
        yield lstm.cell.recurrent_kernel, [f"lstm.weight_hh_l{i}"]
        yield lstm.cell.bias, [f"lstm.bias_ih_l{i}", f"lstm.bias_hh_l{i}"]
    linear = model.network.get_layer("linear")
    yield linear.kernel, ["linear.weight"]
    yield linear.bias, ["linear.bias"]
    yield model.scale, ["similarity_weight"]
    yield model.offset, ["similarity_bias"]


NETWORKS = {
    "adainvc": Network(
        "the public code of AdaIN-VC (vctk_model.ckpt)", _adainvc_sizes, _adainvc_variables,
        ("adainvc", "waveglow"), {"adainvc": "official"}, True),
    "speakerencoder": Network(
        "Resemblyzer (pretrained.pt)", _speakerencoder_sizes, _speakerencoder_variables,
        ("resemblyzer",), {}, False),
}


# --- Reading


def read(name, path, spec=""):
    """The weights in a PyTorch file.

    Args:
        name: The model, one of `NETWORKS`.
        path: The file, written by `torch.save` in either of its formats.
        spec: Name of the Spec of its mels; "" = by their number.

    Raises:
        KvoiceError: If the file is missing, holds anything but named tensors of finite numbers, or the
            Spec has another number of mels.
    """
    path, network = Path(path), NETWORKS[name]
    content = torchfiles.read(path)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    tensors = {key: _array(path, key, tensor) for key, tensor in _state_dict(path, content).items()}
    sizes = network.sizes(tensors)
    mels = sizes["mels"]
    if spec and audio.SPECS[spec].mels != mels:
        raise KvoiceError(f"--spec={spec}: has {audio.SPECS[spec].mels} mels, the network in {path} {mels}; "
                          "leave it out, or name one that fits")
    known = (each for each in network.specs if audio.SPECS[each].mels == mels)
    spec = spec or next(known, network.specs[-1])
    try:
        found = dataclasses.replace(audio.SPECS[spec], mels=mels)
    except KvoiceError as error:
        raise KvoiceError(f"{path}: {mels} mels: {error}") from None
    return Published(name, path, digest, tensors, sizes, found, network.variants.get(spec, ""))


def _state_dict(path, content):
    """The named tensors in what a file holds: a state dict, or a whole module, maybe beside other things."""
    for key in WRAPPED:
        if isinstance(content, dict) and isinstance(content.get(key), (dict, torchfiles.Module)):
            content = content[key] or content
    if isinstance(content, torchfiles.Module):
        try:
            content = content.tensors()
        except KvoiceError as error:
            raise KvoiceError(f"{path}: {error}") from None
    if not isinstance(content, dict):
        what = "a tensor" if isinstance(content, np.ndarray) else f"a {type(content).__name__}"
    elif {"state", "param_groups"} <= content.keys():
        what = "the state of an optimizer"
    elif content and all(isinstance(key, str) and isinstance(value, np.ndarray)
                         for key, value in content.items()):
        while prefix := next((each for each in SPREAD if all(key.startswith(each) for key in content)), ""):
            content = {key.removeprefix(prefix): value for key, value in content.items()}
        return content
    else:
        what = f"a dict of {_listed([str(key) for key in content]) or 'nothing'}"
    raise KvoiceError(f"{path}: holds {what}, expected a state dict: named tensors, as "
                      "torch.save(module.state_dict(), FILE) writes them")


def _array(path, key, tensor):
    """A tensor as a float32 array."""
    if tensor.dtype.kind != "f":
        raise KvoiceError(f"{path}: {key} is of type {tensor.dtype}; expected floating-point numbers")
    with np.errstate(over="ignore"):
        array = np.atleast_1d(tensor.astype(np.float32, copy=False))
    if not np.isfinite(array).all():
        raise KvoiceError(f"{path}: {key} holds numbers that are not finite in float32; the training that "
                          "made it failed, or the file is damaged")
    return array


def _listed(names):
    """Some names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


# --- The mean and the spread of each band


class _Array:
    """An array in a pickle: its bytes and what they are, nothing that acts."""

    def __init__(self, *_):
        self.shape, self.kind, self.data = (), None, b""

    def __setstate__(self, state):
        self.shape, self.kind, _, self.data = state[-4:]

    @classmethod
    def of(cls, shape, kind, data):
        array = cls()
        array.shape, array.kind, array.data = shape, kind, data
        return array


class _Kind:
    """The type of an array's numbers in a pickle, such as "f4", and their byte order."""

    def __init__(self, code, *_):
        self.code, self.order = code, "="

    def __setstate__(self, state):
        self.order = state[1]


def _encoded(text, encoding):
    return text.encode("latin1" if encoding == "latin1" else "ascii")


# What NumPy's pickles ask for, under the paths of NumPy 1 and 2, and what they get.
_ASKED = {("numpy", "ndarray"): _Array, ("numpy", "dtype"): _Kind, ("_codecs", "encode"): _encoded}
for _place in ("numpy.core", "numpy._core"):
    _ASKED |= {
        (f"{_place}.multiarray", "_reconstruct"): _Array,
        (f"{_place}.multiarray", "scalar"): lambda kind, data: _Array.of((), kind, data),
        (f"{_place}.numeric", "_frombuffer"): lambda data, kind, shape, *_: _Array.of(shape, kind, data),
    }


class _Arrays(pickle.Unpickler):
    """Unpickles containers, texts, numbers and arrays; refuses to look up anything else."""

    def find_class(self, module, name):
        if (module, name) not in _ASKED:
            raise KvoiceError(f"asks for {module}.{name}, and only arrays are read, so nothing of it was run")
        return _ASKED[module, name]


def moments(path, mels):
    """The mean and the spread of each band, from a pickled dict of two NumPy arrays.

    Shapes: -> `mean`, `std` [mels] float32.

    Raises:
        KvoiceError: If the file is missing or anything else, or a value is not finite or a spread not
            above 0.
    """
    path = Path(path)
    if not path.is_file():
        raise KvoiceError(f"{path}: no such file; --stats=FILE is the attr.pkl beside the weights")
    try:
        content = _Arrays(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except KvoiceError as error:
        raise KvoiceError(f"{path}: {error}") from None
    except (OSError, MemoryError):
        raise
    except Exception:  # a broken pickle fails in any way
        raise KvoiceError(f"{path}: no pickle, or a damaged one; expected a dict of the arrays mean and "
                          "std") from None
    if not isinstance(content, dict):
        raise KvoiceError(f"{path}: holds a {type(content).__name__}, expected a dict of the arrays mean "
                          "and std")
    if set(content) != {"mean", "std"}:
        raise KvoiceError(f"{path}: holds {_listed(sorted(map(str, content))) or 'nothing'}, expected the "
                          "arrays mean and std")
    mean, std = (_numbers(path, name, content[name], mels) for name in ("mean", "std"))
    if not (std > 0).all():
        band = int(np.argmin(std > 0))
        raise KvoiceError(f"{path}: std must be above 0, that of band {band} is {std[band]:g}")
    return mean, std


def _numbers(path, name, array, mels):
    if not isinstance(array, _Array):
        raise KvoiceError(f"{path}: {name} is a {type(array).__name__}, expected an array of {mels} numbers")
    if array.shape != (mels,):
        raise KvoiceError(f"{path}: {name} has the shape {array.shape}, expected {(mels,)}, a number for "
                          "each mel of the network")
    code, order = getattr(array.kind, "code", None), getattr(array.kind, "order", None)
    if code not in ("f2", "f4", "f8") or order not in ("<", ">", "="):
        raise KvoiceError(f"{path}: {name} is of type {code}, expected floating-point numbers")
    data = array.data.encode("latin1") if isinstance(array.data, str) else array.data  # of Python 2
    if not isinstance(data, (bytes, bytearray)) or len(data) != mels * int(code[1]):
        raise KvoiceError(f"{path}: {name} holds too few or too many bytes; the file is damaged")
    numbers = np.frombuffer(data, np.dtype(code).newbyteorder(order)).astype(np.float32)
    if not np.isfinite(numbers).all():
        raise KvoiceError(f"{path}: {name} holds numbers that are not finite")
    return numbers


# --- The run


def model(published, values):
    """The model, with the published weights.

    Args:
        published: From `read`.
        values: Arguments of the model, of which those that the tensors say are replaced.

    Raises:
        KvoiceError: If a tensor is missing, surplus or of another shape (they are listed), or the
            model refuses a size.
    """
    network = NETWORKS[published.name]
    try:
        built = training.from_values(published.name, values | published.sizes)
    except KvoiceError as error:
        raise KvoiceError(f"{published.path}: {error}") from None
    tensors, variables = published.tensors, list(network.variables(built))
    expected = {name: tuple(variable.shape[::-1]) or (1,) for variable, names in variables for name in names}
    wrong = {
        "missing": [name for name in expected if name not in tensors and name not in OPTIONAL],
        "surplus": [name for name in tensors if name not in expected],
        "of another shape": [f"{name} {tensors[name].shape} instead of {shape}"
                             for name, shape in expected.items()
                             if name in tensors and tensors[name].shape != shape],
    }
    if any(wrong.values()):
        lists = "; ".join(f"{what}: {_listed(names)}" for what, names in wrong.items() if names)
        raise KvoiceError(f"{published.path}: does not hold the weights of {published.name} ({lists}); "
                          f"expected the state dict of {network.source}")
    for variable, names in variables:
        if names[0] in tensors:
            variable.assign(sum(tensors[name] for name in names).T.reshape(variable.shape))
    return built


def write(published, directory, config, stats="", command=""):
    """Makes a run of published weights; `training.load` gives the model.

    Args:
        published: From `read`.
        directory: The folder of the run: absent or empty.
        config: The config of the model: the groups `data`, `model` and `train`. No average of weights
            is kept, since there is none yet.
        stats: A file with the mean and the spread of each band, for `adainvc`; "" = 0 and 1.
        command: The command line, kept for the reader.

    Returns:
        The run.

    Raises:
        KvoiceError: If the folder is not empty, or the weights or the statistics do not fit; nothing
            is left behind.
    """
    directory = Path(directory)
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        raise KvoiceError(f"{directory}: is there already; weights go into a new or an empty folder, choose "
                          "another --run")
    built = model(published, config["model"])
    if stats:
        if not NETWORKS[published.name].stats:
            raise KvoiceError(f"--stats={stats}: the published weights of {published.name} want mels as they "
                              "are; leave it out")
        built.bands.set(*moments(stats, published.spec.mels))
    with whole_directory(directory.resolve()) as partial:
        run = runs.create(
            partial,
            {"model_name": published.name, "variant": published.variant, "data_spec": "", "init": "",
             "corpus": "", "speakers": [], "data": config["data"],
             "model": config["model"] | published.sizes, "train": config["train"] | {"ema": 0.0},
             "imported": {"file": published.path.name, "sha256": published.sha256}},
            published.spec, {}, command)
        training.finished(run, built)
    return runs.load(directory)
