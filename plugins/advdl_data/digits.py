"""Handwritten digits that scikit-learn ships."""

import numpy as np
from gymnasium import spaces

from advdl.training import Data, Dataset, DataSpec
from advdl.training.dataset import image_space


class Digits(Data):
    """The test set of "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak 1998), as scikit-learn ships it.

    1,797 images of 8 by 8 pixels with 17 levels of grey, scaled to 0 to 255.
    """

    def load(self) -> Dataset:
        """Reads the images from the installed package."""
        from sklearn.datasets import load_digits

        loaded = load_digits()
        images = np.round(loaded.images * (255 / 16)).astype(np.uint8)[..., None]
        spec = DataSpec(image_space(images), spaces.Discrete(10))
        return Dataset(images, loaded.target.astype(np.int64), spec, tuple(map(str, range(10))))
