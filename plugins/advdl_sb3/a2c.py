"""A2C of stable-baselines3."""

from typing import Annotated

from annotated_types import Ge
from stable_baselines3 import A2C

from advdl.rl.own_loop import Assignment
from advdl_sb3.agent import SB3Agent
from advdl_sb3.networks import Activation, Networks
from advdl_sb3.options import Backbone, Count, Decay, Device, NotNegative, Positive, Share, Units, scheduled


class SB3A2C(SB3Agent):
    """Advantage Actor-Critic (Mnih et al. 2016, arXiv:1602.01783), as stable-baselines3 has it.

    Args:
        assignment: What it learns in, and for how long.
        backbone: What it sees through; none takes stable-baselines3's own feature extractor.
        units: Widths of the layers behind it; none takes stable-baselines3's own.
        activation: What follows each of these layers; none takes stable-baselines3's own.
        learning_rate: Step size of the optimizer.
        learning_rate_decay: Whether the step size stays or falls to 0 over the run.
        n_steps: Env steps of every copy in a rollout.
        gamma: Discount factor.
        gae_lambda: Weight of longer returns in the advantage.
        ent_coef: Weight of the entropy.
        vf_coef: Weight of the value's loss.
        max_grad_norm: Largest global norm of a gradient.
        rms_prop_eps: Epsilon of RMSProp.
        use_rms_prop: Whether the optimizer is RMSProp; Adam otherwise.
        normalize_advantage: Whether advantages are normalised in each batch.
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

    algorithm = A2C

    def __init__(
        self,
        assignment: Assignment,
        *,
        backbone: Backbone = None,
        units: Units = None,
        activation: Activation | None = None,
        learning_rate: Positive = 7e-4,
        learning_rate_decay: Decay = "constant",
        n_steps: Count = 5,
        gamma: Share = 0.99,
        gae_lambda: Share = 1.0,
        ent_coef: NotNegative = 0.0,
        vf_coef: NotNegative = 0.5,
        max_grad_norm: Positive = 0.5,
        rms_prop_eps: Positive = 1e-5,
        use_rms_prop: bool = True,
        normalize_advantage: bool = False,
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
            gamma=gamma,
            gae_lambda=gae_lambda,
            ent_coef=ent_coef,
            vf_coef=vf_coef,
            max_grad_norm=max_grad_norm,
            rms_prop_eps=rms_prop_eps,
            use_rms_prop=use_rms_prop,
            normalize_advantage=normalize_advantage,
            use_sde=use_sde,
            sde_sample_freq=sde_sample_freq,
        )
