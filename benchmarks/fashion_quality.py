"""How good are samples of Fashion-MNIST, 28 x 28 pixels of grey: VAE, GAN and diffusion?

Runs `advdl model train MODEL --data idx` with each model's default network, of diffusion's a smaller one, on 48,000 of
the 60,000 training images, and has `advdl model evaluate --samples` judge 10,000 samples by the measures of the
digits: Frechet distance to the training images in the space of the 64 hidden units of a classifier of them, precision
and recall, copying, TSTR, the least recall of a class. `advdl model sample` draws a sheet, a row a class.

Runs are kept with `--runs FOLDER`, and one that was cut off goes on; sheets are there then, as MODEL-SEED.png. A
run is gone on with only under the settings it began with. Needs Debian's package dataset-fashion-mnist.
"""

import argparse
import contextlib
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from measure import Report, Row, advdl, arguments_parser, kept_run, only_run, recipe_digest, sets, workplace
from results import Results

SHARED = {"evaluation.every": 0, "log.every": 200}
COSINE = '{name="cosine", start=%s, alpha=0.02}'
MODELS: dict[str, dict[str, Any]] = {
    "vae": {
        "steps": 6_000,
        "sampler.latent": 16,
        "model.batch_size": 128,
        "optimizer.learning_rate": COSINE % 1e-3,
    },
    "gan": {"steps": 6_000, "model.batch_size": 64, "optimizer.beta_1": 0.5, "optimizer.learning_rate": 2e-4},
    "diffusion": {  # the U-Net of generative_speed.py: with the default one an update takes eight times as long
        "steps": 6_000,
        "sampler.width": 32,
        "sampler.depth": 1,
        "model.batch_size": 32,
        "trainer.ema": 0.999,
        "optimizer.learning_rate": COSINE % 5e-4,
    },
}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-2")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), help="all when left out")
    parser.add_argument("--samples", type=int, default=10_000, help="samples that are judged (10000)")
    parser.add_argument("--runs", type=Path, help="keep runs and sheets here instead of in a temporary folder")
    parser.add_argument("--results", type=Path, help="a file that has results, and gets every further one")
    arguments = parser.parse_args()
    results = Results(arguments.results, recipe_digest())
    with contextlib.nullcontext(arguments.runs) if arguments.runs else workplace() as folder:
        rows = [
            known(model, seed, arguments, folder.resolve(), results)
            for model in arguments.models
            for seed in arguments.seeds
        ]
    settings = {"samples": arguments.samples, "seeds": len(arguments.seeds)}
    # No figure is asked for here: the sheets are to be looked at.
    return Report("Fashion-MNIST: samples", settings, arguments.load, rows, summary(rows), []).emit(
        as_json=arguments.json
    )


def known(model: str, seed: int, arguments: argparse.Namespace, folder: Path, results: Results) -> Row:
    asked = {"model": model, "seed": seed, "samples": arguments.samples, "options": SHARED | MODELS[model]}
    row = results.row(lambda: one(model, seed, arguments.samples, folder), **asked)
    return {name: value for name, value in row.items() if name != "options"}


def one(model: str, seed: int, samples: int, folder: Path) -> Row:
    options = SHARED | MODELS[model]
    settings = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:12]
    place, cache = folder / f"{model}-{seed}-{settings}", folder / "cache"
    command = ["model", "train", model, "--data", "idx", "--seed", str(seed), "--quiet", *sets(options)]
    code, run = kept_run(command, place, cache), only_run(place)
    if code or run is None:
        raise SystemExit(f"{model}, seed {seed}: advdl exited with {code}")
    sheet = ["--count", "100", "--output", str(folder / f"{model}-{seed}.png")]
    advdl(["model", "sample", str(run), *sheet], place, cache)
    judged = advdl(["model", "evaluate", str(run), "--samples", str(samples)], place, cache)
    if judged.code:
        raise SystemExit(f"{model}, seed {seed}: advdl model evaluate exited with {judged.code}")
    return judged.data


def summary(rows: list[Row]) -> list[Row]:
    figures = [name for name, value in rows[0].items() if isinstance(value, float)]
    found = []
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        means = {name: sum(row[name] for row in mine) / len(mine) for name in figures if name in mine[0]}
        found.append({"model": model, "seeds": len(mine), **means})
    return found


if __name__ == "__main__":
    sys.exit(main())
