"""TQC of sb3-contrib."""

from typing import Annotated, Literal

from annotated_types import Ge
from sb3_contrib import TQC

from advdl.rl.own_loop import Assignment
from advdl_sb3.agent import SB3Agent
from advdl_sb3.networks import Activation, Networks
from advdl_sb3.options import (
    Backbone,
    Count,
    Decay,
    Device,
    NotNegative,
    Positive,
    Share,
    Units,
    action_noise_of,
    scheduled,
)


class SB3TQC(SB3Agent):
    """Truncated Quantile Critics (Kuznetsov et al. 2020, arXiv:2005.04269), as sb3-contrib has it.

    Args:
        assignment: What it learns in, and for how long.
        backbone: What it sees through; none takes stable-baselines3's own feature extractor.
        units: Widths of the layers behind it; none takes stable-baselines3's own.
        activation: What follows each of these layers; none takes stable-baselines3's own.
        learning_rate: Step size of the optimizer.
        learning_rate_decay: Whether the step size stays or falls to 0 over the run.
        buffer_size: Transitions that the replay keeps.
        learning_starts: Env steps before the first update.
        batch_size: Transitions in a batch.
        tau: Share of the online network in the target at each of its updates.
        gamma: Discount factor.
        train_freq: Steps of every env copy from one round of updates to the next.
        gradient_steps: Updates in a round; -1 as many as env steps.
        n_steps: Steps of a return before it bootstraps.
        target_update_interval: Updates from one update of the target network to the next.
        top_quantiles_to_drop_per_net: Largest quantiles of each critic that a target leaves out.
        ent_coef: Weight of the entropy: a number, auto, or auto_ and what it starts with.
        target_entropy: Entropy that auto aims at: a number, or auto.
        action_noise: Deviation of the normal noise on actions; 0 for none.
        use_sde: Whether exploration depends on the state (gSDE, Raffin et al. 2020, arXiv:2005.05719).
        sde_sample_freq: Steps after which gSDE draws a new noise; -1 once a rollout.
        use_sde_at_warmup: Whether gSDE acts before the first update, instead of random actions.
        log_std_init: Logarithm of the deviation that exploration starts with.
        share_features_extractor: Whether the networks see through one feature extractor.
        n_quantiles: Quantiles of each return.
        n_critics: Critics.
        normalise_observations: Whether observations are normalised by a running mean and variance.
        normalise_rewards: Whether rewards are divided by the running deviation of returns.
        device: Where torch computes.

    Raises:
        UsageError: The algorithm cannot handle these spaces, or an argument.
    """

    algorithm = TQC

    def __init__(
        self,
        assignment: Assignment,
        *,
        backbone: Backbone = None,
        units: Units = None,
        activation: Activation | None = None,
        learning_rate: Positive = 3e-4,
        learning_rate_decay: Decay = "constant",
        buffer_size: Count = 1_000_000,
        learning_starts: Annotated[int, Ge(0)] = 100,
        batch_size: Count = 256,
        tau: Share = 0.005,
        gamma: Share = 0.99,
        train_freq: Count = 1,
        gradient_steps: Annotated[int, Ge(-1)] = 1,
        n_steps: Count = 1,
        target_update_interval: Count = 1,
        top_quantiles_to_drop_per_net: Annotated[int, Ge(0)] = 2,
        ent_coef: NotNegative | str = "auto",
        target_entropy: float | Literal["auto"] = "auto",
        action_noise: NotNegative = 0.0,
        use_sde: bool = False,
        sde_sample_freq: Annotated[int, Ge(-1)] = -1,
        use_sde_at_warmup: bool = False,
        log_std_init: float = -3.0,
        share_features_extractor: bool = False,
        n_quantiles: Count = 25,
        n_critics: Count = 2,
        normalise_observations: bool = False,
        normalise_rewards: bool = False,
        device: Device = "auto",
    ) -> None:
        super().__init__(
            assignment,
            networks=Networks(
                backbone,
                units,
                activation,
                {
                    "log_std_init": log_std_init,
                    "share_features_extractor": share_features_extractor,
                    "n_quantiles": n_quantiles,
                    "n_critics": n_critics,
                },
            ),
            normalise_observations=normalise_observations,
            normalise_rewards=normalise_rewards,
            device=device,
            learning_rate=scheduled(learning_rate, learning_rate_decay),
            buffer_size=buffer_size,
            learning_starts=learning_starts,
            batch_size=batch_size,
            tau=tau,
            gamma=gamma,
            train_freq=train_freq,
            gradient_steps=gradient_steps,
            n_steps=n_steps,
            target_update_interval=target_update_interval,
            top_quantiles_to_drop_per_net=top_quantiles_to_drop_per_net,
            ent_coef=ent_coef,
            target_entropy=target_entropy,
            action_noise=action_noise_of(action_noise, assignment),
            use_sde=use_sde,
            sde_sample_freq=sde_sample_freq,
            use_sde_at_warmup=use_sde_at_warmup,
        )
