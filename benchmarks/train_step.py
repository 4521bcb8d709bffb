"""Seconds for a training step of voicegan, by backend and precision, in one run.

    python benchmarks/train_step.py                        # the default variant, what is installed
    python benchmarks/train_step.py --variant=paper --peak_tflops=989   # on a GPU

Batches are synthetic, so that no corpus and no TensorFlow are needed. Each setting runs in a
process of its own, and the settings take turns for several rounds, so that a slow minute of the
machine does not fall on one of them. "plain torch" is the same step written without Keras: each
row's ratio_to_plain_torch is that step's time divided by its own, above 1 where kvoice is faster.
With --peak_tflops (of the chip, in the precision measured) the share of the peak is reported as
well: three times the multiplications of a forward pass for each backward pass, five for the
gradient penalty.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time

import measure
import numpy as np

SETTINGS = {
    "tensorflow": ("tensorflow", "float32", False),
    "tensorflow, jit": ("tensorflow", "float32", True),
    "tensorflow, bfloat16": ("tensorflow", "mixed_bfloat16", False),
    "jax": ("jax", "float32", True),
    "jax, bfloat16": ("jax", "mixed_bfloat16", True),
    "torch": ("torch", "float32", False),
    "torch, bfloat16": ("torch", "mixed_bfloat16", False),
    "plain torch": ("torch", "float32", False),
}


def multiplications(model):
    """Multiply-adds of one item's forward pass: (generator, critic)."""
    import keras

    def of(part):
        total = 0
        for layer in part.layers:
            if isinstance(layer, keras.layers.Dense):
                total += int(np.prod(layer.kernel.shape))
            elif isinstance(layer, keras.layers.Conv2DTranspose):
                total += int(np.prod(layer.kernel.shape) * np.prod(layer.input.shape[1:3]))
            elif isinstance(layer, keras.layers.Conv2D):
                total += int(np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:3]))
        return total

    return of(model.generator), of(model.critic)


def flops(model, batch):
    """Floating-point operations of one training step.

    A critic step: the generator forward (1), the critic forward and backward on real and fake
    (2 x 3), and the penalty: forward (1), gradient by the input (1), and the backward pass through
    both (3). The generator's step: forward and backward through both (2 x 3), without the critic's
    weights (-1).
    """
    generator, critic = multiplications(model)
    items = batch // model.n_critic
    step = model.n_critic * (generator + 11 * critic) + 3 * generator + 2 * critic
    return 2 * items * step


def by_kvoice(model, batch, jit):
    """Compiles the model; returns train(count, tick), which calls tick(loss) after each step."""
    import keras

    from kvoice.steps import OptimizerGroup

    adam = {
        name: keras.optimizers.Adam(1e-4, beta_1=0.5, beta_2=0.9)
        for name in model.parameter_groups()
    }
    model.compile(OptimizerGroup(adam), jit_compile=jit)

    def feed():
        while True:
            yield (batch,)

    def train(count, tick):
        clock = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda step, logs: tick(logs["loss"])
        )
        model.fit(feed(), steps_per_epoch=count, shuffle=False, verbose=0, callbacks=[clock])

    return train


def plain_networks(shape, noise, labels, width):
    """`mel_generator` and the parts (body, value, logits) of `mel_critic` as torch modules."""
    from torch import nn

    time, mels = (size // 16 for size in shape)
    sizes = [8 * width, 4 * width, 2 * width, width, 1]
    up = [
        nn.Linear(noise + labels, sizes[0] * time * mels, bias=False),
        nn.Unflatten(1, (sizes[0], time, mels)),
    ]
    for wide, narrow in zip(sizes, sizes[1:]):
        up += [
            nn.BatchNorm2d(wide, eps=1e-5, momentum=0.1),  # Keras calls this momentum .9
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False),
        ]
    up += [nn.BatchNorm2d(1, eps=1e-5, momentum=0.1), nn.Sigmoid()]
    down = []
    sizes = sizes[::-1]
    for narrow, wide in zip(sizes, sizes[1:]):
        down += [nn.Conv2d(narrow, wide, 4, 2, 1), nn.LeakyReLU(0.2)]
    value = nn.Conv2d(sizes[-1], 1, 1)
    logits = nn.Sequential(nn.Flatten(), nn.Linear(sizes[-1] * time * mels, labels))
    return nn.Sequential(*up), nn.ModuleList([nn.Sequential(*down), value, logits])


def by_plain_torch(model, batch):
    """The model's step as written for torch alone; returns train(count, tick) like `by_kvoice`."""
    import torch
    from torch.nn import functional as F

    device = "cuda" if torch.cuda.is_available() else "cpu"
    low, high, noise, labels = model.low, model.high, model.noise_size, model.labels
    shape, width = (model.get_config()[key] for key in ("shape", "width"))
    networks = plain_networks(shape, noise, labels, width)
    generator, critic = (network.to(device) for network in networks)
    weights = [list(network.parameters()) for network in networks]
    counted = sum(w.numel() for w in sum(weights, []))
    assert counted == sum(int(np.prod(w.shape)) for w in model.trainable_variables), counted
    adam_g, adam_c = (torch.optim.Adam(w, 1e-4, betas=(0.5, 0.9)) for w in weights)

    def judge(image):
        body, value, logits = critic
        x = body(image)
        return value(x).mean((1, 2, 3)), logits(x)

    def fakes(label):
        label = label[torch.randperm(len(label), device=device)]
        z = torch.randn(len(label), noise, device=device)
        return generator(torch.cat([z, F.one_hot(label, labels)], 1)), label

    def critic_step(real, label):
        with torch.no_grad():
            fake, _ = fakes(label)
        value, logits = judge(torch.cat([real, fake]))
        real_value, fake_value = value.chunk(2)
        share = torch.rand(len(real), 1, 1, 1, device=device)
        between = (share * real + (1 - share) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(judge(between)[0].sum(), between, create_graph=True)
        norm = (slope.square().sum((1, 2, 3)) + 1e-12).sqrt()
        loss = fake_value.mean() - real_value.mean() + model.penalty * (norm - 1).square().mean()
        loss = loss + model.class_weight * F.cross_entropy(logits[: len(real)], label)
        adam_c.zero_grad()
        loss.backward()
        adam_c.step()
        return loss

    def generator_step(label):
        fake, label = fakes(label)
        value, logits = judge(fake)
        loss = -value.mean() + model.class_weight * F.cross_entropy(logits, label)
        adam_g.zero_grad()
        loss.backward(inputs=weights[0])  # no gradients by the critic's weights
        adam_g.step()

    def train(count, tick):
        items = len(batch["mel"]) // model.n_critic
        for _ in range(count):
            mel = torch.as_tensor(batch["mel"]).to(device)[:, None]
            real = ((mel - low) / (high - low)).clamp(0, 1).split(items)
            label = torch.as_tensor(batch["emotion"]).to(device).long().split(items)
            for i in range(model.n_critic):
                loss = critic_step(real[i], label[i])
            generator_step(label[i])
            tick(loss.detach())

    return train


def timed(name, variant, steps):
    """Runs in a process of its own; prints one JSON line."""
    import keras

    from kvoice.cli import configs
    from kvoice.models import VoiceGAN

    backend, precision, jit = SETTINGS[name]
    config = configs.configuration("voicegan", variant)
    keras.config.set_dtype_policy(precision)
    spec, data = config["audio"], config["data"]
    shape = (data["crop_frames"], spec["mels"])
    model = VoiceGAN(shape=shape, low=spec["low"], high=spec["high"], labels=4, **config["model"])
    rng = np.random.default_rng(0)
    batch = {
        "mel": rng.uniform(spec["low"], spec["high"], (data["batch"], *shape)).astype("float32"),
        "emotion": rng.integers(0, 4, data["batch"]).astype("int32"),
    }
    plain = name == "plain torch"
    train = by_plain_torch(model, batch) if plain else by_kvoice(model, batch, jit)
    ticks = []

    def tick(loss):
        float(loss)  # waits for the device
        ticks.append(time.perf_counter())

    start = time.perf_counter()
    train(steps + 1, tick)
    times = np.diff([start, *ticks])
    memory = None
    if backend == "jax":
        import jax

        stats = jax.devices()[0].memory_stats()
        memory = stats and stats["peak_bytes_in_use"]
    print(
        json.dumps(
            {
                "first_s": times[0],
                "steps_s": times[1:].tolist(),
                "batch": data["batch"],
                "flops": flops(model, data["batch"]),
                "peak_bytes": memory,
            }
        )
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak_tflops", type=float, default=0.0)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return timed(options.one, options.variant, options.steps)

    settings = [n for n, (b, _, _) in SETTINGS.items() if importlib.util.find_spec(b)]
    found = {name: [] for name in settings}
    for _ in range(options.rounds):
        for name in settings:
            words = ["--one", name, "--variant", options.variant, "--steps", str(options.steps)]
            done = subprocess.run(
                [sys.executable, __file__, *words],
                stdout=subprocess.PIPE,
                check=True,
                env={**os.environ, "KERAS_BACKEND": SETTINGS[name][0]},
            )
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    table = {}
    for name, rounds in found.items():
        steps = np.concatenate([r["steps_s"] for r in rounds])
        median = float(np.median(steps))
        row = table[name] = {
            "step_s": median,
            "low_s": float(np.quantile(steps, 0.1)),
            "high_s": float(np.quantile(steps, 0.9)),
            "first_step_s": float(np.median([r["first_s"] for r in rounds])),
            "tflops": rounds[0]["flops"] / median / 1e12,
        }
        if rounds[0]["peak_bytes"]:
            row["peak_gib"] = rounds[0]["peak_bytes"] / 2**30
        if options.peak_tflops:
            row["share_of_peak"] = row["tflops"] / options.peak_tflops
    if "plain torch" in table:
        for row in table.values():
            row["ratio_to_plain_torch"] = table["plain torch"]["step_s"] / row["step_s"]
    measure.write(
        f"train_step_{options.variant or 'default'}",
        {
            "variant": options.variant or "default",
            "batch": found[settings[0]][0]["batch"],
            "rounds": options.rounds,
            "steps": options.steps,
            "settings": table,
        },
    )


if __name__ == "__main__":
    main()
