import keras
import numpy as np
import pytest
from advdl.testing import check_backbone, check_layer, check_loss, component


def test_the_backbone_keeps_its_contract() -> None:
    check_backbone(component("backbone", "gated_mlp"))


def test_the_layer_keeps_its_contract() -> None:
    check_layer(component("layer", "gate"))


def test_the_loss_keeps_its_contract() -> None:
    check_loss(component("loss", "huber_tail"))


def test_the_layer_goes_into_a_backbone_of_advdls_own() -> None:
    check_backbone(component("backbone", "mlp", units=[8], layer="gate"))


@pytest.mark.parametrize("error", [0.3, 1.0, 2.5, 4.0])
def test_up_to_the_tail_it_is_hubers_loss(error: float) -> None:
    ours, theirs = component("loss", "huber_tail")(), keras.losses.Huber(delta=1.0)
    target, prediction = np.zeros((2, 1), np.float32), np.full((2, 1), error, np.float32)
    np.testing.assert_allclose(ours(target, prediction), theirs(target, prediction), rtol=1e-6)


def test_beyond_it_an_error_ten_times_as_large_costs_little_more() -> None:
    loss, target = component("loss", "huber_tail")(), np.zeros((1, 1), np.float32)
    small, large = (float(loss(target, np.full((1, 1), error, np.float32))) for error in (40.0, 400.0))
    assert large - small == pytest.approx(4.0 * np.log(10.0), rel=1e-5)
