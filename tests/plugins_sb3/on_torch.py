"""Run as a script, on Keras' torch backend: what the tests want to know of a process that has it."""

import functools
import json
import sys
from pathlib import Path

SMALL = {"widths": (8, 8), "strides": (1, 2), "stem_strides": 1, "units": 16, "norm": "batch"}
STEPS = 90


def main(folder):
    from advdl.training.backend import start_torch

    start_torch()
    import gymnasium
    import numpy as np
    import torch
    from pixels import Pixels
    from sb3_cases import SEED, snapshot, unequal, unheard

    from advdl.plugin.host import PluginHost
    from advdl.rl.own_loop import Assignment
    from advdl.rl.spaces import Spaces
    from advdl.training.array_file import ArrayFile
    from advdl.training.checkpoint import CheckpointStore
    from advdl.training.transfer import backbone_arrays, signature
    from advdl_sb3.dqn import SB3DQN
    from advdl_vision.resnet import ResNet

    torch.set_num_threads(1)
    gymnasium.register("Pixels-v0", Pixels)
    spaces = Spaces(Pixels.observation_space, Pixels.action_space)
    assignment = Assignment(spaces, "Pixels-v0", 2, SEED, STEPS)
    options = {"learning_starts": 20, "buffer_size": 60, "batch_size": 8, "target_update_interval": 30}
    make = functools.partial(SB3DQN, assignment, backbone=functools.partial(ResNet, **SMALL), **options)
    images = np.load(folder / "images.npy")

    def features(agent):
        policy = agent.model.policy
        policy.set_training_mode(False)
        with torch.no_grad():
            seen, _ = policy.obs_to_tensor(images)
            return policy.q_net.extract_features(seen, policy.q_net.features_extractor).numpy()

    straight, stopped, resumed = make(), make(), make()
    straight.learn(STEPS, unheard)
    stopped.learn(STEPS // 2, unheard)
    lost = resumed.restore(*snapshot(stopped))
    resumed.learn(STEPS, unheard)
    moved = [name for name, array in straight.state().items() if name.endswith("moving_mean") and array.any()]
    np.save(folder / "trained.npy", features(straight))
    CheckpointStore(folder / "of_sb3", tensor_format=ArrayFile()).save(STEPS, straight.state(), {})
    report = {
        "without_tensorflow": "tensorflow" not in sys.modules,
        "keys": len(straight.model.policy.q_net.features_extractor.net.variables),
        "parameters": sum(p.requires_grad for p in straight.model.policy.q_net.features_extractor.parameters()),
        "moved": moved,
        "lost": list(lost),
        "unequal": unequal(straight.state(), resumed.state()),
        "names": unstable(PluginHost.from_environment()),
    }
    native = CheckpointStore(folder / "of_dqn").load().arrays
    for backbone in stopped.backbones():
        for variable, array in zip(
            backbone.variables, backbone_arrays(native, signature(backbone.variables)), strict=True
        ):
            variable.assign(array)
    np.save(folder / "crossed.npy", features(stopped))
    layered = make(backbone=functools.partial(ResNet, **SMALL | {"norm": "layer"}))
    layered.export(folder / "layered.onnx", "onnx")
    np.save(folder / "actions.npy", layered.act(images))
    (folder / "report.json").write_text(json.dumps(report))


def unstable(host):
    """Names of backbones whose second instance in a process has other names than the first."""
    from sb3_cases import BACKBONES

    found = []
    for name, space in BACKBONES.items():
        first, second = (host.build("backbone", name, space) for _ in range(2))
        if list(first.state_dict()) != list(second.state_dict()):
            found.append(name)
        second.load_state_dict(first.state_dict())
    return found


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent)]
    main(Path(sys.argv[1]))
