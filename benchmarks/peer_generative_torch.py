"""What `generative_speed.py` compares with: our networks of generative models in PyTorch, trained by hand."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

Step = Callable[[Any], None]


def count(*models: nn.Module) -> int:
    return sum(parameter.numel() for model in models for parameter in model.parameters())


def vae(rate: float) -> tuple[Step, int]:
    encoder = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(7 * 7 * 64, 16), nn.ReLU(), nn.Linear(16, 4)),
    )
    decoder = nn.Sequential(
        *(nn.Linear(2, 7 * 7 * 64), nn.ReLU(), nn.Unflatten(1, (64, 7, 7))),
        *(nn.ConvTranspose2d(64, 64, 3, 2, 1, 1), nn.ReLU(), nn.ConvTranspose2d(64, 32, 3, 2, 1, 1), nn.ReLU()),
        nn.Conv2d(32, 1, 3, 1, 1),
    )
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], rate)

    def step(images: Any) -> None:
        images = images / 255.0
        mean, log_variance = encoder(images).chunk(2, dim=1)
        logits = decoder(mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean))
        entropy = functional.binary_cross_entropy_with_logits(logits, images, reduction="sum") / len(images)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        optimizer.zero_grad(set_to_none=True)
        (entropy + kl).backward()
        optimizer.step()

    return step, count(encoder, decoder)


class ChannelNorm(nn.Module):
    """Normalises each position over its channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-3)

    def forward(self, x: Any) -> Any:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def gan(rate: float) -> tuple[Step, int]:
    def normed(channels: int) -> list[nn.Module]:
        return [ChannelNorm(channels), nn.LeakyReLU(0.2)]

    generator = nn.Sequential(
        *(nn.Linear(100, 7 * 7 * 256, bias=False), nn.Unflatten(1, (256, 7, 7)), *normed(256)),
        *(nn.ConvTranspose2d(256, 128, 5, 1, 2, bias=False), *normed(128)),
        *(nn.ConvTranspose2d(128, 64, 5, 2, 2, 1, bias=False), *normed(64)),
        *(nn.ConvTranspose2d(64, 1, 5, 2, 2, 1), nn.Tanh()),
    )
    discriminator = nn.Sequential(
        *(nn.Conv2d(1, 64, 5, 2, 2), nn.LeakyReLU(0.2), nn.Dropout(0.3)),
        *(nn.Conv2d(64, 128, 5, 2, 2), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Flatten(), nn.Linear(7 * 7 * 128, 1)),
    )
    optimizers = [torch.optim.Adam(model.parameters(), rate) for model in (discriminator, generator)]

    def step(images: Any) -> None:
        real = discriminator(images / 127.5 - 1.0)
        with torch.no_grad():
            fake = generator(torch.randn(len(images), 100))
        loss = functional.softplus(-real).mean() + functional.softplus(discriminator(fake)).mean()
        optimizers[0].zero_grad(set_to_none=True)
        loss.backward()
        optimizers[0].step()
        discriminator.requires_grad_(False)
        loss = functional.softplus(-discriminator(generator(torch.randn(len(images), 100)))).mean()
        optimizers[1].zero_grad(set_to_none=True)
        loss.backward()
        optimizers[1].step()
        discriminator.requires_grad_(True)

    return step, count(generator, discriminator)


class Block(nn.Module):
    """Two convolutions, of which the noise level scales and shifts the first's channels."""

    def __init__(self, before: int, channels: int, embedding: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.GroupNorm(8, before), nn.GroupNorm(8, channels)])
        self.convs = nn.ModuleList([nn.Conv2d(before, channels, 3, 1, 1), nn.Conv2d(channels, channels, 3, 1, 1)])
        self.film = nn.Linear(embedding, 2 * channels)
        self.project = nn.Conv2d(before, channels, 1) if before != channels else nn.Identity()

    def forward(self, x: Any, embedding: Any) -> Any:
        y = self.convs[0](functional.silu(self.norms[0](x)))
        scale, shift = self.film(embedding)[:, :, None, None].chunk(2, dim=1)
        y = functional.silu(self.norms[1](y) * (1 + scale) + shift)
        return self.project(x) + self.convs[1](y)


class Unet(nn.Module):
    """Ours with two resolutions and a block at each: a block down, a block up, attention between them."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        wide, embedding = 2 * width, 4 * width
        self.embed = nn.Sequential(nn.Linear(64, embedding), nn.SiLU(), nn.Linear(embedding, embedding), nn.SiLU())
        self.first = nn.Conv2d(1, width, 3, 1, 1)
        self.blocks = nn.ModuleList(
            [
                Block(before, after, embedding)
                for before, after in (
                    *((width, width), (wide, wide), (wide, wide), (wide, wide)),
                    *((2 * wide, wide), (2 * width, width)),
                )
            ]
        )
        self.halve = nn.Conv2d(width, wide, 3, 2, 1)
        self.norm, self.attend = nn.GroupNorm(8, wide), nn.MultiheadAttention(wide, heads, batch_first=True)
        self.smooth = nn.Conv2d(wide, width, 3, 1, 1)
        self.last = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, 1, 3, 1, 1))

    def forward(self, x: Any, level: Any) -> Any:
        angles = level[:, None] * torch.exp(math.log(64.0) * torch.arange(32) / 31)
        embedding = self.embed(torch.cat([angles.sin(), angles.cos()], dim=1))
        top = self.blocks[0](self.first(x), embedding)
        low = self.blocks[1](self.halve(top), embedding)
        x = self.blocks[2](low, embedding)
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        x = x + self.attend(tokens, tokens, tokens, need_weights=False)[0].transpose(1, 2).reshape(x.shape)
        x = self.blocks[4](torch.cat([self.blocks[3](x, embedding), low], dim=1), embedding)
        x = self.smooth(functional.interpolate(x, scale_factor=2))
        return self.last(self.blocks[5](torch.cat([x, top], dim=1), embedding))


def diffusion(rate: float) -> tuple[Step, int]:
    from peer_generative_speed import OPTIONS

    network, average = (Unet(OPTIONS["diffusion"]["width"]) for _ in range(2))
    optimizer = torch.optim.Adam(network.parameters(), rate)
    ours, theirs = list(network.parameters()), list(average.parameters())

    def step(images: Any) -> None:
        images = 0.5 * (images / 127.5 - 1.0)
        sigma = torch.exp(1.2 * torch.randn(len(images), 1, 1, 1) - 1.2)
        total = sigma.square() + 0.25
        noisy = images + sigma * torch.randn_like(images)
        seen = network(noisy * total.rsqrt(), sigma[:, 0, 0, 0].log() / 4.0)
        denoised = noisy * 0.25 / total + seen * sigma * 0.5 * total.rsqrt()
        loss = (total / (0.5 * sigma).square() * (denoised - images).square()).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(theirs, ours, 0.001)

    return step, count(network)


STEPS: dict[str, Callable[[float], tuple[Step, int]]] = {"vae": vae, "gan": gan, "diffusion": diffusion}
