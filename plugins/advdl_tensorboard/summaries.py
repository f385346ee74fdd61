"""Builds what TensorBoard's dashboards read: scalars, text, histograms, hyperparameters, chart layouts."""

import io
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as layout_metadata
from tensorboard.plugins.histogram import metadata as histogram_metadata
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.text import metadata as text_metadata
from tensorboard.util.tensor_util import make_tensor_proto

_BUCKETS = 30


def scalar(tag: str, value: float) -> Summary.Value:
    """Builds a scalar; TensorBoard converts this compact form when it reads it."""
    return Summary.Value(tag=tag, simple_value=value)


def text(tag: str, markdown: str) -> Summary.Value:
    """Builds a text that TensorBoard shows as Markdown."""
    return _tensor(tag, np.array([markdown.encode()], object), text_metadata.create_summary_metadata(tag, ""))


def histogram(tag: str, values: NDArray[Any]) -> Summary.Value | None:
    """Builds a histogram of the finite values, or None when there are none."""
    finite = values[np.isfinite(values)].astype(np.float64)
    if finite.size == 0:
        return None
    counts, edges = np.histogram(finite, bins=_BUCKETS)
    buckets = np.stack([edges[:-1], edges[1:], counts], axis=1)
    return _tensor(tag, buckets, histogram_metadata.create_summary_metadata(tag, ""))


def image(tag: str, pixels: NDArray[np.uint8]) -> Summary.Value:
    """Builds a picture from uint8 ``[height, width, 3]``; TensorBoard converts this compact form when it reads it."""
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, format="PNG")
    height, width, channels = pixels.shape
    content = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=png.getvalue())
    return Summary.Value(tag=tag, image=content)


def session_start(options: Mapping[str, Any]) -> Summary.Value:
    """Opens the run's row of the HPARAMS table.

    There is no experiment summary beside it: one run's would fix the table's columns for all runs. Without it
    TensorBoard takes the options and metrics of every run and puts those options first that differ.
    """
    start = plugin_data_pb2.SessionStartInfo(start_time_secs=time.time())
    for name, value in options.items():
        if isinstance(value, bool):
            start.hparams[name].bool_value = value
        elif isinstance(value, (int, float)):
            start.hparams[name].number_value = value
        else:
            start.hparams[name].string_value = str(value)
    data = plugin_data_pb2.HParamsPluginData(session_start_info=start)
    return _hparams(hparams_metadata.SESSION_START_INFO_TAG, data)


def session_end(*, succeeded: bool) -> Summary.Value:
    """Closes the row of the HPARAMS table."""
    status = api_pb2.STATUS_SUCCESS if succeeded else api_pb2.STATUS_FAILURE
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    data = plugin_data_pb2.HParamsPluginData(session_end_info=end)
    return _hparams(hparams_metadata.SESSION_END_INFO_TAG, data)


def layout() -> Summary.Value:
    """Builds the CUSTOM SCALARS page: the evaluations' return in its interval, and the losses."""
    interval = layout_pb2.MarginChartContent.Series(
        value="eval/return_mean", lower="eval/return_low", upper="eval/return_high"
    )
    charts = [
        layout_pb2.Chart(title="return and its 95% interval", margin=layout_pb2.MarginChartContent(series=[interval])),
        layout_pb2.Chart(
            title="return: mean, IQM",
            multiline=layout_pb2.MultilineChartContent(tag=["eval/return_mean", "eval/return_iqm"]),
        ),
        layout_pb2.Chart(title="losses", multiline=layout_pb2.MultilineChartContent(tag=["loss/.*"])),
    ]
    content = layout_pb2.Layout(category=[layout_pb2.Category(title="advdl", chart=charts)])
    data = np.array(content.SerializeToString(), object)
    return _tensor(layout_metadata.CONFIG_SUMMARY_TAG, data, layout_metadata.create_summary_metadata())


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every leaf of a configuration as ``("agent.gamma", 0.99)``."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value


def table(options: Mapping[str, Any]) -> str:
    """Writes options as a Markdown table."""
    rows = (f"| {_cell(name)} | {_cell(value)} |" for name, value in options.items())
    return "\n".join(["| setting | value |", "|---|---|", *rows])


def _cell(value: Any) -> str:
    return str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("_", "\\_")


def _tensor(tag: str, data: NDArray[Any], metadata: SummaryMetadata) -> Summary.Value:
    return Summary.Value(tag=tag, tensor=make_tensor_proto(data), metadata=metadata)


def _hparams(tag: str, data: plugin_data_pb2.HParamsPluginData) -> Summary.Value:
    # The table is made of metadata alone; the tensor is TensorBoard's own empty one.
    empty = TensorProto.FromString(hparams_metadata.NULL_TENSOR.SerializeToString())
    return Summary.Value(tag=tag, tensor=empty, metadata=hparams_metadata.create_summary_metadata(data))
