"""Published networks, written here in plain PyTorch from their description, beside what is
imported.
"""

import collections
import hashlib
import os
import pickle
import shlex
import sys
import types
import zipfile

import keras
import numpy as np
import pytest

import kvoice
from kvoice import audio, exchange, runs
from kvoice.cli import configs
from kvoice.cli.main import main
from kvoice.errors import KvoiceError
from kvoice.exchange import published, torchfiles
from kvoice.training import loop

pytestmark = pytest.mark.backend

torch = pytest.importorskip("torch", reason="torch is not installed, whose files are imported")
F = torch.nn.functional

SMALL = dict(
    mels=16,
    bank=3,
    speaker=6,
    content=5,
    decoder=4,
    latents=3,
    embedding=7,
    kernels=4,
    kernel=5,
    stages=3,
    dense_blocks=2,
)
TINY = SMALL | dict(kernels=1, stages=1, dense_blocks=0)  # where the numbers do not matter
PUBLISHED = dict(
    mels=512,
    bank=128,
    speaker=128,
    content=128,
    decoder=128,
    latents=128,
    embedding=128,
    kernels=8,
    kernel=5,
    stages=3,
    dense_blocks=6,
)
MARKER = "it-was-run"


# The published networks


def random_state(shapes, seed):
    """First weights as PyTorch draws them."""
    state, generator = collections.OrderedDict(), torch.Generator().manual_seed(seed)
    for name, shape in shapes.items():
        inputs = int(np.prod(shape[1:]))
        for field, size in (("weight", shape), ("bias", shape[:1])):
            state[f"{name}.{field}"] = (
                2 * torch.rand(size, generator=generator) - 1
            ) * inputs**-0.5
    return state


def adainvc_state(
    mels,
    bank,
    speaker,
    content,
    decoder,
    latents,
    embedding,
    kernels,
    kernel,
    stages,
    dense_blocks,
    seed=0,
):
    shapes = {}
    for part, width in (("speaker_encoder", speaker), ("content_encoder", content)):
        for k in range(kernels):
            shapes[f"{part}.conv_bank.{k}"] = (bank, mels, k + 1)
        shapes[f"{part}.in_conv_layer"] = (width, kernels * bank + mels, 1)
        for i in range(2 * stages):
            shapes[f"{part}.first_conv_layers.{i}"] = (width, width, kernel)
            shapes[f"{part}.second_conv_layers.{i}"] = (width, width, kernel)
    for i in range(dense_blocks):
        shapes[f"speaker_encoder.first_dense_layers.{i}"] = (speaker, speaker)
        shapes[f"speaker_encoder.second_dense_layers.{i}"] = (speaker, speaker)
    shapes["speaker_encoder.output_layer"] = (embedding, speaker)
    for head in ("mean_layer", "std_layer"):
        shapes[f"content_encoder.{head}"] = (latents, content, 1)
    shapes["decoder.in_conv_layer"] = (decoder, latents, 1)
    for i in range(2 * stages):
        shapes[f"decoder.first_conv_layers.{i}"] = (decoder, decoder, kernel)
        shapes[f"decoder.second_conv_layers.{i}"] = ((2 - i % 2) * decoder, decoder, kernel)
    for i in range(4 * stages):
        shapes[f"decoder.conv_affine_layers.{i}"] = (2 * decoder, embedding)
    shapes["decoder.out_conv_layer"] = (mels, decoder, 1)
    return random_state(shapes, seed)


def conv(x, state, name, stride=1):
    weight = state[f"{name}.weight"]
    k = weight.shape[2]
    x = F.pad(x, (k // 2, k // 2 if k % 2 else k // 2 - 1), mode="reflect")
    return F.conv1d(x, weight, state[f"{name}.bias"], stride)


def dense(x, state, name):
    return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])


def numbered(state, prefix):
    return len(
        {name for name in state if name.startswith(f"{prefix}.") and name.endswith(".weight")}
    )


def bank_of(x, state, part):
    features = [
        F.relu(conv(x, state, f"{part}.conv_bank.{k}"))
        for k in range(numbered(state, f"{part}.conv_bank"))
    ]
    return torch.cat([*features, x], dim=1)


def same(x):
    return x


def encoder_blocks(x, state, part, norm):
    for i in range(numbered(state, f"{part}.first_conv_layers")):
        stride = (1, 2)[i % 2]
        y = F.relu(norm(conv(x, state, f"{part}.first_conv_layers.{i}")))
        y = F.relu(norm(conv(y, state, f"{part}.second_conv_layers.{i}", stride)))
        x = y + (F.avg_pool1d(x, stride, ceil_mode=True) if stride > 1 else x)
    return x


def speaker_encoder(x, state, part="speaker_encoder"):
    x = F.relu(conv(bank_of(x, state, part), state, f"{part}.in_conv_layer"))
    x = encoder_blocks(x, state, part, same)
    x = F.adaptive_avg_pool1d(x, 1)[:, :, 0]
    for i in range(numbered(state, f"{part}.first_dense_layers")):
        y = F.relu(dense(x, state, f"{part}.first_dense_layers.{i}"))
        x = x + F.relu(dense(y, state, f"{part}.second_dense_layers.{i}"))
    return dense(x, state, f"{part}.output_layer")


def content_encoder(x, state, part="content_encoder"):
    x = F.relu(F.instance_norm(conv(bank_of(x, state, part), state, f"{part}.in_conv_layer")))
    x = encoder_blocks(x, state, part, F.instance_norm)
    return conv(x, state, f"{part}.mean_layer"), conv(x, state, f"{part}.std_layer")


def adaptive(x, state, name, voice):
    values = dense(voice, state, name)
    half = values.shape[1] // 2
    shift, scale = values[:, :half], values[:, half:]
    return F.instance_norm(x) * scale[:, :, None] + shift[:, :, None]


def shuffled(x, up):
    batch, channels, time = x.shape
    return (
        x.view(batch, channels // up, up, time)
        .permute(0, 1, 3, 2)
        .reshape(batch, channels // up, time * up)
    )


def decoder(x, voice, state, part="decoder"):
    x = F.relu(F.instance_norm(conv(x, state, f"{part}.in_conv_layer")))
    for i in range(numbered(state, f"{part}.first_conv_layers")):
        up = (2, 1)[i % 2]
        y = conv(x, state, f"{part}.first_conv_layers.{i}")
        y = F.relu(adaptive(y, state, f"{part}.conv_affine_layers.{2 * i}", voice))
        y = conv(y, state, f"{part}.second_conv_layers.{i}")
        y = shuffled(y, up) if up > 1 else y
        y = F.relu(adaptive(y, state, f"{part}.conv_affine_layers.{2 * i + 1}", voice))
        x = y + F.interpolate(x, scale_factor=up, mode="nearest")
    return conv(x, state, f"{part}.out_conv_layer")


def resemblyzer_state(mels=5, width=4, depth=3, embedding=6, seed=0):
    torch.manual_seed(seed)
    lstm, linear = (
        torch.nn.LSTM(mels, width, depth, batch_first=True),
        torch.nn.Linear(width, embedding),
    )
    state = {f"lstm.{name}": value for name, value in lstm.state_dict().items()}
    return state | {f"linear.{name}": value for name, value in linear.state_dict().items()}


# What is done with them


def saved(place, content, name="published.ckpt", **how):
    path = place / name
    torch.save(content, path, **how)
    return path


def imported(place, content, name="adainvc", stats="", **changes):
    """The run of a state dict, and the model that is loaded from it."""
    found = published.read(name, saved(place, content, **changes))
    run = published.write(found, place / "run", configs.configuration(name, found.variant), stats)
    return run, kvoice.load(run.path).model


def refused(place, content, name="adainvc", **changes):
    """The line that a file is refused with; nothing may have been made."""
    with pytest.raises(KvoiceError) as caught:
        imported(place, content, name, **changes)
    assert not (place / "run").exists() and not list(place.glob(".*"))
    line = str(caught.value)
    assert "\n" not in line and "published.ckpt" in line
    return line


def small(**changes):
    """A small state dict with some tensors replaced; None leaves one out."""
    state = adainvc_state(**SMALL) | {
        name.replace("__", "."): value for name, value in changes.items()
    }
    return collections.OrderedDict(
        (name, value) for name, value in state.items() if value is not None
    )


def assert_close(ours, theirs):
    """Within 1e-4, channels last beside channels second."""
    theirs = theirs.detach().numpy()
    theirs = theirs.swapaxes(-1, -2) if theirs.ndim > 1 else theirs
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)


def stats_of(mels, seed=1):
    rng = np.random.default_rng(seed)
    return {
        "mean": rng.normal(0, 1, mels).astype("float32"),
        "std": rng.uniform(0.5, 2, mels).astype("float32"),
    }


def assert_sounds_as_published(model, state, mean, std):
    rng = np.random.default_rng(2)
    for length in (17, 64, 67):
        mel = rng.normal(0, 1, (length, len(mean))).astype("float32")
        x = torch.from_numpy(((mel - mean) / std).T[None])
        with torch.no_grad():
            (content, log_var), voice = content_encoder(x, state), speaker_encoder(x, state)
            other = speaker_encoder(-x, state)
            decoded = (
                decoder(content, other, state)[0] * torch.from_numpy(std)[:, None]
                + torch.from_numpy(mean)[:, None]
            )
        encoded = model.encode(mel)
        assert_close(encoded["content"], content[0])
        assert_close(encoded["embedding"], voice[0])
        out = model({"mel": mel[None]})
        assert_close(keras.ops.convert_to_numpy(out["log_var"])[0], log_var[0])
        # From the same content: over 3 frames a normalisation makes the last digits ten times as
        # large.
        ours = model.decode(content[0].numpy().T, model.encode(2 * mean - mel)["styles"])
        assert ours.shape == (8 * -(-length // 8), len(mean))
        assert_close(ours, decoded)


# AdaIN-VC


def test_an_imported_adainvc_does_what_the_published_one_does(tmp_path):
    state, stats = small(), stats_of(16)
    (tmp_path / "attr.pkl").write_bytes(pickle.dumps(stats))
    run, model = imported(tmp_path, state, stats=tmp_path / "attr.pkl")
    assert_sounds_as_published(model, state, stats["mean"], stats["std"])
    assert run.config["model"] | {"seed": 0} == {
        **configs.configuration("adainvc")["model"],
        "encoder_stages": 3,
        "mels": 16,
        "latents": 3,
        "embedding": 7,
        "bank": 4,
        "width": {"bank": 3, "speaker": 6, "content": 5, "decoder": 4},
        "dense_blocks": 2,
    }


def test_the_published_sizes_are_imported_as_they_are(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", keras.backend.backend())
    state, stats = adainvc_state(**PUBLISHED), stats_of(512)
    path = saved(tmp_path, state)
    (tmp_path / "attr.pkl").write_bytes(pickle.dumps(stats))
    run = tmp_path / "run"
    assert (
        main(
            [
                "import",
                "--model=adainvc",
                f"--checkpoint={path}",
                f"--stats={tmp_path / 'attr.pkl'}",
                f"--run={run}",
            ]
        )
        == 0
    )
    shown = capsys.readouterr().out
    assert "166 tensors" in shown and "9,040,512" in shown and "--stats" not in shown
    assert f"--model=adainvc:official --init={run}" in shown
    made = runs.load(run)
    assert made.spec == audio.SPECS["adainvc"]
    config = configs.configuration("adainvc", "official")
    assert made.config["model"] == config["model"] | {"mels": 512}
    assert made.config["train"] == config["train"] and made.config["variant"] == "official"
    assert_sounds_as_published(kvoice.load(run).model, state, stats["mean"], stats["std"])


def test_a_run_of_published_weights_records_their_origin(tmp_path):
    run, _ = imported(tmp_path, adainvc_state(**TINY))
    file = tmp_path / "published.ckpt"
    assert run.config["imported"] == {
        "file": "published.ckpt",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    assert run.labels == {} and run.config["speakers"] == [] and run.config["data_spec"] == ""
    assert {name: value for name, value in run.state.items() if name != "digests"} == {
        "step": 0,
        "weights": "step-0000000.weights.h5",
        "best": None,
        "backend": keras.backend.backend(),
    }
    assert run.spec == audio.Spec(mels=16)  # WaveGlow's, with the mels of the network
    assert {path.name for path in tmp_path.iterdir()} == {"run", "published.ckpt"}
    model = keras.models.load_model(run.path / "model.keras")
    mel = np.random.default_rng(0).normal(size=(20, 16))
    np.testing.assert_allclose(
        model.encode(mel)["content"], kvoice.load(run.path).model.encode(mel)["content"], atol=1e-6
    )


@pytest.mark.parametrize("zipped", [True, False])
def test_both_of_pytorchs_formats_are_read(tmp_path, zipped):
    state = small()
    found = published.read("adainvc", saved(tmp_path, state, _use_new_zipfile_serialization=zipped))
    assert found.tensors.keys() == state.keys()
    for name, tensor in state.items():
        np.testing.assert_array_equal(found.tensors[name], tensor.numpy())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_point_numbers_become_float32(tmp_path, dtype):
    state = {name: torch.nn.Parameter(tensor.to(dtype)) for name, tensor in small().items()}
    found = published.read("adainvc", saved(tmp_path, state))
    for name, tensor in state.items():
        assert found.tensors[name].dtype == np.float32
        np.testing.assert_array_equal(found.tensors[name], tensor.detach().float().numpy())


def test_80_mels_are_waveglows_unless_another_spec_is_named(tmp_path):
    path = saved(tmp_path, adainvc_state(**SMALL | {"mels": 80}))
    assert published.read("adainvc", path).spec == audio.SPECS["waveglow"]
    assert published.read("adainvc", path, "speechsplit").spec == audio.SPECS["speechsplit"]
    with pytest.raises(KvoiceError, match="--spec=adainvc: has 512 mels, the network in .* 80"):
        published.read("adainvc", path, "adainvc")


def test_more_mels_than_a_spec_can_have_are_refused(tmp_path):
    assert "1000 mels: Spec.mels" in refused(tmp_path, adainvc_state(**SMALL | {"mels": 1000}))


class Silence:
    """Training data: the same noise in every batch."""

    def batch(self, step):
        return {"mel": np.random.default_rng(step).normal(size=(2, 32, 16)).astype("float32")}

    def moments(self):
        raise AssertionError("the imported mean and spread shall stay")


def test_a_training_begins_from_imported_weights_with_their_mean_and_spread(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "feed", loop.generated)
    stats = stats_of(16)
    (tmp_path / "attr.pkl").write_bytes(pickle.dumps(stats))
    run, model = imported(tmp_path, adainvc_state(**TINY), stats=tmp_path / "attr.pkl")
    config = configs.configuration(
        "adainvc",
        "tiny",
        [
            "--config.train.steps=1",
            "--config.train.steps_per_epoch=1",
            "--config.train.rates.vae=0",
            "--config.train.ema=0",
        ],
    )
    asked = {**run.config, "train": config["train"], "init": str(run.path)}
    del asked["imported"]
    tuned = runs.create(tmp_path / "tuned", asked, run.spec, {})
    loop.train(tuned, Silence(), init=str(run.path), verbose=0)
    loaded = kvoice.load(tuned.path).model
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(loaded.bands.mean), stats["mean"])
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(loaded.bands.std), stats["std"])
    mel = np.random.default_rng(0).normal(size=(20, 16))
    for name, value in model.encode(mel).items():  # at a rate of 0 they stay
        np.testing.assert_allclose(loaded.encode(mel)[name], value, atol=1e-6)

    other = runs.create(tmp_path / "other", asked, audio.Spec(mels=16, hop=128), {})
    with pytest.raises(KvoiceError, match="--init=.*another Spec .*hop: 128 here, 256 there"):
        loop.train(other, Silence(), init=str(run.path), verbose=0)


def test_nobody_trains_in_the_run_of_published_weights(tmp_path):
    run, _ = imported(tmp_path, adainvc_state(**TINY))
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    config = {k: v for k, v in run.config.items() if k not in ("format", "versions", "command")}
    with pytest.raises(KvoiceError, match="holds the weights of published.ckpt.*--init="):
        runs.create(run.path, config, run.spec, run.labels)
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


# SpeakerEncoder


@pytest.mark.parametrize("wrapped", [True, False])
def test_an_imported_speakerencoder_does_what_the_published_one_does(tmp_path, wrapped):
    state = resemblyzer_state()
    extra = {"similarity_weight": torch.tensor([7.0]), "similarity_bias": torch.tensor([-3.0])}
    whole = {"step": 9, "model_state": state | extra, "optimizer_state": {"state": {}}}
    run, model = imported(tmp_path, whole if wrapped else state, "speakerencoder")
    mel = torch.rand(2, 6, 5, generator=torch.Generator().manual_seed(3))
    lstm = torch.nn.LSTM(5, 4, 3, batch_first=True)
    lstm.load_state_dict(
        {name[5:]: value for name, value in state.items() if name.startswith("lstm.")}
    )
    with torch.no_grad():
        _, (hidden, _) = lstm(mel)
        raw = F.relu(dense(hidden[-1], state, "linear"))
        expected = raw / torch.norm(raw, dim=1, keepdim=True)
    assert (raw > 0).any(dim=1).all()
    np.testing.assert_allclose(model.embed(mel.numpy()), expected.numpy(), atol=1e-4, rtol=0)
    cosines = [float(keras.ops.convert_to_numpy(each)) for each in (model.scale, model.offset)]
    assert cosines == ([7.0, -3.0] if wrapped else [10.0, -5.0])
    values = run.config["model"]
    assert {
        name: values[name] for name in ("mels", "width", "depth", "embedding", "partial_frames")
    } == {"mels": 5, "width": 4, "depth": 3, "embedding": 6, "partial_frames": 160}


def test_40_mels_are_resemblyzers(tmp_path):
    path = saved(tmp_path, resemblyzer_state(mels=40))
    assert published.read("speakerencoder", path).spec == audio.SPECS["resemblyzer"]


def test_what_a_speakerencoder_lacks_is_named(tmp_path):
    state = resemblyzer_state()
    del state["lstm.bias_hh_l1"]
    assert "missing: lstm.bias_hh_l1)" in refused(tmp_path, state, "speakerencoder")


# Wheels and installed packages


def wheel(place, members, name="Resemblyzer-0.1.4-py3-none-any.whl"):
    path = place / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return path


MEMBER = "resemblyzer/pretrained.pt"


def test_of_a_wheel_the_weights_are_read_and_nothing_else(tmp_path, monkeypatch):
    path = saved(tmp_path, {"model_state": resemblyzer_state()})
    packed = wheel(tmp_path, {"resemblyzer/__init__.py": "0 / 0", MEMBER: path.read_bytes()})
    opened = []
    whole = zipfile.ZipFile.open
    monkeypatch.setattr(
        zipfile.ZipFile, "open", lambda self, name, *a: opened.append(name) or whole(self, name, *a)
    )
    found, same = (published.read("speakerencoder", each) for each in (packed, path))
    assert found.tensors.keys() == same.tensors.keys() and found.sha256 == same.sha256
    for name, tensor in found.tensors.items():
        np.testing.assert_array_equal(tensor, same.tensors[name])
    assert set(opened) == {MEMBER}
    assert {each.name for each in tmp_path.iterdir()} == {path.name, packed.name}


@pytest.mark.parametrize(
    "members, model, message",
    [
        ({"resemblyzer/hparams.py": ""}, "speakerencoder", f"there is no {MEMBER} in it"),
        ({MEMBER: b"nothing"}, "speakerencoder", "no PyTorch file, or a damaged one"),
        ({MEMBER: b""}, "adainvc", "no package is known that brings weights of adainvc"),
    ],
)
def test_a_wheel_without_the_weights_is_refused(tmp_path, members, model, message):
    with pytest.raises(KvoiceError, match=rf"Resemblyzer.*\.whl: .*{message}"):
        published.read(model, wheel(tmp_path, members))


def test_a_wheel_that_is_none_is_refused(tmp_path):
    path = tmp_path / "torn.whl"
    path.write_bytes(wheel(tmp_path, {MEMBER: os.urandom(5000)}).read_bytes()[:3000])
    with pytest.raises(KvoiceError, match="torn.whl: no zip, or a damaged one"):
        published.read("speakerencoder", path)
    with pytest.raises(KvoiceError, match="gone.whl: no such file"):
        published.read("speakerencoder", tmp_path / "gone.whl")


def test_a_member_that_is_damaged_or_far_too_large_is_refused(tmp_path, monkeypatch):
    path = wheel(tmp_path, {MEMBER: b"x" * 5000})
    content = bytearray(path.read_bytes())
    content[60:64] = b"\xff" * 4
    path.write_bytes(content)
    with pytest.raises(KvoiceError, match="no zip, or a damaged one"):
        published.read("speakerencoder", path)
    monkeypatch.setattr(torchfiles, "LARGEST", 4999)
    with pytest.raises(KvoiceError, match="too large for weights"):
        published.read("speakerencoder", wheel(tmp_path, {MEMBER: b"x" * 5000}))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed resemblyzer that fails where it is imported."""
    folder = tmp_path / "site" / "resemblyzer"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('it was imported')")
    saved(folder, {"model_state": resemblyzer_state()}, "pretrained.pt")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return folder


def test_the_installed_package_is_found_without_importing_it(
    tmp_path, package, monkeypatch, capsys
):
    assert exchange.installed("speakerencoder") == package / "pretrained.pt"
    assert exchange.installed("adainvc") is None
    monkeypatch.setenv("KERAS_BACKEND", keras.backend.backend())
    run = tmp_path / "run"
    assert main(["import", "--model=speakerencoder", f"--run={run}"]) == 0
    assert "resemblyzer" not in sys.modules
    (advice,) = [line for line in capsys.readouterr().out.splitlines() if "--init=" in line]
    words = shlex.split(advice)[2:]  # less the name of the command
    own = runs.load(run).spec
    assert {"--config.audio.power=2", "--config.audio.scale=linear"} <= {*words}
    overrides = [word for word in words if word.startswith("--config.")]
    fields = configs.configuration("speakerencoder", "", overrides)["audio"]
    assert not audio.Spec(**fields).differences(own, audio.OF_MEL)
    assert runs.load(run).config["imported"]["file"] == "pretrained.pt"
    (package / "pretrained.pt").unlink()
    assert exchange.installed("speakerencoder") is None


def test_without_file_and_package_the_command_says_how_to_get_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(exchange.importlib.util, "find_spec", lambda name: None)
    assert main(["import", "--model=speakerencoder", f"--run={tmp_path / 'run'}"]) == 2
    line = capsys.readouterr().err
    assert "--checkpoint=FILE is missing" in line and "pip install --no-deps resemblyzer" in line


# Weights that do not fit


def test_a_missing_tensor_is_named(tmp_path):
    line = refused(tmp_path, small(decoder__in_conv_layer__bias=None))
    assert "(missing: decoder.in_conv_layer.bias);" in line and "vctk_model.ckpt" in line


@pytest.mark.parametrize(
    "name",
    [
        "speaker_encoder.conv_bank.1.weight",
        "decoder.first_conv_layers.0.weight",
        "content_encoder.mean_layer.weight",
        "decoder.second_conv_layers.5.bias",
    ],
)
def test_a_size_is_known_without_the_tensor_that_is_missing(tmp_path, name):
    assert f"(missing: {name});" in refused(tmp_path, small(**{name: None}))


def test_a_surplus_tensor_is_named(tmp_path):
    line = refused(tmp_path, small(postnet__weight=torch.zeros(3)))
    assert "(surplus: postnet.weight);" in line


@pytest.mark.parametrize(
    "name", ["speaker_encoder.conv_bank.0.weight", "decoder.in_conv_layer.weight"]
)
def test_a_tensor_of_another_shape_is_named_with_both(tmp_path, name):
    shape = tuple(small()[name].shape)
    other = (shape[0] + 1, *shape[1:])
    line = refused(tmp_path, small(**{name: torch.zeros(other)}))
    assert f"(of another shape: {name} {other} instead of {shape});" in line


def test_missing_and_surplus_are_named_together_and_shortened(tmp_path):
    state = {f"net.{name}": value for name, value in small().items()}
    line = refused(tmp_path, state)
    assert "missing: speaker_encoder.conv_bank.0.weight, " in line
    assert "surplus: net.speaker_encoder.conv_bank.0.weight, " in line
    assert f"and {len(state) - 5} more)" in line and len(line) < 800


@pytest.mark.parametrize("prefix", ["module.", "module.1.", "module.module.1."])
def test_what_is_before_all_names_of_modules_on_several_devices_is_left_out(tmp_path, prefix):
    state = {f"{prefix}{name}": value for name, value in resemblyzer_state().items()}
    found = published.read("speakerencoder", saved(tmp_path, state)).tensors
    assert list(found) == list(resemblyzer_state())
    state["module_of_another.bias"] = torch.zeros(3)  # then it is none
    found = published.read("speakerencoder", saved(tmp_path, state)).tensors
    assert list(found) == list(state)


@pytest.mark.parametrize("wrapped", ["", "model", "state_dict", "model_state"])
@pytest.mark.parametrize("whole", [True, False])
def test_weights_are_found_in_modules_and_beside_other_things(tmp_path, wrapped, whole):
    module = torch.nn.Module()
    module.lstm = torch.nn.LSTM(5, 4, 3)
    module.linear = torch.nn.Linear(4, 6)
    content = torch.nn.DataParallel(module) if whole else module.state_dict()
    content = {"epoch": 3, wrapped: content, "optimizer": {"state": {}}} if wrapped else content
    found = published.read("speakerencoder", saved(tmp_path, content)).tensors
    assert list(found) == list(module.state_dict())
    for name, tensor in module.state_dict().items():
        np.testing.assert_array_equal(found[name], tensor.numpy())


def test_a_damaged_module_is_named(tmp_path):
    module = torch.nn.Linear(2, 2)
    module.add_module("me", module)
    assert "modules in modules without end" in refused(tmp_path, module)


def test_upsampling_elsewhere_is_of_another_shape(tmp_path):
    state = small()
    for field in ("weight", "bias"):
        one, two = (f"decoder.second_conv_layers.{i}.{field}" for i in (0, 1))
        state[one], state[two] = state[two], state[one]
    line = refused(tmp_path, state)
    assert "decoder.second_conv_layers.0.weight (4, 4, 5) instead of (8, 4, 5)" in line
    assert "decoder.second_conv_layers.1.weight (8, 4, 5) instead of (4, 4, 5)" in line


def test_a_size_that_the_model_refuses_is_named(tmp_path):
    state = {
        name: value[:, :, :4]
        if name.split(".")[1] in ("first_conv_layers", "second_conv_layers") and value.ndim == 3
        else value
        for name, value in small().items()
    }
    assert "kernel: 4 must be odd" in refused(tmp_path, state)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    bias = torch.tensor([1.0, value, 2.0], dtype=torch.float64)
    assert "content_encoder.mean_layer.bias holds numbers that are not finite" in refused(
        tmp_path, small(content_encoder__mean_layer__bias=bias)
    )


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.zeros(3, dtype=torch.int64), "content_encoder.mean_layer.bias is of type int64"),
        (
            torch.zeros(3, dtype=torch.complex64),
            "content_encoder.mean_layer.bias is of type complex64",
        ),
        (torch.zeros(3).to_sparse(), "holds a sparse tensor"),
        (torch.empty(3, device="meta"), "holds a tensor without values"),
    ],
)
def test_tensors_that_are_no_plain_numbers_are_refused(tmp_path, tensor, words):
    assert words in refused(tmp_path, small(content_encoder__mean_layer__bias=tensor))


# Files that are something else


class Evil:
    """What unpickles by running a command."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place / MARKER),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_run_something_is_refused_unrun(tmp_path, zipped):
    content = small() | {"decoder.in_conv_layer.bias": Evil(tmp_path)}
    line = refused(tmp_path, content, _use_new_zipfile_serialization=zipped)
    assert "asks for posix.mkdir" in line and not (tmp_path / MARKER).exists()
    torch.load(tmp_path / "published.ckpt", weights_only=False)
    assert (tmp_path / MARKER).exists()  # it does run where it is let


class Net(torch.nn.Module):
    """Somebody's own."""


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")  # of the class in this file
@pytest.mark.parametrize("zipped", [True, False])
def test_a_whole_module_of_an_unknown_class_is_refused_with_the_way_out(
    tmp_path, monkeypatch, zipped
):
    monkeypatch.setitem(sys.modules, "somebodys", types.SimpleNamespace(Net=Net))
    monkeypatch.setattr(Net, "__module__", "somebodys")
    line = refused(tmp_path, Net(), _use_new_zipfile_serialization=zipped)
    assert "asks for somebodys.Net" in line and "module.state_dict()" in line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([torch.zeros(3)], "a list"),
        (torch.zeros(3), "a tensor"),
        ({}, "a dict of nothing"),
        ({"epoch": 3, "model": {}}, "a dict of epoch, model"),
        ({"a": torch.zeros(2), "b": 1}, "a dict of a, b"),
        (
            torch.optim.Adam([torch.nn.Parameter(torch.zeros(3))]).state_dict(),
            "the state of an optimizer",
        ),
    ],
)
def test_what_is_no_state_dict_is_named(tmp_path, content, words):
    assert f"holds {words}, expected a state dict" in refused(tmp_path, content)


def test_a_torchscript_archive_is_named(tmp_path):
    path = tmp_path / "published.ckpt"
    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(str(path))
    with pytest.raises(KvoiceError, match="published.ckpt: is a TorchScript archive"):
        published.read("adainvc", path)


def test_what_is_no_pytorch_file_is_named(tmp_path):
    path = saved(tmp_path, small())
    whole = path.read_bytes()
    for content in (b"", b"not weights\n" * 50, whole[: len(whole) // 2], pickle.dumps({"a": 1})):
        path.write_bytes(content)
        with pytest.raises(KvoiceError, match="published.ckpt: no PyTorch file, or a damaged one"):
            published.read("adainvc", path)
    with pytest.raises(KvoiceError, match="gone.ckpt: no such file"):
        published.read("adainvc", tmp_path / "gone.ckpt")
    with pytest.raises(KvoiceError, match="is a folder"):
        published.read("adainvc", tmp_path)


# The mean and the spread


@pytest.fixture
def attr(tmp_path):
    """Writes a file of statistics and reads it, for 4 mels."""

    def read(content, **how):
        path = tmp_path / "attr.pkl"
        path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, **how))
        return published.moments(path, 4)

    return read


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["float32", ">f8", "float16"])
def test_statistics_are_read_in_every_protocol(attr, protocol, dtype):
    wanted = {name: value.astype(dtype) for name, value in stats_of(4).items()}
    mean, std = attr(wanted, protocol=protocol)
    assert mean.dtype == std.dtype == np.float32
    np.testing.assert_array_equal(mean, wanted["mean"].astype("float32"))
    np.testing.assert_array_equal(std, wanted["std"].astype("float32"))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_statistics_of_numpy_1_and_2_are_read(attr, protocol):
    """The same pickle under the paths of the other NumPy."""
    wanted = stats_of(4)
    written = pickle.dumps(wanted, protocol=protocol)
    one, two = b"numpy.core.", b"numpy._core."
    here, there = (two, one) if two in written else (one, two)
    if protocol == 2:  # ends of lines
        other = written.replace(here, there)
    else:  # a length before each text, and frames with theirs
        other = (
            pickle.PROTO
            + bytes([protocol])
            + _unframed(written)
            .replace(_short(here + b"multiarray"), _short(there + b"multiarray"))
            .replace(_short(here + b"numeric"), _short(there + b"numeric"))
        )
    assert there in other and here not in other
    np.testing.assert_array_equal(attr(other), [wanted["mean"], wanted["std"]])


def _short(text):
    return pickle.SHORT_BINUNICODE + bytes([len(text)]) + text


def _unframed(written):
    assert written[2:3] == pickle.FRAME
    return written[11:]


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_statistics_that_would_run_something_are_refused_unrun(attr, tmp_path, protocol):
    content = pickle.dumps(stats_of(4) | {"std": Evil(tmp_path)}, protocol=protocol)
    with pytest.raises(KvoiceError, match="attr.pkl: asks for posix.mkdir"):
        attr(content)
    assert not (tmp_path / MARKER).exists()
    pickle.loads(content)
    assert (tmp_path / MARKER).exists()


@pytest.mark.parametrize(
    "hidden",
    [
        np.array([1, "text"], dtype=object),
        np.zeros(4).view(np.recarray),
        np.datetime64("2019"),
        len,
        np.load,
    ],
)
def test_other_objects_are_refused(attr, hidden):
    with pytest.raises(KvoiceError, match="attr.pkl: "):
        attr(stats_of(4) | {"mean": hidden})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mean": np.zeros(5)}, r"mean has the shape \(5,\), expected \(4,\)"),
        ({"std": np.ones((4, 1))}, r"std has the shape \(4, 1\), expected \(4,\)"),
        ({"std": np.float32(1)}, r"std has the shape \(\)"),
        ({"std": np.array([1, 1, 0, 1.0])}, "std must be above 0, that of band 2 is 0"),
        ({"std": np.array([1, -2, 0, 1.0])}, "std must be above 0, that of band 1 is -2"),
        ({"std": np.array([1, 1, np.nan, 1])}, "std holds numbers that are not finite"),
        ({"mean": np.full(4, -np.inf)}, "mean holds numbers that are not finite"),
        ({"mean": np.arange(4)}, "mean is of type i8, expected floating-point"),
        ({"mean": [0.0] * 4}, "mean is a list, expected an array of 4"),
        ({"var": np.zeros(4)}, "holds mean, std, var, expected the arrays mean and std"),
    ],
)
def test_wrong_statistics_are_named(attr, change, words):
    with pytest.raises(KvoiceError, match=f"attr.pkl: {words}"):
        attr(stats_of(4) | change)


def test_files_that_hold_no_statistics_are_named(attr, tmp_path):
    whole = pickle.dumps(stats_of(4))
    for content in (b"", b"text", whole[:-20], whole.replace(b"\x94h", b"\x94\x00", 1)):
        with pytest.raises(KvoiceError, match="attr.pkl: "):
            attr(content)
    with pytest.raises(KvoiceError, match="attr.pkl: holds a list, expected a dict"):
        attr([stats_of(4)])
    with pytest.raises(KvoiceError, match="gone.pkl: no such file"):
        published.moments(tmp_path / "gone.pkl", 4)


def test_wrong_statistics_leave_no_run(tmp_path):
    (tmp_path / "attr.pkl").write_bytes(pickle.dumps(stats_of(15)))
    with pytest.raises(KvoiceError, match=r"attr.pkl: mean has the shape \(15,\)"):
        imported(tmp_path, small(), stats=tmp_path / "attr.pkl")
    assert not (tmp_path / "run").exists()
    with pytest.raises(KvoiceError, match="--stats=.*speakerencoder want mels as they are"):
        imported(tmp_path, resemblyzer_state(), "speakerencoder", stats=tmp_path / "attr.pkl")
    assert not (tmp_path / "run").exists()


# The folder and the command


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("all of it")
    with pytest.raises(KvoiceError, match="is there already.*choose another --run"):
        imported(tmp_path, adainvc_state(**TINY))
    assert (tmp_path / "run" / "thesis.txt").read_text() == "all of it"
    (tmp_path / "run" / "thesis.txt").unlink()
    imported(tmp_path, adainvc_state(**TINY))  # an empty one is fine


def test_a_run_that_cannot_be_finished_leaves_nothing(tmp_path, monkeypatch):
    def full(run):
        raise OSError(28, os.strerror(28), str(run.path))

    monkeypatch.setattr(loop, "save", full)
    with pytest.raises(OSError, match="No space"):
        imported(tmp_path, adainvc_state(**TINY))
    assert {path.name for path in tmp_path.iterdir()} == {"published.ckpt"}


def test_the_command_prints_its_results_and_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", keras.backend.backend())
    state = adainvc_state(**TINY)
    path, run = saved(tmp_path, state), tmp_path / "run"
    words = ["import", "--model=adainvc", f"--checkpoint={path}", f"--run={run}"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert (
        f"{len(state)} tensors" in shown and "16 of 22050 Hz" in shown and "--stats=FILE" in shown
    )
    assert main(words) == 1
    assert "is there already" in capsys.readouterr().err
    for missing in ("model", "checkpoint", "run"):
        assert main([word for word in words if f"--{missing}=" not in word]) == 2
        assert f"--{missing}=" in capsys.readouterr().err
    assert main([*words, "--model=adainvx"]) == 2
    assert 'did you mean "adainvc"?' in capsys.readouterr().err


def test_the_models_that_the_command_takes_are_those_that_are_known():
    assert set(exchange.PUBLISHED) == set(published.NETWORKS) <= set(loop.MODELS)
