"""TD3 of stable-baselines3."""

from typing import Annotated

from annotated_types import Ge
from stable_baselines3 import TD3

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


class SB3TD3(SB3Agent):
    """Twin Delayed DDPG (Fujimoto et al. 2018, arXiv:1802.09477), as stable-baselines3 has it.

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
        policy_delay: Updates of the critic for each of the actor.
        target_policy_noise: Deviation of the noise on the target's actions.
        target_noise_clip: Largest noise on the target's actions.
        action_noise: Deviation of the normal noise on actions; 0 for none, as stable-baselines3 begins.
        share_features_extractor: Whether the networks see through one feature extractor.
        normalise_observations: Whether observations are normalised by a running mean and variance.
        normalise_rewards: Whether rewards are divided by the running deviation of returns.
        device: Where torch computes.

    Raises:
        UsageError: The algorithm cannot handle these spaces, or an argument.
    """

    algorithm = TD3

    def __init__(
        self,
        assignment: Assignment,
        *,
        backbone: Backbone = None,
        units: Units = None,
        activation: Activation | None = None,
        learning_rate: Positive = 1e-3,
        learning_rate_decay: Decay = "constant",
        buffer_size: Count = 1_000_000,
        learning_starts: Annotated[int, Ge(0)] = 100,
        batch_size: Count = 256,
        tau: Share = 0.005,
        gamma: Share = 0.99,
        train_freq: Count = 1,
        gradient_steps: Annotated[int, Ge(-1)] = 1,
        n_steps: Count = 1,
        policy_delay: Count = 2,
        target_policy_noise: NotNegative = 0.2,
        target_noise_clip: NotNegative = 0.5,
        action_noise: NotNegative = 0.1,
        share_features_extractor: bool = False,
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
                    "share_features_extractor": share_features_extractor,
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
            policy_delay=policy_delay,
            target_policy_noise=target_policy_noise,
            target_noise_clip=target_noise_clip,
            action_noise=action_noise_of(action_noise, assignment),
        )
