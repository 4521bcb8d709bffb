"""Seconds for a training step of adainvc, and for a conversion, by backend, in one run.

    python benchmarks/adainvc.py                        # the default variant, what is installed
    python benchmarks/adainvc.py --variant=official     # on a GPU

Batches are noise, so that no corpus is needed. Each backend runs in a process of its own, and all
take turns for several rounds, so that a slow minute of the machine does not fall on one of them.
"plain torch" is the same network, loss, clipping and optimizer written with torch's own layers: the
ratios are its times divided by each row's, above 1 where kvoice is faster. A conversion is a source
of ten seconds and a target of five, mel to mel, each time of another length; `times_real_time` is
seconds of source for each second. With --vocoder Griffin-Lim is timed as well, which is the same on
all.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time

import measure
import numpy as np

ROWS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch", "plain torch": "torch"}
SOURCE_S, TARGET_S, CONVERSIONS = 10, 5, 8


def plain_torch(mels, group):
    """The network, written with torch's layers alone: returns modules (speaker, content,
    decoder).
    """
    import torch
    from torch import nn
    from torch.nn import functional as F

    width, kernel, stages = group["width"], group["kernel"], group["encoder_stages"]

    def padded(x, conv):
        (k,) = conv.kernel_size
        return conv(F.pad(x, (k // 2, (k - 1) // 2), mode="reflect")) if k > 1 else conv(x)

    class Bank(nn.Module):
        def __init__(self, hidden):
            super().__init__()
            self.bank = nn.ModuleList(
                nn.Conv1d(mels, width["bank"], k + 1) for k in range(group["bank"])
            )
            self.entry = nn.Conv1d(group["bank"] * width["bank"] + mels, hidden, 1)

        def forward(self, x):
            return self.entry(torch.cat([F.relu(padded(x, conv)) for conv in self.bank] + [x], 1))

    class Encoder(nn.Module):
        def __init__(self, hidden, norm):
            super().__init__()
            self.bank, self.norm = (
                Bank(hidden),
                nn.InstanceNorm1d(hidden) if norm else nn.Identity(),
            )
            self.first = nn.ModuleList(nn.Conv1d(hidden, hidden, kernel) for _ in range(2 * stages))
            self.second = nn.ModuleList(
                nn.Conv1d(hidden, hidden, kernel, 1 + i % 2) for i in range(2 * stages)
            )

        def forward(self, x):
            x = F.relu(self.norm(self.bank(x)))
            for i, (first, second) in enumerate(zip(self.first, self.second)):
                y = F.relu(self.norm(padded(F.relu(self.norm(padded(x, first))), second)))
                x = y + (F.avg_pool1d(x, 2, ceil_mode=True) if i % 2 else x)
            return x

    class Speaker(nn.Module):
        def __init__(self):
            super().__init__()
            hidden = width["speaker"]
            self.encoder = Encoder(hidden, False)
            self.dense = nn.ModuleList(
                nn.Linear(hidden, hidden) for _ in range(2 * group["dense_blocks"])
            )
            self.output = nn.Linear(hidden, group["embedding"])

        def forward(self, x):
            x = self.encoder(x).mean(2)
            for first, second in zip(self.dense[::2], self.dense[1::2]):
                x = x + F.relu(second(F.relu(first(x))))
            return self.output(x)

    class Content(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = Encoder(width["content"], group["content_norm"])
            self.mean, self.log_var = (
                nn.Conv1d(width["content"], group["latents"], 1) for _ in range(2)
            )

        def forward(self, x):
            x = self.encoder(x)
            return self.mean(x), self.log_var(x)

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            hidden, blocks = width["decoder"], 2 * group["decoder_stages"]
            self.up = [2 if i % 2 == 0 and i < 2 * stages else 1 for i in range(blocks)]
            self.entry, self.norm = (
                nn.Conv1d(group["latents"], hidden, 1),
                nn.InstanceNorm1d(hidden),
            )
            self.first = nn.ModuleList(nn.Conv1d(hidden, hidden, kernel) for _ in range(blocks))
            self.second = nn.ModuleList(nn.Conv1d(hidden, up * hidden, kernel) for up in self.up)
            self.affine = nn.ModuleList(
                nn.Linear(group["embedding"], 2 * hidden) for _ in range(2 * blocks)
            )
            self.exit = nn.Conv1d(hidden, mels, 1)

        def styled(self, x, affine, voice):
            mean, std = affine(voice)[..., None].chunk(2, 1)
            return F.relu(self.norm(x) * std + mean)

        def forward(self, x, voice):
            x = F.relu(self.norm(self.entry(x)))
            for i, (first, second, up) in enumerate(zip(self.first, self.second, self.up)):
                y = padded(self.styled(padded(x, first), self.affine[2 * i], voice), second)
                if up > 1:
                    batch, channels, frames = y.shape
                    y = (
                        y.view(batch, channels // up, up, frames)
                        .transpose(2, 3)
                        .reshape(batch, channels // up, frames * up)
                    )
                    x = F.interpolate(x, scale_factor=up, mode="nearest")
                x = self.styled(y, self.affine[2 * i + 1], voice) + x
            return self.exit(x)

    return Speaker(), Content(), Decoder()


def by_plain_torch(mels, config, parameters):
    """(step(batch) -> loss, convert(source, target) -> mel) of the network in torch alone."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    group, values = config["model"], config["train"]
    modules = [module.to(device) for module in plain_torch(mels, group)]
    speaker, content, decoder = modules
    weights = [w for module in modules for w in module.parameters()]
    assert sum(w.numel() for w in weights) == parameters
    adam = torch.optim.Adam(
        weights, values["rates"]["vae"], amsgrad=True, weight_decay=values["weight_decay"]
    )

    def tensor(mel):
        return torch.as_tensor(mel, device=device).transpose(1, 2).contiguous()

    def step(batch):
        mel = tensor(batch["mel"])
        mean, log_var = content(mel)
        code = mean + (log_var / 2).exp() * torch.randn_like(mean)
        error = (decoder(code, speaker(mel))[..., : mel.shape[2]] - mel).abs().mean()
        kl = 0.5 * (log_var.exp() + mean.square() - 1 - log_var).mean()
        loss = group["reconstruction_weight"] * error + kl
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, values["clip_norm"])
        adam.step()
        return float(loss)

    @torch.no_grad()
    def convert(source, target):
        code = content(tensor(source[None]))[0]
        return decoder(code, speaker(tensor(target[None]))).transpose(1, 2)[0].cpu().numpy()

    return step, convert


def by_kvoice(model, config):
    """(step, convert) of kvoice's model, on the backend of this process."""
    import keras

    from kvoice.steps import OptimizerGroup

    values = config["train"]
    adam = keras.optimizers.Adam(values["rates"]["vae"], amsgrad=True, epsilon=1e-8)
    group = OptimizerGroup({"vae": adam}, values["weight_decay"], values["clip_norm"])
    model.compile(group, jit_compile=keras.backend.backend() == "jax")

    def step(batch):
        return float(model.train_on_batch(batch)[0])

    def convert(source, target):
        return model.decode(model.encode(source)["content"], model.encode(target)["styles"])

    return step, convert


def timed(row, variant, steps):
    """Prints the seconds of this row as one line of JSON."""
    import keras

    from kvoice import audio
    from kvoice.cli import configs
    from kvoice.models import AdaINVC

    config = configs.configuration("adainvc", variant)
    # As published; plain PyTorch shifts no mels.
    config["model"] |= {"encoder_stages": 3, "vtlp": 0.0}
    spec = audio.Spec(**config["audio"])
    keras.utils.set_random_seed(0)
    model = AdaINVC(mels=spec.mels, **config["model"])
    parameters = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    step, convert = (
        by_plain_torch(spec.mels, config, parameters)
        if row == "plain torch"
        else by_kvoice(model, config)
    )
    rng = np.random.default_rng(0)
    shape = (config["data"]["batch"], config["data"]["crop_frames"], spec.mels)
    batch = {"mel": rng.normal(size=shape).astype("float32")}
    found = measure.seconds(lambda: step(batch), steps)
    frames = [round(seconds * spec.sample_rate_hz / spec.hop) for seconds in (SOURCE_S, TARGET_S)]

    def converted(shift):
        source, target = (
            rng.normal(size=(count - 3 * shift, spec.mels)).astype("float32") for count in frames
        )
        start = time.perf_counter()
        convert(source, target)
        return time.perf_counter() - start

    converted(0), converted(1), converted(2)
    times = [converted(3 + k) for k in range(CONVERSIONS)]
    print(json.dumps({"step_s": found["median_s"], "conversion_s": statistics.median(times)}))


def vocoder_s():
    """Seconds of Griffin-Lim for the source of a conversion."""
    from kvoice import audio

    spec = audio.SPECS["waveglow"]
    wave = np.random.default_rng(0).normal(0, 0.1, SOURCE_S * spec.sample_rate_hz).astype("float32")
    mel = audio.mel(wave, spec)
    return measure.seconds(lambda: audio.griffin_lim(mel, spec), 2)["median_s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", default="")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--vocoder", action="store_true")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        return timed(options.row, options.variant, options.steps)
    rows = [row for row, backend in ROWS.items() if importlib.util.find_spec(backend)]
    found = {row: [] for row in rows}
    for _ in range(options.rounds):
        for row in rows:
            done = subprocess.run(
                [
                    sys.executable,
                    __file__,
                    f"--row={row}",
                    f"--variant={options.variant}",
                    f"--steps={options.steps}",
                ],
                stdout=subprocess.PIPE,
                check=True,
                text=True,
                env=os.environ | {"KERAS_BACKEND": ROWS[row]},
            )
            found[row].append(json.loads(done.stdout.splitlines()[-1]))
    table = {
        row: {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
        for row, rounds in found.items()
    }
    for row in table.values():
        row["times_real_time"] = SOURCE_S / row["conversion_s"]
        if "plain torch" in table:
            for name in ("step", "conversion"):
                row[f"{name}_against_plain_torch"] = (
                    table["plain torch"][f"{name}_s"] / row[f"{name}_s"]
                )
    result = {"variant": options.variant or "default", "rounds": options.rounds, "rows": table}
    if options.vocoder:
        result["griffin_lim_times_real_time"] = SOURCE_S / vocoder_s()
    measure.write(f"adainvc_{options.variant or 'default'}", result)


if __name__ == "__main__":
    main()
