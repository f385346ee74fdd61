"""TRPO of sb3-contrib."""

from typing import Annotated

from annotated_types import Ge
from sb3_contrib import TRPO

from advdl.rl.own_loop import Assignment
from advdl_sb3.agent import SB3Agent
from advdl_sb3.networks import Activation, Networks
from advdl_sb3.options import Backbone, Count, Decay, Device, NotNegative, Positive, Share, Units, scheduled


class SB3TRPO(SB3Agent):
    """Trust Region Policy Optimization (Schulman et al. 2015, arXiv:1502.05477), as sb3-contrib has it.

    Args:
        assignment: What it learns in, and for how long.
        backbone: What it sees through; none takes stable-baselines3's own feature extractor.
        units: Widths of the layers behind it; none takes stable-baselines3's own.
        activation: What follows each of these layers; none takes stable-baselines3's own.
        learning_rate: Step size of the optimizer.
        learning_rate_decay: Whether the step size stays or falls to 0 over the run.
        n_steps: Env steps of every copy in a rollout.
        batch_size: Transitions in a batch.
        gamma: Discount factor.
        gae_lambda: Weight of longer returns in the advantage.
        cg_max_steps: Most steps of the conjugate gradient.
        cg_damping: Damping of the Fisher matrix.
        line_search_shrinking_factor: Factor between two tries of the line search.
        line_search_max_iter: Most tries of the line search.
        n_critic_updates: Updates of the critic for each of the policy.
        normalize_advantage: Whether advantages are normalised in each batch.
        target_kl: Divergence that an update may have.
        sub_sampling_factor: One of how many transitions the divergence is computed on.
        use_sde: Whether exploration depends on the state (gSDE, Raffin et al. 2020, arXiv:2005.05719).
        sde_sample_freq: Steps after which gSDE draws a new noise; -1 once a rollout.
        log_std_init: Logarithm of the deviation that exploration starts with.
        ortho_init: Whether kernels start orthogonal.
        share_features_extractor: Whether the networks see through one feature extractor.
        normalise_observations: Whether observations are normalised by a running mean and variance.
        normalise_rewards: Whether rewards are divided by the running deviation of returns.
        device: Where torch computes.

    Raises:
        UsageError: The algorithm cannot handle these spaces, or an argument.
    """

    algorithm = TRPO

    def __init__(
        self,
        assignment: Assignment,
        *,
        backbone: Backbone = None,
        units: Units = None,
        activation: Activation | None = None,
        learning_rate: Positive = 1e-3,
        learning_rate_decay: Decay = "constant",
        n_steps: Count = 2048,
        batch_size: Count = 128,
        gamma: Share = 0.99,
        gae_lambda: Share = 0.95,
        cg_max_steps: Count = 15,
        cg_damping: NotNegative = 0.1,
        line_search_shrinking_factor: Share = 0.8,
        line_search_max_iter: Count = 10,
        n_critic_updates: Count = 10,
        normalize_advantage: bool = True,
        target_kl: Positive = 0.01,
        sub_sampling_factor: Count = 1,
        use_sde: bool = False,
        sde_sample_freq: Annotated[int, Ge(-1)] = -1,
        log_std_init: float = 0.0,
        ortho_init: bool = True,
        share_features_extractor: bool = True,
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
                    "ortho_init": ortho_init,
                    "share_features_extractor": share_features_extractor,
                },
            ),
            normalise_observations=normalise_observations,
            normalise_rewards=normalise_rewards,
            device=device,
            learning_rate=scheduled(learning_rate, learning_rate_decay),
            n_steps=n_steps,
            batch_size=batch_size,
            gamma=gamma,
            gae_lambda=gae_lambda,
            cg_max_steps=cg_max_steps,
            cg_damping=cg_damping,
            line_search_shrinking_factor=line_search_shrinking_factor,
            line_search_max_iter=line_search_max_iter,
            n_critic_updates=n_critic_updates,
            normalize_advantage=normalize_advantage,
            target_kl=target_kl,
            sub_sampling_factor=sub_sampling_factor,
            use_sde=use_sde,
            sde_sample_freq=sde_sample_freq,
        )
