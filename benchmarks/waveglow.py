"""Time and memory of a training step of waveglow, and the speed of synthesis, by backend.

    python benchmarks/waveglow.py                          # the default variant, what is installed
    python benchmarks/waveglow.py --variant=256 --peak_tflops=N    # on a GPU; N is that of its data
    sheet

Batches are noise, so that no corpus is needed. Each row runs in a process of its own, and all take
turns for several rounds, so that a slow minute of the machine does not fall on one of them. "plain
torch" is the same network, loss, clipping and optimizer written with torch's own layers, weight
norm included; for synthesis its weight norm is removed and its matrices are inverted once, as
NVIDIA's code does. The ratios are its times divided by each row's, above 1 where kvoice is faster.
Synthesis is of one mel of `--seconds`, sigma 1, after a first one of the same length;
`times_real_time` and `khz` are of that. `memory_mb` is the peak of the process over its training
steps, above what it had before the model was made (on a GPU it says nothing of the device).
Published, on a V100 in float16: 520 kHz with 512 channels, 1200 kHz with 256.
"""

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time

import measure
import numpy as np

ROWS = {  # backend, precision
    "tensorflow": ("tensorflow", "float32"),
    "tensorflow, mixed bfloat16": ("tensorflow", "mixed_bfloat16"),
    "jax": ("jax", "float32"),
    "jax, mixed bfloat16": ("jax", "mixed_bfloat16"),
    "torch": ("torch", "float32"),
    "torch, mixed bfloat16": ("torch", "mixed_bfloat16"),
    "plain torch": ("torch", "float32"),
}


def plain_torch(mels, hop, bins, group):
    """The network, written with torch's layers alone: a module with `forward` and `infer`.

    Its prewhitening has the right sizes and sums, not the right numbers: it is here for the time it
        takes.
    """
    import torch
    from torch import nn
    from torch.nn.utils import weight_norm

    size, width, depth = group["group"], group["width"], group["depth"]
    whole = group["upsample_to"] == "samples"
    rate, conditions = (hop, mels * size) if whole else (hop // size, mels)

    class Prewhitening(nn.Module):
        def __init__(self):
            super().__init__()
            steps = torch.arange(2 * hop) + 0.5
            self.register_buffer(
                "cosines", (torch.pi / 2 / hop * torch.outer(steps, steps)).cos() / hop**0.5
            )
            self.register_buffer("turns", torch.rand(hop))
            self.register_buffer("spread", torch.rand(mels, bins) / mels)
            self.register_buffer("energies", torch.rand(bins, 2 * hop) / bins)

        def sizes(self, mel):
            return (
                (mel[..., 1::2].transpose(1, 2) @ self.spread).exp() @ self.energies + 1e-9
            ).log() / 2

        def laid(self, blocks, sign):
            blocks = blocks.clone()
            before, after = blocks[:, :-1, hop:].flip(-1), blocks[:, 1:, :hop].clone()
            own, other = self.turns.cos(), sign * self.turns.sin()
            blocks[:, 1:, :hop] = own * after + other * before
            blocks[:, :-1, hop:] = (own * before - other * after).flip(-1)
            return blocks

        def forward(self, wave, sizes):
            scaled = self.laid(wave.view(sizes.shape), 1) @ self.cosines * sizes.exp()
            return self.laid(scaled @ self.cosines, -1).flatten(1)

    class Coupling(nn.Module):
        def __init__(self, half):
            super().__init__()
            self.start = weight_norm(nn.Conv1d(half, width, 1))
            self.cond = weight_norm(nn.Conv1d(conditions, 2 * width * depth, 1))
            self.reach = nn.ModuleList(
                weight_norm(
                    nn.Conv1d(
                        width,
                        2 * width,
                        group["kernel"],
                        dilation=2**i,
                        padding=group["kernel"] // 2 * 2**i,
                    )
                )
                for i in range(depth)
            )
            self.skip = nn.ModuleList(
                weight_norm(nn.Conv1d(width, width * (2 if i < depth - 1 else 1), 1))
                for i in range(depth)
            )
            self.end = nn.Conv1d(width, 2 * half, 1)
            nn.init.zeros_(self.end.weight)
            nn.init.zeros_(self.end.bias)

        def forward(self, x, conditions):
            x, conditions, total = self.start(x), self.cond(conditions), 0
            for i, (reach, skip) in enumerate(zip(self.reach, self.skip)):
                values, gates = (
                    reach(x) + conditions[:, 2 * width * i : 2 * width * (i + 1)]
                ).chunk(2, 1)
                out = skip(values.tanh() * gates.sigmoid())
                if i < depth - 1:
                    x, out = x + out[:, :width], out[:, width:]
                total = total + out
            return self.end(total).chunk(2, 1)

    class Flow(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose1d(mels, mels, 4 * rate, rate)
            self.prewhitening = Prewhitening() if group["prewhiten"] else None
            self.channels = [
                size - group["early_size"] * (k // group["early_every"])
                for k in range(group["flows"])
            ]
            self.mixing = nn.ParameterList(
                torch.linalg.qr(torch.randn(c, c))[0] for c in self.channels
            )
            self.coupling = nn.ModuleList(Coupling(c // 2) for c in self.channels)

        def conditions(self, mel):
            up = self.up(mel)[..., : mel.shape[2] * rate]
            return up.unfold(2, size, size).permute(0, 1, 3, 2).flatten(1, 2) if whole else up

        def forward(self, wave, mel):
            conditions, left, scales, mixed = self.conditions(mel), [], 0.0, 0.0
            if self.prewhitening:
                sizes = -self.prewhitening.sizes(mel)
                wave, scales = self.prewhitening(wave, sizes), sizes.sum()
            x = wave.unfold(1, size, size).transpose(1, 2)
            for k, (matrix, coupling) in enumerate(zip(self.mixing, self.coupling)):
                if k and k % group["early_every"] == 0:
                    left.append(x[:, : group["early_size"]])
                    x = x[:, group["early_size"] :]
                x = torch.nn.functional.conv1d(x, matrix[..., None])
                mixed = mixed + torch.linalg.slogdet(matrix)[1]
                one, other = x.chunk(2, 1)
                offset, scale = coupling(one, conditions)
                x = torch.cat([one, other * scale.exp() + offset], 1)
                scales = scales + scale.sum()
            z = torch.cat([*left, x], 1)
            return (z.square().sum() / 2 - scales) / z.numel() - mixed / size

        def ready(self):
            for module in self.modules():
                if hasattr(module, "weight_g"):
                    nn.utils.remove_weight_norm(module)
            self.unmixing = [torch.linalg.inv(matrix)[..., None] for matrix in self.mixing]

        def infer(self, mel):
            conditions = self.conditions(mel)
            shape = len(mel), conditions.shape[2]
            x = torch.randn(shape[0], self.channels[-1], shape[1], device=mel.device)
            for k in reversed(range(len(self.channels))):
                one, other = x.chunk(2, 1)
                offset, scale = self.coupling[k](one, conditions)
                x = torch.cat([one, (other - offset) / scale.exp()], 1)
                x = torch.nn.functional.conv1d(x, self.unmixing[k])
                if k and k % group["early_every"] == 0:
                    early = torch.randn(shape[0], group["early_size"], shape[1], device=mel.device)
                    x = torch.cat([early, x], 1)
            wave = x.transpose(1, 2).flatten(1)
            return (
                self.prewhitening(wave, self.prewhitening.sizes(mel)) if self.prewhitening else wave
            )

    return Flow()


def by_plain_torch(spec, config, parameters):
    """(step(batch) -> loss, ready(), infer(mel) -> wave) of the network in torch alone."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    flow = plain_torch(spec.mels, spec.hop, 1 + spec.fft // 2, config["model"]).to(device)
    assert sum(weight.numel() for weight in flow.parameters()) == parameters
    adam = torch.optim.Adam(flow.parameters(), config["train"]["rates"]["flow"])

    def mel_of(mel):
        return torch.as_tensor(mel, device=device).transpose(1, 2).contiguous()

    def step(batch):
        loss = flow(torch.as_tensor(batch["wave"], device=device), mel_of(batch["mel"]))
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), config["train"]["clip_norm"])
        adam.step()
        return float(loss)

    @torch.no_grad()
    def infer(mel):
        return flow.infer(mel_of(mel[None])).cpu().numpy()

    return step, flow.ready, infer


def by_kvoice(model, config):
    """(step, ready, infer) of kvoice's model, on the backend of this process."""
    import keras

    from kvoice.steps import OptimizerGroup

    values = config["train"]
    adam = keras.optimizers.Adam(
        values["rates"]["flow"], global_clipnorm=values["clip_norm"] or None
    )
    model.compile(OptimizerGroup({"flow": adam}), jit_compile=keras.backend.backend() == "jax")
    return (
        lambda batch: float(model.train_on_batch(batch)[0]),
        lambda: None,
        lambda mel: model.infer(mel, sigma=1.0, frames=len(mel)),
    )


def timed(options):
    """Prints the seconds of this row as one line of JSON."""
    import keras

    from kvoice import audio
    from kvoice.cli import configs
    from kvoice.models import WaveGlow

    config = configs.configuration("waveglow", options.variant)
    if options.batch:
        config["data"]["batch"] = options.batch
    spec = audio.Spec(**config["audio"])
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(ROWS[options.row][1])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = WaveGlow(mels=spec.mels, hop=spec.hop, bands=audio.band_powers(spec), **config["model"])
    parameters = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    step, ready, infer = (
        by_plain_torch(spec, config, parameters)
        if options.row == "plain torch"
        else by_kvoice(model, config)
    )
    rng = np.random.default_rng(0)
    size, frames = config["data"]["batch"], config["data"]["crop_frames"]
    batch = {
        "mel": rng.normal(-4, 2, (size, frames, spec.mels)).astype("float32"),
        "wave": rng.normal(0, 0.1, (size, frames * spec.hop)).astype("float32"),
    }
    begun = time.perf_counter()
    step(batch)
    first_s = time.perf_counter() - begun
    found = measure.seconds(lambda: step(batch), options.steps)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    ready()
    mel = rng.normal(
        -4, 2, (2 * round(options.seconds * spec.sample_rate_hz / spec.hop / 2), spec.mels)
    )
    mel = mel.astype("float32")
    synthesis = measure.seconds(lambda: infer(mel), 3)
    print(
        json.dumps(
            {
                "step_s": found["median_s"],
                "first_step_s": first_s,
                "memory_mb": memory,
                "synthesis_s": synthesis["median_s"],
                "samples": len(mel) * spec.hop,
                "rate_hz": spec.sample_rate_hz,
                "operations": operations(spec, config),
            }
        )
    )


def operations(spec, config):
    """Multiplications and additions of a training step, forwards and backwards."""
    group, data = config["model"], config["data"]
    size, width, depth = group["group"], group["width"], group["depth"]
    whole = group["upsample_to"] == "samples"
    conditions = spec.mels * (size if whole else 1)
    each = (
        depth * (width * 2 * width * (group["kernel"] + 1) + conditions * 2 * width) - width * width
    )
    flows = sum(
        each + width * c * 3 // 2 + c * c
        for c in (
            size - group["early_size"] * (k // group["early_every"]) for k in range(group["flows"])
        )
    )
    up = 4 * spec.mels * spec.mels * (size if whole else 1)
    return 2 * 3 * (flows + up) * data["batch"] * data["crop_frames"] * spec.hop / size


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", default="")
    parser.add_argument("--batch", type=int, default=0, help="items of a step; 0 = the variant's")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0, help="of sound that is synthesised")
    parser.add_argument("--rows", default="", help="only these, with ; between them")
    parser.add_argument("--peak_tflops", type=float, default=0.0)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        return timed(options)
    rows = [row for row, (backend, _) in ROWS.items() if importlib.util.find_spec(backend)]
    rows = [row for row in rows if not options.rows or row in options.rows.split(";")]
    found = {row: [] for row in rows}
    for _ in range(options.rounds):
        for row in rows:
            done = subprocess.run(
                [sys.executable, __file__, f"--row={row}", *sys.argv[1:]],
                stdout=subprocess.PIPE,
                check=True,
                text=True,
                env=os.environ | {"KERAS_BACKEND": ROWS[row][0]},
            )
            found[row].append(json.loads(done.stdout.splitlines()[-1]))
    table = {
        row: {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
        for row, rounds in found.items()
    }
    for row in table.values():
        speed = row["samples"] / row["synthesis_s"]
        row |= {"khz": speed / 1000, "times_real_time": speed / row["rate_hz"]}
        if options.peak_tflops:
            row["share_of_peak"] = row["operations"] / row["step_s"] / (options.peak_tflops * 1e12)
        if "plain torch" in table:
            for name in ("step", "synthesis"):
                row[f"{name}_against_plain_torch"] = (
                    table["plain torch"][f"{name}_s"] / row[f"{name}_s"]
                )
    measure.write(
        f"waveglow_{options.variant or 'default'}",
        {"variant": options.variant or "default", "rounds": options.rounds, "rows": table},
    )


if __name__ == "__main__":
    main()
