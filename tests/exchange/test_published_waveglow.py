"""WaveGlow in all its published forms, written here in plain PyTorch, beside what is imported."""

import sys
import types
import warnings

import keras
import numpy as np
import pytest

import kvoice
from kvoice import audio
from kvoice.cli import configs
from kvoice.errors import KvoiceError
from kvoice.exchange import published as checkpoints

pytestmark = pytest.mark.backend

torch = pytest.importorskip("torch", reason="torch is not installed, whose files are imported")
nn = torch.nn

SMALL = dict(
    mels=3, hop=8, width=4, flows=3, group=8, early_every=2, early_size=2, depth=3, kernel=3
)
FORMS = ("separate", "fused", "new")  # of 2018, of early 2019, since August 2019


# The published network


def normed(*sizes, **how):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is the old one, as in the files
        return nn.utils.weight_norm(nn.Conv1d(*sizes, **how))


class Mixing(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, 1, bias=False)
        nn.init.orthogonal_(self.conv.weight)


class WN(nn.Module):
    def __init__(self, half, conditions, width, depth, kernel, form):
        super().__init__()
        self.width, self.depth, self.form = width, depth, form
        self.start = normed(half, width, 1)
        self.in_layers = nn.ModuleList(
            normed(width, 2 * width, kernel, dilation=2**i, padding=2**i * (kernel // 2))
            for i in range(depth)
        )
        if form == "separate":
            self.res_layers = nn.ModuleList(normed(width, width, 1) for _ in range(depth - 1))
            self.skip_layers = nn.ModuleList(normed(width, width, 1) for _ in range(depth))
        else:
            self.res_skip_layers = nn.ModuleList(
                normed(width, width * (2 if i < depth - 1 else 1), 1) for i in range(depth)
            )
        if form == "new":
            self.cond_layer = normed(conditions, 2 * width * depth, 1)
        else:
            self.cond_layers = nn.ModuleList(normed(conditions, 2 * width, 1) for _ in range(depth))
        self.end = nn.Conv1d(width, 2 * half, 1)

    def forward(self, x, conditions):
        x, total, width = self.start(x), 0, self.width
        for i in range(self.depth):
            if self.form == "new":
                condition = self.cond_layer(conditions)[:, 2 * i * width : 2 * (i + 1) * width]
            else:
                condition = self.cond_layers[i](conditions)
            reached = self.in_layers[i](x) + condition
            gated = torch.tanh(reached[:, :width]) * torch.sigmoid(reached[:, width:])
            if self.form == "separate":
                total = total + self.skip_layers[i](gated)
                x = x + self.res_layers[i](gated) if i < self.depth - 1 else x
            else:
                out = self.res_skip_layers[i](gated)
                x, total = (
                    (x + out[:, :width], total + out[:, width:])
                    if i < self.depth - 1
                    else (x, total + out)
                )
        return self.end(total)


class WaveGlow(nn.Module):
    """As published; `alternate` as its first version was."""

    def __init__(
        self,
        form,
        alternate,
        *,
        mels,
        hop,
        width,
        flows,
        group,
        early_every,
        early_size,
        depth,
        kernel,
    ):
        super().__init__()
        self.alternate, self.group, self.every, self.early = (
            alternate,
            group,
            early_every,
            early_size,
        )
        self.upsample = nn.ConvTranspose1d(mels, mels, 4 * hop, stride=hop)
        channels = [group - early_size * (k // early_every) for k in range(flows)]
        self.WN = nn.ModuleList(
            WN(size // 2, mels * group, width, depth, kernel, form) for size in channels
        )
        self.convinv = nn.ModuleList(Mixing(size) for size in channels)

    def conditions(self, mel, time):
        # [B, mels, T / 8, 8]
        conditions = self.upsample(mel)[:, :, :time].unfold(2, self.group, self.group)
        return conditions.permute(0, 1, 3, 2).reshape(len(mel), -1, time // self.group)

    def halves(self, x, k):
        half = x.shape[1] // 2
        swapped = self.alternate and k % 2
        return (x[:, half:], x[:, :half], -1) if swapped else (x[:, :half], x[:, half:], 1)

    def forward(self, wave, mel):
        conditions, left, log_scale, log_determinant = self.conditions(mel, wave.shape[1]), [], 0, 0
        x = wave.unfold(1, self.group, self.group).permute(0, 2, 1)
        for k, (network, mixing) in enumerate(zip(self.WN, self.convinv)):
            if k and k % self.every == 0:
                left.append(x[:, : self.early])
                x = x[:, self.early :]
            log_determinant = log_determinant + torch.slogdet(mixing.conv.weight[:, :, 0])[1]
            kept, changed, order = self.halves(mixing.conv(x), k)
            offset, scale = network(kept, conditions).chunk(2, dim=1)
            x = torch.cat([kept, changed * torch.exp(scale) + offset][::order], dim=1)
            log_scale = log_scale + scale.sum(dim=1)
        return torch.cat([*left, x], dim=1), log_scale, log_determinant

    def inverse(self, z, mel):
        conditions = self.conditions(mel, z.shape[1] * z.shape[2])
        left, x = z, z[:, z.shape[1] - self.convinv[-1].conv.weight.shape[0] :]
        for k in reversed(range(len(self.WN))):
            kept, changed, order = self.halves(x, k)
            offset, scale = self.WN[k](kept, conditions).chunk(2, dim=1)
            x = torch.cat([kept, (changed - offset) / torch.exp(scale)][::order], dim=1)
            x = torch.linalg.solve(self.convinv[k].conv.weight[:, :, 0], x)
            if k and k % self.every == 0:
                first = left.shape[1] - x.shape[1] - self.early
                x = torch.cat([left[:, first : first + self.early], x], dim=1)
        return x.permute(0, 2, 1).reshape(len(z), -1)


def published(form="new", alternate=False, seed=0, **sizes):
    """One network, whatever the form, with weights that matter: no lengths or ends as they are at
    first.
    """
    torch.manual_seed(seed)
    separate = WaveGlow("separate", alternate, **SMALL | sizes)
    with torch.no_grad():
        for name, value in separate.named_parameters():
            value += 0.1 * torch.randn(value.shape) * (1 if "convinv" not in name else 0.1)
    if form == "separate":
        return separate
    state = joined_skips(separate.state_dict())
    model = WaveGlow(form, alternate, **SMALL | sizes)
    model.load_state_dict(joined_conditions(state) if form == "new" else state)
    return model


def joined_skips(state):
    """2018 -> early 2019."""
    found = {}
    for name, value in state.items():
        if ".skip_layers." in name:
            res = state.get(name.replace("skip_", "res_"))
            value = value if res is None else torch.cat([res, value])
        if ".res_layers." not in name:
            found[name.replace(".skip_layers.", ".res_skip_layers.")] = value
    return found


def joined_conditions(state):
    """Early 2019 -> August 2019."""
    found = {}
    for name, value in state.items():
        flow, separate, rest = name.partition(".cond_layers.")
        if separate:
            name = f"{flow}.cond_layer.{rest.split('.', 1)[1]}"
        found[name] = torch.cat([found[name], value]) if name in found else value
    return found


def folded(state):
    """Without weight norm."""
    found = dict(state)
    for name in state:
        if name.endswith(".weight_v"):
            v, g = found.pop(name), found.pop(name.replace("_v", "_g"))
            found[name.removesuffix("_v")] = g * v / v.norm(dim=(1, 2), keepdim=True)
    return found


def parametrised(state):
    parts = {
        "weight_g": "parametrizations.weight.original0",
        "weight_v": "parametrizations.weight.original1",
    }
    return {
        f"{name.rpartition('.')[0]}.{parts.get(name.rpartition('.')[2], name.rpartition('.')[2])}": value
        for name, value in state.items()
    }


def nemos(state):
    found = {f"waveglow.{name.replace('WN.', 'wavenet.')}": value for name, value in state.items()}
    return found | {
        "audio_to_melspec_precessor.featurizer.fb": torch.ones(1, 2, 3),
        "waveglow.convinv.0.inv_conv.weight": torch.ones(8, 8, 1),
    }


WRITTEN = {form: lambda model: dict(model.state_dict()) for form in FORMS} | {
    "folded": lambda model: folded(model.state_dict()),
    "folded separate": lambda model: folded(model.state_dict()),
    "parametrised": lambda model: parametrised(model.state_dict()),
    "parametrised fused": lambda model: parametrised(model.state_dict()),
    "NeMo": lambda model: nemos(model.state_dict()),
    "NeMo folded": lambda model: nemos(folded(model.state_dict())),
    "DeepLearningExamples": lambda model: {
        "state_dict": {f"module.{name}": value for name, value in model.state_dict().items()},
        "epoch": 3,
        "config": {"n_flows": 3},
        "optimizer": {"state": {}, "param_groups": []},
    },
}


def form_of(written):
    return next(
        (form for form in FORMS if form in written), "fused" if "Deep" in written else "new"
    )


# What is done with it


def arrays(state):
    return {name: value.detach().numpy() for name, value in state.items()}


def saved(place, content):
    torch.save(content, place / "published.pt")
    return place / "published.pt"


def imported(place, content, **how):
    found = checkpoints.read("waveglow", saved(place, content), **how)
    run = checkpoints.write(found, place / "run", configs.configuration("waveglow"))
    return run, kvoice.load(run.path).model


def refused(place, state):
    with pytest.raises(KvoiceError) as caught:
        imported(place, state)
    assert not (place / "run").exists() and "\n" not in str(caught.value)
    return str(caught.value)


def assert_does_as(ours, theirs, frames=10):
    rng = np.random.default_rng(1)
    mel = rng.normal(0, 1, (2, frames, SMALL["mels"])).astype("float32")
    wave = rng.normal(0, 0.3, (2, frames * SMALL["hop"])).astype("float32")
    noise = rng.normal(0, 0.6, (2, frames, SMALL["group"])).astype("float32")
    with torch.no_grad():
        condition = torch.from_numpy(mel).permute(0, 2, 1)
        z, log_scale, log_determinant = theirs(torch.from_numpy(wave), condition)
        sound = theirs.inverse(torch.from_numpy(noise).permute(0, 2, 1), condition)
        again = theirs.inverse(z, condition)
    np.testing.assert_allclose(again, wave, atol=1e-5)  # the network here is what it should be
    assert (z.std(dim=(0, 2)) > 0.01).all() and log_scale.std() > 0.01

    def close(one, other):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(one), other.numpy(), atol=1e-4, rtol=0
        )

    out = ours.forward(keras.ops.convert_to_tensor(wave), keras.ops.convert_to_tensor(mel))
    close(out["z"], z.permute(0, 2, 1))
    close(out["log_scale"], log_scale)
    close(out["log_determinant"], log_determinant)
    close(
        ours.inverse(
            keras.ops.convert_to_tensor(noise), keras.ops.convert_to_tensor(mel), ours.folded()
        ),
        sound,
    )


# The forms


@pytest.mark.parametrize("written", WRITTEN)
def test_every_form_leads_to_the_same_tensors(written):
    content = WRITTEN[written](published(form_of(written)))
    content = {
        name.removeprefix("module."): value
        for name, value in content.get("state_dict", content).items()
    }
    given = arrays(content)
    found, wanted = checkpoints._waveglow_names(given), arrays(published("new").state_dict())
    assert found.keys() == wanted.keys() and given.keys() == content.keys()
    for name, value in wanted.items():
        assert found[name].dtype == np.float32
        if "folded" not in written or not name.endswith(("weight_g", "weight_v")):
            np.testing.assert_array_equal(found[name], value)
        elif name.endswith("_g"):
            np.testing.assert_allclose(found[name], np.abs(value), rtol=1e-5)
        else:
            g = wanted[name.replace("_v", "_g")]
            direction = value / np.linalg.norm(value, axis=(1, 2), keepdims=True)
            np.testing.assert_allclose(found[name], g * direction, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("written", [*FORMS, "folded", "parametrised", "NeMo"])
def test_an_imported_waveglow_does_what_the_published_one_does(tmp_path, written):
    theirs = published(form_of(written))
    run, ours = imported(tmp_path, WRITTEN[written](theirs))
    assert_does_as(ours, theirs)
    assert (
        run.config["model"].items()
        >= (SMALL | {"alternate": False, "upsample_to": "samples", "prewhiten": False}).items()
    )
    assert run.spec == audio.Spec(mels=3, hop=8)


@pytest.mark.parametrize(("place", "alternate"), [("glow", False), ("glow_old", True)])
@pytest.mark.parametrize("spread", [True, False])
@pytest.mark.filterwarnings("ignore")  # of sources that cannot be found
def test_a_whole_module_is_imported_without_its_program(
    tmp_path, monkeypatch, place, alternate, spread
):
    theirs = published("fused", alternate)
    monkeypatch.setitem(
        sys.modules, place, types.SimpleNamespace(WaveGlow=WaveGlow, WN=WN, Mixing=Mixing)
    )
    with monkeypatch.context() as named:
        for each in (WaveGlow, WN, Mixing):
            named.setattr(each, "__module__", place)
        path = tmp_path / "published.pt"
        model = nn.DataParallel(theirs) if spread else theirs
        torch.save(
            {"model": model, "iteration": 3, "optimizer": None, "learning_rate": 1e-4},
            path,
            _use_new_zipfile_serialization=False,
        )
    monkeypatch.delitem(sys.modules, place)
    found = checkpoints.read("waveglow", path)
    assert found.sizes["alternate"] == alternate
    assert_does_as(checkpoints.model(found, configs.configuration("waveglow")["model"]), theirs)
    for asked in (True, False):
        assert checkpoints.read("waveglow", path, alternate=asked).sizes["alternate"] == asked


def test_alternating_halves_can_be_asked_for(tmp_path):
    theirs = published("new", alternate=True)
    _, ours = imported(tmp_path, theirs.state_dict(), alternate=True)
    assert_does_as(ours, theirs)
    with pytest.raises(KvoiceError, match="--alternate: is of waveglow alone, not of adainvc"):
        checkpoints.read("adainvc", tmp_path / "published.pt", alternate=True)


@pytest.mark.parametrize(("form", "count"), [("separate", 1190), ("fused", 938), ("new", 686)])
def test_the_published_sizes_are_known_by_their_names(form, count):
    sizes = dict(
        mels=4, hop=256, width=2, flows=12, group=8, early_every=4, early_size=2, depth=8, kernel=3
    )
    given = arrays(published(form, **sizes).state_dict())
    found = checkpoints._waveglow_names(given)
    assert len(given) == count and len(found) == 686
    assert checkpoints._waveglow_sizes(found) == sizes | {
        "alternate": False,
        "upsample_to": "samples",
        "prewhiten": False,
    }


# Sizes


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"flows": 2},
        {"flows": 1},
        {"early_every": 1, "flows": 3},
        {"early_size": 4, "flows": 4},
        {"group": 12, "early_size": 4, "flows": 5},
        {"depth": 1},
        {"kernel": 5},
        {"width": 6},
        {"mels": 5},
        {"group": 2, "flows": 2},
    ],
)
def test_sizes_are_read_from_the_tensors(changes):
    sizes = SMALL | changes
    found = checkpoints._waveglow_sizes(arrays(published("new", **sizes).state_dict()))
    if sizes["flows"] <= sizes["early_every"]:  # nothing leaves
        sizes |= {"early_every": sizes["flows"], "early_size": 2}
    assert found == sizes | {"alternate": False, "upsample_to": "samples", "prewhiten": False}


@pytest.mark.parametrize(
    "name",
    [
        "upsample.weight",
        "upsample.bias",
        "convinv.0.conv.weight",
        "convinv.2.conv.weight",
        "WN.0.start.weight_v",
        "WN.2.end.weight",
        "WN.2.in_layers.2.weight_v",
        "WN.1.cond_layer.weight_v",
    ],
)
def test_a_size_is_known_without_the_tensor_that_is_missing_or_wrong(tmp_path, name):
    state = dict(published().state_dict())
    wrong = torch.zeros([size + 1 for size in state[name].shape])
    hop = {"hop": 256} if name == "upsample.weight" else {}
    without = {key: value for key, value in state.items() if key != name}
    assert checkpoints._waveglow_sizes(arrays(without)).items() >= (SMALL | hop).items()
    if not hop:
        assert f"(of another shape: {name} " in refused(tmp_path, state | {name: wrong})
        assert f"(missing: {name});" in refused(tmp_path, without)


def test_the_hop_is_the_network_s(tmp_path):
    state = published(mels=80, hop=256, width=2, flows=1).state_dict()
    path = saved(tmp_path, state)
    assert checkpoints.read("waveglow", path).spec == audio.SPECS["waveglow"]
    assert checkpoints.read("waveglow", path, "speechsplit").spec == audio.SPECS["speechsplit"]
    path = saved(tmp_path, state | {"upsample.weight": torch.ones(80, 80, 800)})
    assert checkpoints.read("waveglow", path).spec == audio.Spec(hop=200)
    with pytest.raises(
        KvoiceError,
        match="--spec=waveglow: has 80 mels and a hop of 256 samples, the "
        "network in .* 80 mels and a hop of 200 samples",
    ):
        checkpoints.read("waveglow", path, "waveglow")
    with pytest.raises(
        KvoiceError, match="80 mels and a hop of 2000 samples: Spec.hop must be from 1"
    ):
        checkpoints.read("waveglow", saved(tmp_path, {"upsample.weight": torch.ones(80, 80, 8000)}))


def test_an_upsampler_that_is_not_of_four_hops_is_refused(tmp_path):
    state = published().state_dict()
    line = refused(tmp_path, state | {"upsample.weight": torch.ones(3, 3, 35)})
    assert "(of another shape: upsample.weight (3, 3, 35) instead of (3, 3, 32));" in line


def test_tensors_without_numbers_are_refused(tmp_path):
    line = refused(
        tmp_path, published().state_dict() | {"WN.0.start.weight_v": torch.zeros(10**9, 0, 1)}
    )
    assert "WN.0.start.weight_v holds no numbers" in line


# Tensors that do not fit


def without(state, *names):
    return {name: value for name, value in state.items() if name not in names}


@pytest.mark.parametrize(
    ("form", "gone", "missing", "surplus"),
    [
        ("fused", "WN.1.cond_layers.1.bias", "WN.1.cond_layer.bias", "WN.1.cond_layers.0.bias"),
        (
            "separate",
            "WN.1.res_layers.0.bias",
            "WN.1.res_skip_layers.0.bias",
            "WN.1.skip_layers.0.bias",
        ),
        (
            "separate",
            "WN.0.skip_layers.1.weight_v",
            "WN.0.res_skip_layers.1.weight_v",
            "WN.0.res_layers.1.weight_v",
        ),
        ("separate", "WN.0.skip_layers.2.bias", "WN.0.res_skip_layers.2.bias", ""),
    ],
)
def test_a_gap_in_separate_layers_is_named(tmp_path, form, gone, missing, surplus):
    line = refused(tmp_path, without(published(form).state_dict(), gone))
    assert f"missing: {missing}" in line
    assert (f"surplus: {surplus}" in line) if surplus else "surplus" not in line


def test_what_cannot_be_joined_or_folded_keeps_its_name():
    state = arrays(published("fused").state_dict())
    for name, value in (
        ("WN.0.cond_layers.1.weight_v", np.ones((8, 5, 1), "float32")),  # another shape
        ("WN.1.cond_layers.000001.bias", np.ones(8, "float32")),  # no number of theirs
        ("WN.2.start.weight", np.ones((4, 4, 1), "float32")),  # beside weight_g and weight_v
        ("WN.0.cond_layer.bias", np.ones(24, "float32")),  # joined and separate
        ("WN.1.cond_layer.weight", np.ones(24, "float32")),  # no kernel
        ("WN.0.start.parametrizations.weight.original0", np.ones(4, "float32")),
    ):  # twice
        found = checkpoints._waveglow_names(state | {name: value})
        assert found[name] is value


def test_a_skip_before_a_residual_is_not_the_last_one():
    state = published("separate").state_dict()
    state = arrays(without(state, "WN.0.res_layers.0.bias", "WN.0.skip_layers.2.bias"))
    found = checkpoints._waveglow_names(state)
    assert "WN.0.skip_layers.0.bias" in found and "WN.0.res_skip_layers.1.bias" in found


def test_what_is_not_of_nemo_s_network_is_surplus(tmp_path):
    line = refused(tmp_path, nemos(published().state_dict()) | {"postnet.weight": torch.ones(3)})
    assert "(surplus: postnet.weight);" in line


def test_a_mixture_of_networks_is_named(tmp_path):
    line = refused(
        tmp_path, {f"decoder.{name}": value for name, value in published().state_dict().items()}
    )
    assert "missing: upsample.weight, " in line and "surplus: decoder." in line


def test_a_matrix_without_an_inverse_is_refused(tmp_path):
    state = dict(published().state_dict())
    state["convinv.1.conv.weight"] = torch.zeros_like(state["convinv.1.conv.weight"])
    assert "convinv.1.conv.weight has no inverse" in refused(tmp_path, state)
