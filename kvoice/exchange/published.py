"""Imports published PyTorch weights as a run; every tensor must have its variable and vice versa.

The layers of the models bear the published names, and Keras orders the axes of every kernel the
other way round, so that a tensor's transpose is the variable. The sizes of a network are read from
its
tensors: smaller ones of the same family load too.

Files are data here, never programs. PyTorch's come through `torchfiles`, without PyTorch, and of
NumPy's pickles a restricted one of this file builds arrays from their bytes, without calling
NumPy's own.

Sources:
    adainvc: the state dict of the public code of Chou, Yeh & Lee 2019, arXiv:1904.05742 (August
    2019), with the mean and the spread of each band in a second file, `attr.pkl`.
    speakerencoder: Resemblyzer's, whose file wraps the state dict and keeps the scale and the
    offset of the cosines in it. PyTorch's order of an LSTM's gates (input, forget, cell, output) is
    Keras'; it adds two biases where Keras has one.
    waveglow: NVIDIA's, of Prenger, Valle & Catanzaro 2019, arXiv:1811.00002, in every form it was
    published in: whole modules of 2018 and 2019, DeepLearningExamples, NeMo; with weight norm or
        without.
"""

import collections
import dataclasses
import hashlib
import io
import re
from pathlib import Path

import numpy as np

from kvoice import audio, runs
from kvoice.errors import KvoiceError
from kvoice.exchange import PACKAGES, torchfiles
from kvoice.files import whole_directory
from kvoice.training import loop

NAMED = 5  # tensors that a message lists
# Where files keep the weights, beside other things: Resemblyzer's, those of PyTorch's users,
# NVIDIA's.
MIXING = r"convinv\.\d+\.conv\.weight"  # the matrices of a waveglow
WRAPPED = ("model_state", "state_dict", "model")
ALTERNATING = "glow_old.WaveGlow"  # the class of waveglow_old.pt, whose halves swap roles
SPREAD = ("module.1.", "module.")  # before all names, of modules spread over devices
# Tensors of Resemblyzer's training that its own loader leaves out; they may be absent.
OPTIONAL = ("similarity_weight", "similarity_bias")


@dataclasses.dataclass(frozen=True)
class Network:
    """The published form of a model.

    Attributes:
        source: The origin of the file.
        sizes: Function from tensors to arguments of the model, which tolerates missing and wrong
            tensors; where no tensor gives a size, it is the published one.
        variables: Function from a model to triples of a variable, a dict from name to shape of the
            tensors that it is made of, and a function from these tensors to its value.
        specs: Names of Specs. The one with as many mels as the network is its own; where there is
            none, it is the last one, with that number of mels. A hop that the network defines
            replaces the Spec's.
        variants: Name of a Spec -> variant of the config, where it is not the default.
        stats: Whether its mels are standardised with the statistics in a second file.
        names: Function that renames and joins the tensors as `variables` expects them.
    """

    source: str
    sizes: collections.abc.Callable
    variables: collections.abc.Callable
    specs: tuple
    variants: dict
    stats: bool
    names: collections.abc.Callable = dict


@dataclasses.dataclass(frozen=True)
class Published:
    """The weights in a file.

    Attributes:
        name: The name of the model in `NETWORKS`.
        path: The path of the file.
        sha256: The SHA-256 hash of the file.
        tensors: Name -> float32 array, axes in PyTorch's order.
        sizes: Arguments of the model that follow from the tensors.
        spec: The Spec of its mels.
        variant: The variant of the config of the model.
    """

    name: str
    path: Path
    sha256: str
    tensors: dict
    sizes: dict
    spec: audio.Spec
    variant: str


# --- The networks


def _sum(variable, *names):
    """A variable that is a tensor, its axes the other way round, or the sum of several."""
    return (
        variable,
        dict.fromkeys(names, tuple(variable.shape[::-1]) or (1,)),
        lambda *found: sum(found).T,
    )


def _stack(variable, names):
    """A variable that holds a tensor for each layer."""
    return (
        variable,
        dict.fromkeys(names, tuple(variable.shape[:0:-1])),
        lambda *found: np.array([tensor.T for tensor in found]),
    )


def _split(variable, name):
    """A variable that holds, for each layer, its share of the first axis of a tensor."""
    layers, *others, filters = variable.shape
    return (
        variable,
        {name: (layers * filters, *others[::-1])},
        lambda found: np.array([tensor.T for tensor in np.split(found, layers)]),
    )


def _usual(tensors, pattern, axis, published):
    """Returns the size that most tensors of a name have on an axis, in spite of a wrong one."""
    found = collections.Counter(
        array.shape[axis]
        for name, array in tensors.items()
        if array.ndim > axis and re.fullmatch(pattern, name)
    )
    return found.most_common(1)[0][0] if found else published


def _count(tensors, pattern):
    """How many tensors are numbered from 0, by the largest number."""
    numbers = [int(match[1]) for name in tensors if (match := re.fullmatch(pattern, name))]
    return min(max(numbers, default=-1) + 1, len(tensors))


def _adainvc_sizes(tensors):
    def usual(pattern, axis, published=128):
        return _usual(tensors, pattern, axis, published)

    blocks = r"\.(?:first|second)_conv_layers\.\d+\.weight"
    stages = {
        part: (_count(tensors, rf"{part}\.first_conv_layers\.(\d{{1,6}})\.weight") + 1) // 2
        for part in ("speaker_encoder", "content_encoder", "decoder")
    }
    return {
        "mels": usual(r"\w+_encoder\.conv_bank\.\d+\.weight", 1, 512),
        "width": {
            "bank": usual(r"\w+_encoder\.conv_bank\.\d+\.weight", 0),
            "speaker": usual(rf"speaker_encoder{blocks}", 0),
            "content": usual(rf"content_encoder{blocks}", 0),
            "decoder": usual(r"decoder\.first_conv_layers\.\d+\.weight", 0),
        },
        "latents": usual(r"content_encoder\.(?:mean|std)_layer\.weight", 0),
        "embedding": usual(r"decoder\.conv_affine_layers\.\d+\.weight", 1),
        "bank": _count(tensors, r"\w+_encoder\.conv_bank\.(\d{1,6})\.weight") or 8,
        "kernel": usual(rf"\w+{blocks}", 2, 5),
        "encoder_stages": max(stages["speaker_encoder"], stages["content_encoder"]) or 3,
        "decoder_stages": stages["decoder"] or 3,
        "dense_blocks": _count(tensors, r"speaker_encoder\.first_dense_layers\.(\d{1,6})\.weight"),
    }


def _adainvc_variables(model):
    for part, network in (
        ("speaker_encoder", model.speaker_encoder),
        ("content_encoder", model.content_encoder),
        ("decoder", model.styles),
        ("decoder", model.decoder),
    ):
        for layer in network.layers:
            if layer.weights:
                name = re.sub(r"_(\d+)$", r".\1", layer.name)
                yield _sum(layer.kernel, f"{part}.{name}.weight")
                yield _sum(layer.bias, f"{part}.{name}.bias")


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
        yield _sum(lstm.cell.kernel, f"lstm.weight_ih_l{i}")
        yield _sum(lstm.cell.recurrent_kernel, f"lstm.weight_hh_l{i}")
        yield _sum(lstm.cell.bias, f"lstm.bias_ih_l{i}", f"lstm.bias_hh_l{i}")
    linear = model.network.get_layer("linear")
    yield _sum(linear.kernel, "linear.weight")
    yield _sum(linear.bias, "linear.bias")
    yield _sum(model.scale, "similarity_weight")
    yield _sum(model.offset, "similarity_bias")


def _renamed(tensors, *rules):
    """Renames tensors by patterns and replacements; a name that is taken is not given again."""
    found = {}
    for name, tensor in tensors.items():
        new = name
        for pattern, by in rules:
            new = re.sub(pattern, by, new)
        found[name if new in tensors or new in found else new] = tensor
    return found


def _join(tensors, names, joined):
    """Joins tensors on their first axis where all are there and fit."""
    if (
        joined not in tensors
        and all(name in tensors for name in names)
        and len({tensors[name].shape[1:] for name in names}) == 1
    ):
        tensors[joined] = np.concatenate([tensors.pop(name) for name in names])


def _waveglow_names(tensors):
    """Converts the tensors of a WaveGlow to the form of August 2019.

    That form has one `cond_layer`, `res_skip_layers` and weight norm.

    Every filter has its own length and direction, so that layers may be joined by their filters.
    What does not fit keeps its name.
    """
    number = r"(0|[1-9]\d{0,5})"
    if any(
        name.startswith("waveglow.") for name in tensors
    ):  # NeMo's: its mels, and what is derived
        left_out = rf"audio_to_melspec_precessor\..*|waveglow\.convinv\.{number}\.inv_conv\.weight"
        tensors = {
            name: tensor for name, tensor in tensors.items() if not re.fullmatch(left_out, name)
        }
    tensors = _renamed(
        tensors,
        (r"^(waveglow\.)?wavenet\.", "WN."),
        (r"^waveglow\.", ""),
        (r"\.parametrizations\.weight\.original0$", ".weight_g"),
        (r"\.parametrizations\.weight\.original1$", ".weight_v"),
    )
    normed = (
        rf"WN\.{number}\.(start|cond_layer|(in|cond|res|skip|res_skip)_layers\.{number})\.weight"
    )
    for name, tensor in list(tensors.items()):
        partners = {f"{name}_g", f"{name}_v"} & tensors.keys()
        if re.fullmatch(normed, name) and tensor.ndim == 3 and not partners:
            tensors[f"{name}_v"] = tensors.pop(name)
            tensors[f"{name}_g"] = np.linalg.norm(tensor.reshape(len(tensor), -1), axis=1)[
                :, None, None
            ]

    separate = collections.defaultdict(lambda: {"cond": set(), "res": set(), "skip": set()})
    numbered = rf"WN\.{number}\.(cond|res|skip)_layers\.{number}\.(weight_[gv]|bias)"
    for name in tensors:
        if match := re.fullmatch(numbered, name):
            flow, kind, layer, field = match.groups()
            separate[f"WN.{flow}", field][kind].add(int(layer))
    for (flow, field), layers in separate.items():
        _join(
            tensors,
            [f"{flow}.cond_layers.{i}.{field}" for i in range(len(layers["cond"]))],
            f"{flow}.cond_layer.{field}",
        )
        last = max(layers["skip"] - layers["res"], default=-1)  # which has no residual
        for i in layers["skip"]:
            kinds = ["skip"] if i == last > max(layers["res"], default=-1) else ["res", "skip"]
            _join(
                tensors,
                [f"{flow}.{kind}_layers.{i}.{field}" for kind in kinds],
                f"{flow}.res_skip_layers.{i}.{field}",
            )
    return tensors


def _early(channels, flows, group):
    """After how many steps of a flow channels leave it, and how many do; as most tensors have it.

    Args:
        channels: Pairs of the number of a step and its channels.
        flows: Number of steps.
        group: Channels of the first.
    """
    channels = sorted(channels)
    drops = {one - other for (_, one), (_, other) in zip(channels, channels[1:])}
    never = flows, 2
    options = [(every, size) for size in sorted(drops) if size > 0 for every in range(1, flows)]

    def agreeing(option):
        every, size = option
        return sum(found == group - size * (k // every) for k, found in channels)

    return max([never, *options], key=agreeing)


def _waveglow_sizes(tensors):
    def usual(pattern, axis, published):
        return _usual(tensors, pattern, axis, published)

    # as many filters as the step has channels
    step = r"(?:convinv|WN)\.(\d{1,6})\.(?:conv|end)\.weight"
    mels = usual(r"upsample\.(?:weight|bias)", 0, 80)
    first = usual(r"convinv\.0\.conv\.weight", 0, 8)
    group = usual(r"WN\.\d+\.cond_layer\.weight_v", 1, mels * first) // mels
    flows = _count(tensors, step) or 12
    every, size = _early(
        [
            (int(match[1]), len(array))
            for name, array in tensors.items()
            if (match := re.fullmatch(step, name))
        ],
        flows,
        group,
    )
    return {
        "mels": mels,
        "hop": usual(r"upsample\.weight", 2, 1024) // 4,
        "width": usual(r"WN\.\d+\.start\.weight_v", 0, 512),
        "flows": flows,
        "group": group,
        "early_every": every,
        "early_size": size,
        "depth": _count(tensors, r"WN\.\d+\.in_layers\.(\d{1,6})\.weight_v") or 8,
        "kernel": usual(r"WN\.\d+\.in_layers\.\d+\.weight_v", 2, 3),
        "alternate": False,
        "upsample_to": "samples",
        "prewhiten": False,
    }


def _waveglow_variables(model):
    yield _sum(model.upsample.kernel, "upsample.weight")
    yield _sum(model.upsample.bias, "upsample.bias")
    for k, step in enumerate(model.flows):
        network, flow = step.network, f"WN.{k}"
        yield _sum(step.mixing.matrix, f"convinv.{k}.conv.weight")
        yield _sum(network.end.kernel, f"{flow}.end.weight")
        yield _sum(network.end.bias, f"{flow}.end.bias")
        *joined, last = (f"{flow}.res_skip_layers.{i}" for i in range(network.depth))
        for field, name in (("g", "weight_g"), ("v", "weight_v"), ("bias", "bias")):
            for layers, names in (
                (network.start, [f"{flow}.start"]),
                (network.res_skip_layers, joined),
                (network.in_layers, [f"{flow}.in_layers.{i}" for i in range(network.depth)]),
                (network.skip_layer, [last]),
            ):
                yield _stack(getattr(layers, field), [f"{each}.{name}" for each in names])
            yield _split(getattr(network.cond_layer, field), f"{flow}.cond_layer.{name}")


NETWORKS = {
    "adainvc": Network(
        "the public code of AdaIN-VC (vctk_model.ckpt)",
        _adainvc_sizes,
        _adainvc_variables,
        ("adainvc", "waveglow"),
        {"adainvc": "official"},
        True,
    ),
    "speakerencoder": Network(
        "Resemblyzer (pretrained.pt)",
        _speakerencoder_sizes,
        _speakerencoder_variables,
        ("resemblyzer",),
        {},
        False,
    ),
    "waveglow": Network(
        "NVIDIA's WaveGlow (waveglow_256channels_universal_v5.pt)",
        _waveglow_sizes,
        _waveglow_variables,
        ("waveglow",),
        {},
        False,
        _waveglow_names,
    ),
}


# --- Reading


def read(name: str, path: str | Path, spec: str = "", alternate: bool | None = None) -> Published:
    """Reads the weights in a PyTorch file, or in the wheel of the package that brings it.

    Args:
        name: The model, one of `NETWORKS`.
        path: The file, written by `torch.save` in either of its formats, or a wheel (`.whl`), of
            which only the file of the weights is read.
        spec: Name of the Spec of its mels; "" = by their number.
        alternate: Whether the halves of the channels change roles from step to step of a
            `waveglow`, as in the first published weights; None = as the class of a whole module
            implies, otherwise not.

    Raises:
        KvoiceError: If the file is missing, holds anything but named tensors of finite numbers, the
            Spec has another number of mels or another hop, or the model does not alternate.
    """
    network = NETWORKS[name]
    path, member = Path(path), ""
    if path.suffix == ".whl":
        if name not in PACKAGES:
            raise KvoiceError(
                f"{path}: no package is known that brings weights of {name}; give the file itself, "
                f"of {network.source}"
            )
        member = "/".join(PACKAGES[name])
    content = torchfiles.read(path, member)
    with torchfiles.opened(path, member) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    named, kind = _state_dict(path, content)
    tensors = network.names({key: _array(path, key, tensor) for key, tensor in named.items()})
    sizes = network.sizes(tensors)
    if "alternate" in sizes:
        sizes["alternate"] = kind == ALTERNATING if alternate is None else alternate
    elif alternate is not None:
        raise KvoiceError(f"--alternate: is of waveglow alone, not of {name}; leave it out")
    given = {field: sizes[field] for field in ("mels", "hop") if field in sizes}
    own = {field: getattr(audio.SPECS[spec], field) for field in given} if spec else given
    if own != given:
        raise KvoiceError(
            f"--spec={spec}: has {_sizes_text(**own)}, the network in {path} "
            f"{_sizes_text(**given)}; leave it out, or name one that fits"
        )
    known = (each for each in network.specs if audio.SPECS[each].mels == given["mels"])
    spec = spec or next(known, network.specs[-1])
    try:
        found = dataclasses.replace(audio.SPECS[spec], **given)
    except KvoiceError as error:
        raise KvoiceError(f"{path}: {_sizes_text(**given)}: {error}") from None
    return Published(name, path, digest, tensors, sizes, found, network.variants.get(spec, ""))


def _sizes_text(mels, hop=None):
    return f"{mels} mels" if hop is None else f"{mels} mels and a hop of {hop} samples"


def _state_dict(path, content):
    """The named tensors in what a file holds, and the class of the module that held them, or "".

    They are a state dict or a whole module, which may lie beside other things.
    """
    kind = ""
    for key in WRAPPED:
        if isinstance(content, dict) and isinstance(content.get(key), (dict, torchfiles.Module)):
            content = content[key] or content
    if isinstance(content, torchfiles.Module):
        module = content
        try:
            content = module.tensors()
        except KvoiceError as error:
            raise KvoiceError(f"{path}: {error}") from None
        inner = module.state.get("_modules", {}).get("module", module)  # of one spread over devices
        kind = getattr(inner, "kind", "")
    if not isinstance(content, dict):
        what = "a tensor" if isinstance(content, np.ndarray) else f"a {type(content).__name__}"
    elif {"state", "param_groups"} <= content.keys():
        what = "the state of an optimizer"
    elif content and all(
        isinstance(key, str) and isinstance(value, np.ndarray) for key, value in content.items()
    ):
        while prefix := next(
            (each for each in SPREAD if all(key.startswith(each) for key in content)), ""
        ):
            content = {key.removeprefix(prefix): value for key, value in content.items()}
        return content, kind
    else:
        what = f"a dict of {_listed([str(key) for key in content]) or 'nothing'}"
    raise KvoiceError(
        f"{path}: holds {what}, expected a state dict: named tensors, as "
        "torch.save(module.state_dict(), FILE) writes them"
    )


def _array(path, key, tensor):
    """A tensor as a float32 array."""
    if tensor.dtype.kind != "f" or not tensor.size:
        what = f"is of type {tensor.dtype}" if tensor.size else "holds no numbers"
        raise KvoiceError(f"{path}: {key} {what}; expected floating-point numbers")
    with np.errstate(over="ignore"):
        array = np.atleast_1d(tensor.astype(np.float32, copy=False))
    if not np.isfinite(array).all():
        raise KvoiceError(
            f"{path}: {key} holds numbers that are not finite in float32; the training that "
            "made it failed, or the file is damaged"
        )
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
        (f"{_place}.numeric", "_frombuffer"): lambda data, kind, shape, *_: _Array.of(
            shape, kind, data
        ),
    }


class _Arrays(torchfiles.BoundedUnpickler):
    """Unpickles containers, texts, numbers and arrays; refuses to look up anything else."""

    def find_class(self, module, name):
        if (module, name) not in _ASKED:
            raise KvoiceError(
                f"asks for {module}.{name}, and only arrays are read, so nothing of it was run"
            )
        return _ASKED[module, name]


def moments(path: str | Path, mels: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads the mean and standard deviation of each band from a pickled dict of two NumPy arrays.

    Shapes: -> `mean`, `std` [mels] float32.

    Raises:
        KvoiceError: If the file is missing or anything else, or a value is not finite or a spread
            not above 0.
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
        raise KvoiceError(
            f"{path}: no pickle, or a damaged one; expected a dict of the arrays mean and std"
        ) from None
    if not isinstance(content, dict):
        raise KvoiceError(
            f"{path}: holds a {type(content).__name__}, expected a dict of the arrays mean and std"
        )
    if set(content) != {"mean", "std"}:
        raise KvoiceError(
            f"{path}: holds {_listed(sorted(map(str, content))) or 'nothing'}, expected the "
            "arrays mean and std"
        )
    mean, std = (_numbers(path, name, content[name], mels) for name in ("mean", "std"))
    if not (std > 0).all():
        band = int(np.argmin(std > 0))
        raise KvoiceError(f"{path}: std must be above 0, that of band {band} is {std[band]:g}")
    return mean, std


def _numbers(path, name, array, mels):
    if not isinstance(array, _Array):
        raise KvoiceError(
            f"{path}: {name} is a {type(array).__name__}, expected an array of {mels} numbers"
        )
    if array.shape != (mels,):
        raise KvoiceError(
            f"{path}: {name} has the shape {array.shape}, expected {(mels,)}, a number for "
            "each mel of the network"
        )
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


def model(published: Published, values: dict) -> object:
    """Creates the model with the published weights.

    Args:
        published: The return value of `read`.
        values: Arguments of the model; those that follow from the tensors are replaced.

    Raises:
        KvoiceError: If a tensor is missing, surplus or of another shape (they are listed), a matrix
            of the flow has no inverse, or the model rejects a size.
    """
    network = NETWORKS[published.name]
    try:
        built = loop.from_values(published.name, values | published.sizes)
    except KvoiceError as error:
        raise KvoiceError(f"{published.path}: {error}") from None
    tensors, variables = published.tensors, list(network.variables(built))
    expected = {name: shape for _, shapes, _ in variables for name, shape in shapes.items()}
    wrong = {
        "missing": [name for name in expected if name not in tensors and name not in OPTIONAL],
        "surplus": [name for name in tensors if name not in expected],
        "of another shape": [
            f"{name} {tensors[name].shape} instead of {shape}"
            for name, shape in expected.items()
            if name in tensors and tensors[name].shape != shape
        ],
    }
    if any(wrong.values()):
        lists = "; ".join(f"{what}: {_listed(names)}" for what, names in wrong.items() if names)
        raise KvoiceError(
            f"{published.path}: does not hold the weights of {published.name} ({lists}); "
            f"expected the state dict of {network.source}"
        )
    for name, tensor in tensors.items():
        if re.fullmatch(MIXING, name) and np.linalg.matrix_rank(tensor[..., 0]) < len(tensor):
            raise KvoiceError(
                f"{published.path}: {name} has no inverse, so that no audio can be made; the "
                "training that made it failed, or the file is damaged"
            )
    for variable, names, value in variables:
        if all(name in tensors for name in names):
            variable.assign(value(*(tensors[name] for name in names)).reshape(variable.shape))
    return built


def write(
    published: Published,
    directory: str | Path,
    config: dict,
    stats: str = "",
    command: str = "",
) -> runs.Run:
    """Writes a run with published weights; `training.load` returns the model.

    Args:
        published: The return value of `read`.
        directory: The folder of the run: absent or empty.
        config: The config of the model: the groups `data`, `model` and `train`. No average of
            weights is kept, since there is none yet.
        stats: A file with the mean and standard deviation of each band, for `adainvc`; "" = 0 and
            1.
        command: The command line, kept for the reader.

    Returns:
        The run.

    Raises:
        KvoiceError: If the folder is not empty, or the weights or the statistics do not fit;
            nothing is left behind.
    """
    directory = Path(directory)
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        raise KvoiceError(
            f"{directory}: is there already; weights go into a new or an empty folder, choose "
            "another --run"
        )
    built = model(published, config["model"])
    if stats:
        if not NETWORKS[published.name].stats:
            raise KvoiceError(
                f"--stats={stats}: the published weights of {published.name} want mels as they "
                "are; leave it out"
            )
        built.bands.set(*moments(stats, published.spec.mels))
    with whole_directory(directory.resolve()) as partial:
        run = runs.create(
            partial,
            {
                "model_name": published.name,
                "variant": published.variant,
                "data_spec": "",
                "init": "",
                "corpus": "",
                "speakers": [],
                "data": config["data"],
                "model": config["model"] | published.sizes,
                "train": config["train"] | {"ema": 0.0},
                "imported": {"file": published.path.name, "sha256": published.sha256},
            },
            published.spec,
            {},
            command,
        )
        loop.finished(run, built)
    return runs.load(directory)
