"""What this plugin offers."""

from collections.abc import Iterable

from advdl.plugin import Component, hookimpl


@hookimpl
def advdl_components() -> Iterable[Component]:
    """Offers three families of samplers, each for images and for vectors."""
    return [
        Component("sampler", "vae", "advdl_generative.vae:VAE", "variational autoencoder (Kingma & Welling 2014)"),
        Component(
            "sampler", "gan", "advdl_generative.gan:GAN", "adversarial networks: R1 or WGAN-GP (Goodfellow 2014)"
        ),
        Component(
            "sampler",
            "diffusion",
            "advdl_generative.diffusion:Diffusion",
            "denoising diffusion: EDM, DDPM, DDIM (Ho 2020, Song 2021, Karras 2022)",
        ),
    ]
