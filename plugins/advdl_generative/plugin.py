"""What this plugin offers."""

from collections.abc import Iterable

from advdl.plugin import Component, hookimpl


@hookimpl
def advdl_components() -> Iterable[Component]:
    """Offers three families of samplers, each for images and for vectors, and two of them with a memory."""
    return [
        _sampler("vae", "vae:VAE", "variational autoencoder (Kingma & Welling 2014)"),
        _sampler("gan", "gan:GAN", "adversarial networks: R1 or WGAN-GP (Goodfellow 2014)"),
        _sampler(
            "diffusion", "diffusion:Diffusion", "denoising diffusion: EDM, DDPM, DDIM (Ho 2020, Song 2021, Karras 2022)"
        ),
        _dynamics("vae", "recurrent:RecurrentLatents", "VAE and recurrent mixture density (Ha & Schmidhuber 2018)"),
        _dynamics("diffusion", "frames:DiffusedFrames", "diffusion given the last frames (DIAMOND: Alonso 2024)"),
    ]


def _sampler(name: str, target: str, summary: str) -> Component:
    return Component("sampler", name, f"advdl_generative.{target}", summary, recipes=f"advdl_generative.recipes.{name}")


def _dynamics(name: str, target: str, summary: str) -> Component:
    recipes = f"advdl_generative.recipes.dynamics_{name}"
    return Component("dynamics", name, f"advdl_generative.{target}", summary, recipes=recipes)
