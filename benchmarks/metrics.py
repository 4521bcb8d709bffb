"""Seconds of the disentanglement metrics, at the settings and sizes of `scores`.

    python benchmarks/metrics.py

The data are 10,000 rows of 64 codes that depend on 5 factors of 3 to 8 levels: each factor is mixed
into all codes, with noise. Each score is timed alone, then `scores` as a whole, with trees in one
process per core. Nearly all of the time is that of `dci`, which depends on the other load of the
machine: the load before the start is written too.
"""

import argparse
import os
import time

import measure
import numpy as np

LEVELS = (3, 6, 8, 8, 8)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--codes", type=int, default=64)
    options = parser.parse_args()

    from kvoice.metrics import disentanglement

    load = os.getloadavg()[0]
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(levels, size=options.rows) for levels in LEVELS], axis=1)
    mixed = disentanglement.identity(factors) @ rng.normal(size=(len(LEVELS), options.codes))
    codes = mixed + disentanglement.noise(*mixed.shape, rng)

    calls = {
        "mig": lambda: disentanglement.mig(codes, factors),
        "sap_continuous": lambda: disentanglement.sap_continuous(codes, factors),
        "sap_discrete": lambda: disentanglement.sap_discrete(codes, factors, rng),
        "dci": lambda: disentanglement.dci(codes, factors, rng, jobs=-1),
        "factor_vae": lambda: disentanglement.factor_vae(codes, factors, rng),
        "beta_vae": lambda: disentanglement.beta_vae(codes, factors, rng),
        "modularity": lambda: disentanglement.modularity(codes, factors),
        "explicitness": lambda: disentanglement.explicitness(codes, factors, rng),
        "total_correlation": lambda: disentanglement.total_correlation(codes),
        "scores": lambda: disentanglement.scores(codes, factors, rng, jobs=-1),
    }
    found = {}
    for name, call in calls.items():
        start = time.perf_counter()
        call()
        found[name] = time.perf_counter() - start
        print(f"{name}: {found[name]:.2f} s", flush=True)
    measure.write(
        "metrics",
        {
            "rows": options.rows,
            "codes": options.codes,
            "levels": list(LEVELS),
            "load_before": load,
            "seconds": found,
        },
    )


if __name__ == "__main__":
    main()
