"""What this plugin offers."""

from collections.abc import Iterable

from advdl.plugin import Component, hookimpl


@hookimpl
def advdl_components() -> Iterable[Component]:
    """Offers data sets: one that a package ships, and those of the user's own files."""
    return [
        Component(
            "data",
            "digits",
            "advdl_data.digits:Digits",
            "scikit-learn's 1,797 handwritten digits, 8 by 8 pixels",
            requires=("sklearn",),
            extra="advdl[data]",
        ),
        Component(
            "data",
            "env",
            "advdl.rl.env_data:EnvData",
            "transitions of an env: random or of a run's policy",
            details={"named": "env"},
        ),
        Component(
            "data",
            "minari",
            "advdl_data.minari_datasets:MinariDatasets",
            "transitions of a data set that Minari has on this machine",
            requires=("minari", "h5py"),
            extra="advdl[minari]",
            details={"named": "dataset"},
        ),
        Component("data", "npz", "advdl_data.npz:Npz", "arrays x and, where there are any, c of a .npz file"),
        Component("data", "folder", "advdl_data.folder:Folder", "images, a folder for each class, zipped or not"),
        Component("data", "idx", "advdl_data.idx:Idx", "idx files, as MNIST and Fashion-MNIST come in"),
    ]
