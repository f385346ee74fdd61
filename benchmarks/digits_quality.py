"""How good are samples and likelihoods on scikit-learn's digits, beside simple baselines?

1,437 images train, 360 stratified ones judge. Likelihoods in nats an image, lower is better: the bound of a VAE on
images that are black or white (a mixture of 50 Bernoullis beside it), and of a VAE with a probability for each of the
17 levels of grey. Samples: as many as there are training images, each given a class; the Frechet distance is in the
space of the 64 hidden units of scikit-learn's classifier, and TSTR is the accuracy on real test images of a support
vector machine trained on samples. `evaluations` is how often the network runs for a sample.

The recall of a class is shown in both senses: the share of its real images that lie among its samples (`class_recall`;
the row `half of the real images` is real images beside others), and the share that the machine knows (`tstr_recall`).
The least class counts.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import Report, Row, arguments_parser, say, spread
from results import Results

Arrays = Any

MODELS: dict[str, dict[str, Any]] = {
    "vae": {
        "options": {"name": "vae", "network": "dense", "latent": 12, "units": [256, 256], "likelihood": "categorical"},
        "steps": 5_000,
        "rate": 1e-3,
        "evaluations": 1,
    },
    "gan": {
        "options": {"name": "gan", "network": "dense", "units": [256, 256, 256], "penalty": 2.0, "dropout": 0.1},
        "steps": 20_000,
        "rate": 2e-4,
        "beta_1": 0.0,
        "evaluations": 1,
    },
    "diffusion": {
        "options": {"name": "diffusion", "network": "dense", "width": 256, "depth": 4, "sigma_max": 20.0},
        "steps": 8_000,
        "rate": 1e-3,
        "evaluations": 35,
        "also": {"diffusion, few steps": {"steps": 5, "evaluations": 9}},
    },
    "flow": {
        "options": {
            "name": "diffusion",
            "formulation": "flow",
            "network": "dense",
            "width": 256,
            "depth": 4,
            "steps": 4,
            "solver": "midpoint",
        },
        "steps": 3_000,
        "rate": 1e-3,
        "evaluations": 8,
    },
}
LIKELIHOODS: dict[str, dict[str, Any]] = {
    "binary": {
        "options": {"name": "vae", "network": "dense", "latent": 10, "units": [256, 256], "likelihood": "bernoulli"},
        "steps": 2_700,
        "rate": 1e-3,
    },
    "levels": {
        "options": {"name": "vae", "network": "dense", "latent": 10, "units": [256, 256], "likelihood": "categorical"},
        "steps": 2_700,
        "rate": 1e-3,
    },
}
BATCH = 128


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-2")
    parser.add_argument("--only", help="one row alone, such as vae or binary")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the updates, for a quick look")
    parser.add_argument("--steps", type=int, help="updates of each model, in the place of its own number")
    parser.add_argument(
        "--set", action="append", default=[], metavar="OPTION=VALUE", help="with --only: another option"
    )
    parser.add_argument("--results", type=Path, help="a file that has results, and gets every further one")
    arguments = parser.parse_args()
    training, held_out = digits()
    from advdl.training.sample_quality import features_of

    features = features_of(training)
    rows = [] if arguments.only else baselines(training, held_out, features)
    for line in rows:
        say(str(line))
    for name, setting in MODELS.items():
        rows += sampled(name, changed(setting, arguments), arguments, training, held_out, features)
    bounds = [] if arguments.only else mixtures(training, held_out)
    for name, setting in LIKELIHOODS.items():
        bounds += bounded(name, changed(setting, arguments), arguments, training, held_out)
    return report(rows, bounds, features.name, arguments).emit(as_json=arguments.json)


def changed(setting: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """Applies --set, whose values are numbers or words; `steps` and `rate` are the training's."""
    further = dict(text.split("=", 1) for text in arguments.set)
    values = {key: int(text) if text.isdecimal() else _number(text) for key, text in further.items()}
    own = {key: value for key, value in values.items() if key in ("steps_of_training", "rate")}
    options = {key: value for key, value in values.items() if key not in own}
    steps = arguments.steps or own.get("steps_of_training", setting["steps"])
    return {
        **setting,
        "options": {**setting["options"], **options},
        "steps": steps,
        "rate": own.get("rate", setting["rate"]),
    }


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def digits() -> tuple[Any, Any]:
    """Loads the images with their 17 levels, 0 to 16."""
    from gymnasium import spaces
    from sklearn.datasets import load_digits

    from advdl.training import Dataset, DataSpec
    from advdl.training.dataset import split

    loaded = load_digits()
    images = loaded.images.astype(np.uint8)[..., None]
    spec = DataSpec(spaces.Box(0, 16, images.shape[1:], np.uint8), spaces.Discrete(10))
    return split(Dataset(images, loaded.target.astype(np.int64), spec), 0.2, 0)


def train(setting: Mapping[str, Any], data: Any, seed: int, scale: float) -> tuple[Any, float]:
    """Trains a sampler with Adam and a cosine; returns it and the seconds."""
    import keras
    import tensorflow as tf

    from advdl.plugin.host import PluginHost
    from advdl.training import Trainer, Tuning
    from advdl.training.batches import DataBatches
    from advdl.training.schedules import Cosine
    from advdl.training.update_engine import UpdateEngine

    began, steps = time.perf_counter(), max(int(setting["steps"] * scale), 1)
    keras.utils.set_random_seed(seed)
    sampler = PluginHost.from_environment().build("sampler", dict(setting["options"]), data.spec)
    sampler.adapt({"x": tf.constant(data.x)} | ({} if data.c is None else {"c": tf.constant(data.c)}))
    tunings = {}
    for objective in sampler.objectives():
        optimizer = keras.optimizers.Adam(setting["rate"], beta_1=setting.get("beta_1", 0.9), beta_2=0.99)
        optimizer.build(list(objective.variables))
        tunings[objective.name] = Tuning(optimizer, Cosine(start=setting["rate"], alpha=0.02))
    trainer = Trainer(sampler, tunings, total_updates=steps, clip_norm=10.0)
    engine = UpdateEngine(DataBatches(data, batch_size=BATCH, seed=seed), trainer, seed=seed)
    while engine.updates < steps:
        engine.advance(steps)
    return sampler, time.perf_counter() - began


def sampled(
    name: str, setting: Mapping[str, Any], arguments: argparse.Namespace, training: Any, held_out: Any, features: Any
) -> list[Row]:
    if arguments.only not in (None, name):
        return []
    variants = {name: {"evaluations": setting["evaluations"]}, **setting.get("also", {})}

    def one(seed: int) -> Row:
        sampler, seconds = train(setting, training, seed, arguments.scale)
        drawn = {
            variant: drawn_quality(again(sampler, setting, further), training, held_out, features, seed)
            for variant, further in variants.items()
        }
        return {"drawn": drawn, "seconds": seconds}

    results = results_of(setting, arguments)
    found = [results.row(partial(one, seed), model=name, seed=seed) for seed in arguments.seeds]
    seconds = [line["seconds"] for line in found]
    return [
        row(variant, [line["drawn"][variant] for line in found], seconds, further["evaluations"])
        for variant, further in variants.items()
    ]


def results_of(setting: Mapping[str, Any], arguments: argparse.Namespace) -> Results:
    """Returns the results of this very setting."""
    text = json.dumps({**setting, "scale": arguments.scale}, sort_keys=True)
    return Results(arguments.results, hashlib.sha256(text.encode()).hexdigest()[:12])


def again(sampler: Any, setting: Mapping[str, Any], further: Mapping[str, Any]) -> Any:
    """Returns the trained sampler, or one with its weights that draws in another way."""
    options = {key: value for key, value in further.items() if key != "evaluations"}
    if not options:
        return sampler
    from advdl.plugin.host import PluginHost

    other = PluginHost.from_environment().build("sampler", {**setting["options"], **options}, sampler.spec)
    for name, model in sampler.models.items():
        other.models[name].set_weights(model.get_weights())
    return other


def drawn_quality(sampler: Any, training: Any, held_out: Any, features: Any, seed: int) -> dict[str, float]:
    """Draws as many samples as there are training images, each of a class, and judges them."""
    from advdl.training import SampleProgram

    x = SampleProgram(sampler, batch_size=500, jit=True).draw(len(training), seed, training.c)
    return judge(training, held_out, replace(training, x=x), features)


def judge(training: Any, held_out: Any, drawn: Any, features: Any) -> dict[str, float]:
    from advdl.training.sample_quality import quality

    return quality(training, held_out, drawn, features)


def row(name: str, found: list[dict[str, float]], seconds: list[float], evaluations: int | None) -> Row:
    means = {key: float(np.mean([figures[key] for figures in found])) for key in found[0]}
    worst = {"frechet_worst": max(figures["frechet"] for figures in found)}
    return {"samples": name, "evaluations": evaluations, **means, **worst, "seconds": float(np.mean(seconds))}


def baselines(training: Any, held_out: Any, features: Any) -> list[Row]:
    """Real images, Gaussian mixtures, a Gaussian a class; each rounded to the levels, and clipped."""
    from sklearn.mixture import GaussianMixture

    flat, classes = training.x.reshape(len(training), -1).astype(float), training.c

    def mixture(components: int) -> Callable[[Any, int, int], Any]:
        def draw(rows: Any, count: int, seed: int) -> Any:
            fitted = GaussianMixture(min(components, len(rows)), reg_covar=1e-2, random_state=seed).fit(rows)
            return fitted.sample(count)[0]

        return draw

    def by_class(draw: Callable[[Any, int, int], Any], seed: int) -> Any:
        x = np.empty_like(flat)
        for value in np.unique(classes):
            x[classes == value] = draw(flat[classes == value], int((classes == value).sum()), seed)
        return x

    makers = {
        "a Gaussian a class": lambda seed: by_class(mixture(1), seed),
        "a mixture of 5 a class": lambda seed: by_class(mixture(5), seed),
    }
    rows = [row("real test images", [real(training, held_out, features)], [0.0], None)]
    rows.append(
        row("half of the real images", [half(training, held_out, features, seed) for seed in range(3)], [0.0], None)
    )
    rows.append(row("a mixture of 50", [unconditional(training, held_out, mixture(50), features)], [0.0], None))
    for name, make in makers.items():
        found = []
        for seed in range(3):
            images = np.clip(np.round(make(seed)), 0, 16).astype(np.uint8).reshape(training.x.shape)
            found.append(judge(training, held_out, replace(training, x=images), features))
        rows.append(row(name, found, [0.0], None))
    return rows


def real(training: Any, held_out: Any, features: Any) -> dict[str, float]:
    figures = judge(training, held_out, held_out, features)
    learnt = judge(training, held_out, training, features)
    return figures | {name: learnt[name] for name in ("tstr", "tstr_recall")} | {"copying": 1.0}


def half(training: Any, held_out: Any, features: Any, seed: int) -> dict[str, float]:
    """Judges one half of the training images as if they were samples of what the other half is of."""
    order = np.random.default_rng(seed).permutation(len(training))
    one, other = (replace(training, x=training.x[rows], c=training.c[rows]) for rows in (order[::2], order[1::2]))
    return judge(one, held_out, other, features)


def unconditional(
    training: Any, held_out: Any, draw: Callable[[Any, int, int], Any], features: Any
) -> dict[str, float]:
    """A mixture knows no classes: what takes classes is left out."""
    flat = training.x.reshape(len(training), -1).astype(float)
    found = []
    for seed in range(3):
        images = np.clip(np.round(draw(flat, len(flat), seed)), 0, 16).astype(np.uint8).reshape(training.x.shape)
        plain = [replace(data, spec=replace(data.spec, c=None), c=None) for data in (training, held_out, training)]
        found.append(judge(plain[0], plain[1], replace(plain[2], x=images), features))
    means = {key: float(np.mean([figures[key] for figures in found])) for key in found[0]}
    return {**means, "tstr": float("nan"), "tstr_recall": float("nan"), "class_recall": float("nan")}


def mixtures(training: Any, held_out: Any) -> list[Row]:
    """Likelihoods without a network: independent pixels, and a mixture of 50 Bernoullis by expectation-maximisation."""
    binary = [binarised(data).x.reshape(len(data), -1).astype(float) for data in (training, held_out)]
    nats = min(bernoulli_mixture(*binary, 50, seed) for seed in range(3))
    counts = np.stack([(training.x.reshape(len(training), -1) == level).sum(0) + 0.5 for level in range(17)])
    logs = np.log(counts / counts.sum(0))
    flat = held_out.x.reshape(len(held_out), -1)
    independent = -float(np.mean([logs[image, np.arange(64)].sum() for image in flat]))
    blank = {"iwae_1": None, "iwae_50": None, "iwae_500": None, "bits_per_dim": None, "seconds": None}
    return [
        {"likelihood": "binary: a mixture of 50", "nats": nats, **blank},
        {
            "likelihood": "levels: independent pixels",
            "nats": independent,
            **blank,
            "bits_per_dim": independent / 64 / np.log(2),
        },
    ]


def bernoulli_mixture(train_rows: Arrays, test_rows: Arrays, components: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    means = 0.25 + 0.5 * train_rows[rng.choice(len(train_rows), components, replace=False)]
    weights = np.full(components, 1 / components)

    def joint(rows: Arrays) -> Arrays:
        return rows @ np.log(means).T + (1 - rows) @ np.log(1 - means).T + np.log(weights)

    for _ in range(200):
        logs = joint(train_rows)
        share = np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True))
        total = share.sum(0) + 1e-9
        means = np.clip((share.T @ train_rows + 0.1) / (total[:, None] + 0.2), 1e-3, 1 - 1e-3)
        weights = total / total.sum()
    return -float(np.logaddexp.reduce(joint(test_rows), axis=1).mean())


def binarised(data: Any) -> Any:
    from gymnasium import spaces

    from advdl.training import DataSpec

    return replace(data, x=(data.x >= 8).astype(np.int8), c=None, spec=DataSpec(spaces.MultiBinary(data.x.shape[1:])))


def bounded(
    name: str, setting: Mapping[str, Any], arguments: argparse.Namespace, training: Any, held_out: Any
) -> list[Row]:
    import tensorflow as tf

    if arguments.only not in (None, name):
        return []
    whole = [replace(data, c=None, spec=replace(data.spec, c=None)) for data in (training, held_out)]
    data, test = map(binarised, (training, held_out)) if name == "binary" else whole

    def one(seed: int) -> Row:
        sampler, seconds = train(setting, data, seed, arguments.scale)
        batch = {"x": tf.constant(test.x)}
        program = tf.function(lambda draws: sampler.importance_bound(batch, tf.constant([1, 2]), draws))
        elbo = float(tf.reduce_mean(tf.function(sampler.measure)(batch, tf.constant([1, 2]))["negative_elbo"]))
        tight = {f"iwae_{draws}": -float(tf.reduce_mean(program(draws))) for draws in (1, 50, 500)}
        return {"nats": elbo, **tight, "bits_per_dim": elbo / 64 / float(np.log(2)), "seconds": seconds}

    results = results_of(setting, arguments)
    found = [results.row(partial(one, seed), model=name, seed=seed) for seed in arguments.seeds]
    found = [{key: value for key, value in line.items() if key not in ("model", "seed")} for line in found]
    means = {key: float(np.mean([figures[key] for figures in found])) for key in found[0]}
    return [{"likelihood": f"{name}: a VAE", **means}]


def report(rows: list[Row], bounds: list[Row], space: str, arguments: argparse.Namespace) -> Report:
    by_name = {line["samples"]: line for line in rows} | {line["likelihood"]: line for line in bounds}
    claims = [
        ("diffusion", "frechet", "<=", 0.38),
        ("diffusion", "tstr", ">=", 0.969),
        ("vae", "frechet", "<=", 1.0),
        ("gan", "frechet", "<=", 1.5),
        ("gan", "class_recall", ">=", 0.8),
        ("gan", "tstr_recall", ">=", 0.8),
        *((name, "copying", ">=", 0.8) for name in MODELS),
        ("binary: a VAE", "nats", "<=", 18.5),
        ("binary: a VAE", "iwae_500", "<=", 17.3),
        ("levels: a VAE", "bits_per_dim", "<=", 2.43),
    ]
    verdicts = []
    few = by_name.get("flow"), by_name.get("diffusion, few steps")
    if all(few):
        ours, theirs = (line["frechet"] for line in few if line)
        verdicts.append((f"flow at 8 evaluations: frechet {ours:.3f} < diffusion's at 9, {theirs:.3f}", ours < theirs))
    for name, figure, way, bar in claims:
        if name in by_name:
            value = by_name[name][figure]
            held = value <= bar if way == "<=" else value >= bar
            verdicts.append((f"{name}: {figure} {value:.3f} {way} {bar}", held))
    return Report(
        title="Digits: samples and likelihoods",
        settings={"batch": BATCH, "seeds": str(arguments.seeds), "scale": arguments.scale, "feature_space": space},
        load=arguments.load,
        rows=rows or [{"samples": "none"}],
        summary=bounds,
        verdicts=verdicts,
        notes=[f"spread of a row's seconds: {spread([line.get('seconds') for line in rows])}"] if rows else [],
    )


if __name__ == "__main__":
    sys.exit(main())
