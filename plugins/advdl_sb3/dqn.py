"""DQN of stable-baselines3."""

from typing import Annotated

from annotated_types import Ge
from stable_baselines3 import DQN

from advdl.rl.own_loop import Assignment
from advdl_sb3.agent import SB3Agent
from advdl_sb3.networks import Activation, Networks
from advdl_sb3.options import Backbone, Count, Decay, Device, Positive, Share, Units, scheduled


class SB3DQN(SB3Agent):
    """Deep Q-Network (Mnih et al. 2015, doi:10.1038/nature14236), as stable-baselines3 has it.

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
        target_update_interval: Env steps from one update of the target network to the next.
        exploration_fraction: Share of the run over which exploration falls.
        exploration_initial_eps: Share of random actions at the start.
        exploration_final_eps: Share of random actions in the end.
        max_grad_norm: Largest global norm of a gradient.
        normalise_observations: Whether observations are normalised by a running mean and variance.
        normalise_rewards: Whether rewards are divided by the running deviation of returns.
        device: Where torch computes.

    Raises:
        UsageError: The algorithm cannot handle these spaces, or an argument.
    """

    algorithm = DQN

    def __init__(
        self,
        assignment: Assignment,
        *,
        backbone: Backbone = None,
        units: Units = None,
        activation: Activation | None = None,
        learning_rate: Positive = 1e-4,
        learning_rate_decay: Decay = "constant",
        buffer_size: Count = 1_000_000,
        learning_starts: Annotated[int, Ge(0)] = 100,
        batch_size: Count = 32,
        tau: Share = 1.0,
        gamma: Share = 0.99,
        train_freq: Count = 4,
        gradient_steps: Annotated[int, Ge(-1)] = 1,
        n_steps: Count = 1,
        target_update_interval: Count = 10_000,
        exploration_fraction: Share = 0.1,
        exploration_initial_eps: Share = 1.0,
        exploration_final_eps: Share = 0.05,
        max_grad_norm: Positive = 10.0,
        normalise_observations: bool = False,
        normalise_rewards: bool = False,
        device: Device = "auto",
    ) -> None:
        super().__init__(
            assignment,
            networks=Networks(backbone, units, activation),
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
            exploration_fraction=exploration_fraction,
            exploration_initial_eps=exploration_initial_eps,
            exploration_final_eps=exploration_final_eps,
            max_grad_norm=max_grad_norm,
        )
