"""The order of the files: what takes long begins first, so that no process is left alone with it at the end."""

LONG = (
    "training/test_replicas.py",
    "experiment/test_imagination_runs.py",
    "experiment/test_ray_cluster.py",
    "plugins_policy_gradient/test_pg_probes.py",
    "experiment/test_launch.py",
    "test_docs.py",
    "rl/test_ray_runners.py",
    "experiment/test_dream_runs.py",
    "plugins_generative/test_dynamics.py",
    "experiment/test_resume_exact.py",
)


def pytest_collection_modifyitems(items):
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0].removeprefix("tests/"), len(LONG)))
