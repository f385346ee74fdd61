"""Devices: what a run's updates are made on. Claimed once a process, before TensorFlow computes anything."""

import contextlib
import functools
from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf
from tensorflow.python.eager import context as eager_context

from advdl.errors import UsageError
from advdl.training.cluster import Cluster, cluster_of
from advdl.training.peers import PeerWatch

_HEARTBEAT_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Devices:
    """More than one device.

    Attributes:
        strategy: Runs and reduces on all of them.
        watch: Watches the other workers; None where there are none.
    """

    strategy: tf.distribute.Strategy
    watch: PeerWatch | None = None


def limit_threads(count: int) -> None:
    """Has each operation computed by so many threads; 0 leaves it to TensorFlow.

    Operations of a few microseconds take longer where threads wait for each other. Without effect in a process that has
    computed something already.

    Args:
        count: How many.
    """
    if count:
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(count)


def claim_devices(count: int, environ: Mapping[str, str]) -> Devices | None:
    """Sets up, or returns, what shares each update's batch; None for one device of one worker.

    Devices are the machine's GPUs, or parts of its CPU where it has none. With several workers, as ``TF_CONFIG`` says,
    this waits until all of them are there.

    Args:
        count: Devices of this process.
        environ: The environment.

    Raises:
        UsageError: There are not so many devices.
    """
    return _claimed(count, environ.get("TF_CONFIG", ""))


@functools.cache
def _claimed(count: int, tf_config: str) -> Devices | None:
    """The devices are the process' own, and set up once in it."""
    cluster = cluster_of({"TF_CONFIG": tf_config})
    if cluster is not None:
        return _several_workers(cluster, count)
    return None if count == 1 else Devices(_mirrored(count))


def _several_workers(cluster: Cluster, count: int) -> Devices:
    graphics = tf.config.list_physical_devices("GPU")
    if graphics:
        _enough(graphics, count)
        tf.config.set_visible_devices(graphics[:count], "GPU")
    elif count > 1:
        raise UsageError(
            f"a worker without GPUs has one device, not {count}", hint="start more workers, or set devices to 1"
        )
    _leave_failures_to_the_watch(len(cluster.addresses))
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    watch = PeerWatch(cluster)
    watch.start()
    return Devices(strategy, watch)


def _leave_failures_to_the_watch(workers: int) -> None:
    """Lets TensorFlow wait for a worker that is slow.

    Its own heartbeat gives a worker up that says nothing for 10 seconds: one of a machine that swaps, or sleeps, or of
    which a debugger has stopped it. Our watch sees the difference: a process that is gone has no port.
    """
    context = eager_context.context()
    if context.coordination_service is None:
        context.configure_coordination_service(
            service_type="standalone",
            service_leader="/job:worker/replica:0/task:0",
            heartbeat_timeout_in_ms=_HEARTBEAT_MS,
            coordinated_jobs=[eager_context.coordination_config_pb2.CoordinatedJob(name="worker", num_tasks=workers)],
        )


def _mirrored(count: int) -> tf.distribute.Strategy:
    graphics = tf.config.list_physical_devices("GPU")
    if graphics:
        _enough(graphics, count)
        return tf.distribute.MirroredStrategy([f"GPU:{index}" for index in range(count)])
    if not _cut_processor(count):
        raise UsageError(
            f"TensorFlow has started with fewer than {count} devices in this process", hint="start a new process"
        )
    return parts_of_processor(count)


def parts_of_processor(count: int) -> tf.distribute.Strategy:
    """Returns the strategy of the first parts of a processor that has been cut into as many or more."""
    # The parts share their memory, so there is nothing that a ring of messages could save.
    parts = [f"CPU:{index}" for index in range(count)]
    return tf.distribute.MirroredStrategy(parts, cross_device_ops=tf.distribute.ReductionToOneDevice())


def _cut_processor(count: int) -> bool:
    (processor, *_) = tf.config.list_physical_devices("CPU")
    try:
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError:  # it has started; perhaps with enough of them
        return len(tf.config.list_logical_devices("CPU")) >= count
    return True


def _enough(graphics: list[object], count: int) -> None:
    if len(graphics) < count:
        raise UsageError(f"this machine has {len(graphics)} GPUs, and devices is {count}")
