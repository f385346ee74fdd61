"""Rainbow: DQN with all of its switches on."""

from typing import ClassVar

from advdl.plugin import Choice
from advdl.rl import Spaces
from advdl_dqn.agent import DQN
from advdl_dqn.options import (
    Backbone,
    Count,
    Distributional,
    Loss,
    NotNegative,
    Positive,
    Schedule,
    Share,
    Store,
    Units,
    Weight,
)


class Rainbow(DQN):
    """Rainbow (Hessel et al. 2018, arXiv:1710.02298): ``dqn`` with other defaults, and nothing else.

    Returns must lie between ``lowest_return`` and ``highest_return``: set them for your env.

    Args:
        spaces: Any observation that the backbone takes; ``Discrete`` actions.
        backbone: Turns observations into features.
        loss: Compares Q-values with their targets; a distributional agent has its own.
        gamma: Discount factor.
        double: Choose the next action with the online network and value it with the target network.
        dueling: Tell the value of an observation from the advantages of actions (Wang et al. 2016).
        n_step: Rewards in a target before it bootstraps (Sutton 1988).
        prioritized: Sample transitions in proportion to what was learnt from them (Schaul et al. 2016).
        noisy: Explore by noise in the head's weights (Fortunato et al. 2018); epsilon stays what it is.
        distributional: Learn the distribution of returns: as probabilities of fixed returns (c51, Bellemare et al.
            2017) or as quantiles (qr, Dabney et al. 2018).
        atoms: Returns or quantiles of a distribution.
        lowest_return: The lowest return of c51.
        highest_return: The highest return of c51.
        head_units: Widths of hidden layers between the backbone and the output, in each stream of a dueling head.
        sigma: The noise that noisy layers start with.
        conservative: How much the loss holds down actions that the data do not show (CQL, Kumar et al. 2020): for
            learning from a fixed set of transitions, where nothing else corrects a value that is too high.
        epsilon: Share of random actions, by env steps.
        priority_exponent: How much priorities count; 0 samples uniformly.
        importance: How far sampling by priority is undone in the loss, by env steps; 1 is all of it.
        frame_stack: Frames that an observation stacks, as its last axis or as its first, the newest last: the replay
            then stores each once. 1 stores any array once, 0 stores observation and next observation whole.
        batch_size: Transitions in a batch.
        buffer_size: Transitions that the replay keeps.
        buffer_store: Where it keeps observations: memory, or disk for a buffer that is larger; that needs the host
            engine.
        buffer_folder: Where a folder for them is made on the disk; empty for the run's folder.
        learning_starts: Env steps before the first update.
        train_every: Env steps from one round of updates to the next.
        updates: Updates in a round.
        target_every: Updates from one copy of the online network into the target network to the next.
    """

    name: ClassVar[str] = "rainbow"

    def __init__(
        self,
        spaces: Spaces,
        *,
        backbone: Backbone = Choice("mlp", {"units": (128, 128)}),  # type: ignore[assignment]
        loss: Loss = Choice("huber"),  # type: ignore[assignment]
        gamma: Share = 0.99,
        double: bool = True,
        dueling: bool = True,
        n_step: Count = 3,
        prioritized: bool = True,
        noisy: bool = True,
        distributional: Distributional = "c51",
        atoms: Count = 51,
        lowest_return: float = -10.0,
        highest_return: float = 10.0,
        head_units: Units = (),
        sigma: Positive = 0.5,
        conservative: Weight = 0.0,
        epsilon: Schedule = Choice("constant", {"value": 0.0}),  # type: ignore[assignment]
        priority_exponent: Share = 0.5,
        importance: Schedule = Choice("linear", {"start": 0.4, "end": 1.0}),  # type: ignore[assignment]
        frame_stack: NotNegative = 0,
        batch_size: Count = 32,
        buffer_size: Count = 100_000,
        buffer_store: Store = "memory",
        buffer_folder: str = "",
        learning_starts: NotNegative = 1_000,
        train_every: Count = 4,
        updates: Count = 1,
        target_every: Count = 250,
    ) -> None:
        super().__init__(
            spaces,
            backbone=backbone,
            loss=loss,
            gamma=gamma,
            double=double,
            dueling=dueling,
            n_step=n_step,
            prioritized=prioritized,
            noisy=noisy,
            distributional=distributional,
            atoms=atoms,
            lowest_return=lowest_return,
            highest_return=highest_return,
            head_units=head_units,
            sigma=sigma,
            conservative=conservative,
            epsilon=epsilon,
            priority_exponent=priority_exponent,
            importance=importance,
            frame_stack=frame_stack,
            batch_size=batch_size,
            buffer_size=buffer_size,
            buffer_store=buffer_store,
            buffer_folder=buffer_folder,
            learning_starts=learning_starts,
            train_every=train_every,
            updates=updates,
            target_every=target_every,
        )
