"""The built-in data: their contract, what they read, and what they refuse."""

import gzip
import zipfile

import numpy as np
import pytest
from gymnasium import spaces
from PIL import Image

from advdl.errors import CorruptError, UsageError
from advdl.testing import check_data, component
from advdl_data.folder import Folder
from advdl_data.idx import Idx
from advdl_data.npz import Npz

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), np.uint8)


def save(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def image_folder(root, sizes=((4, 5),) * 6):
    for index, (width, height) in enumerate(sizes):
        folder = root / ("cats" if index % 2 else "dogs")
        folder.mkdir(exist_ok=True, parents=True)
        pixels = PIXELS[index][:height, :width] if (width, height) == (4, 5) else np.zeros((height, width, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return root


def write_idx(folder, images, labels):
    header = [(0x803, images.shape, images), (0x801, labels.shape, labels)]
    for name, (magic, shape, values) in zip(("images-idx3", "labels-idx1"), header, strict=True):
        content = np.array([magic, *shape], ">u4").tobytes() + values.astype(np.uint8).tobytes()
        (folder / f"train-{name}-ubyte.gz").write_bytes(gzip.compress(content))


def test_digits_keep_the_contract():
    check_data(component("data", "digits"))


class TestNpz:
    def test_the_contract(self, tmp_path):
        path = save(tmp_path / "a.npz", x=PIXELS, c=np.array([0, 1, 2, 0, 1, 2]))
        check_data(component("data", "npz", path=path))

    def test_images_without_channels_get_one(self, tmp_path):
        data = Npz(path=save(tmp_path / "a.npz", x=PIXELS[..., 0])).load()
        assert data.x.shape == (6, 5, 4, 1)
        assert data.c is None
        assert data.spec.c is None

    def test_vectors(self, tmp_path):
        x, c = np.linspace(0, 1, 12).reshape(6, 2), np.linspace(-3, 3, 6)
        data = Npz(path=save(tmp_path / "a.npz", x=x, c=c)).load()
        assert data.x.dtype == data.c.dtype == np.float32
        assert data.c.shape == (6, 1)
        assert data.spec.c == spaces.Box(-3, 3, (1,), np.float32)

    def test_a_range_can_be_stated(self, tmp_path):
        path = save(tmp_path / "a.npz", x=np.linspace(0.2, 0.8, 12).reshape(6, 2))
        data = Npz(path=path, low=0.0, high=1.0).load()
        assert data.spec.x == spaces.Box(0, 1, (2,), np.float32)
        with pytest.raises(UsageError, match=r"sample 3 of x has the value 0.527273, .* 0.2\.\.0.254545 to 0.5"):
            Npz(path=path, high=0.5).load()
        with pytest.raises(UsageError, match="cannot be from 1 to 0"):
            Npz(path=path, low=1.0, high=0.0)
        with pytest.raises(UsageError, match="'x' has bytes, and none can be -1"):
            Npz(path=save(tmp_path / "b.npz", x=PIXELS), low=-1.0).load()

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"y": PIXELS}, "has no array 'x'; it has y"),
            ({"x": PIXELS, "c": np.zeros(5, int)}, r"6 samples 'x' do not go with 'c' \[5\]"),
            ({"x": np.zeros((0, 3))}, r"at least one sample, not \[0, 3\]"),
            ({"x": np.array([[1.0], [np.nan]])}, "holds a NaN or an infinity"),
            ({"x": np.array([["a"], ["b"]])}, "holds no numbers"),
            ({"x": PIXELS, "c": np.array([0, 1, -1, 0, 0, 0])}, "classes in 'c' count from 0, and one is -1"),
        ],
    )
    def test_what_is_no_data_set(self, tmp_path, arrays, message):
        with pytest.raises(UsageError, match=message):
            Npz(path=save(tmp_path / "a.npz", **arrays)).load()

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(UsageError, match="there is no file"):
            Npz(path=str(tmp_path / "a.npz")).load()

    def test_a_damaged_file_and_a_pickle(self, tmp_path):
        path = tmp_path / "a.npz"
        save(path, x=PIXELS)
        path.write_bytes(path.read_bytes()[:200])
        pickled = save(tmp_path / "b.npz", x=np.array([{"a": 1}, None], object))
        for bad in (str(path), pickled):
            with pytest.raises(CorruptError, match="cannot be read"):
                Npz(path=bad).load()


class TestFolder:
    def test_a_folder_and_a_zip_of_it_are_the_same_data(self, tmp_path):
        root = image_folder(tmp_path / "pets")
        archive = tmp_path / "pets.zip"
        with zipfile.ZipFile(archive, "w") as file:
            for path in root.rglob("*.png"):
                file.write(path, path.relative_to(root).as_posix())
        one, two = (Folder(path=str(path)).load() for path in (root, archive))
        assert one.names == two.names == ("cats", "dogs")
        assert np.array_equal(one.x, two.x)
        assert np.array_equal(one.x, PIXELS[[1, 3, 5, 0, 2, 4]])
        assert one.c.tolist() == two.c.tolist() == [0, 0, 0, 1, 1, 1]
        check_data(component("data", "folder", path=str(root)))

    def test_odd_sizes_are_named_and_can_be_scaled(self, tmp_path):
        root = image_folder(tmp_path, sizes=((4, 5), (4, 5), (7, 3)))
        with pytest.raises(UsageError, match=r"1.png has 4x5 pixels and dogs/2.png 7x3") as caught:
            Folder(path=str(root)).load()
        assert caught.value.hint == "scale them all: --set data.size=64"
        assert Folder(path=str(root), size=8, colours="grey").load().x.shape == (3, 8, 8, 1)

    def test_a_damaged_image(self, tmp_path):
        root = image_folder(tmp_path)
        (root / "cats" / "1.png").write_bytes(b"no image")
        with pytest.raises(CorruptError, match=r"the image cats/1.png cannot be read"):
            Folder(path=str(root)).load()

    def test_no_images(self, tmp_path):
        with pytest.raises(UsageError, match="holds no images in folders"):
            Folder(path=str(tmp_path)).load()
        with pytest.raises(UsageError, match="is neither a folder nor a zip file"):
            Folder(path=str(tmp_path / "missing")).load()


class TestIdx:
    def test_the_contract(self, tmp_path):
        write_idx(tmp_path, PIXELS[..., 0], np.array([0, 1, 2, 0, 1, 2]))
        check_data(component("data", "idx", path=str(tmp_path)))
        assert np.array_equal(Idx(path=str(tmp_path)).load().x, PIXELS[..., :1])

    def test_a_truncated_file(self, tmp_path):
        write_idx(tmp_path, PIXELS[..., 0], np.zeros(6))
        path = tmp_path / "train-images-idx3-ubyte.gz"
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-1]))
        with pytest.raises(CorruptError, match=r"is 119 bytes long where \[6, 5, 4\] is promised"):
            Idx(path=str(tmp_path)).load()

    def test_nothing_there(self, tmp_path):
        with pytest.raises(UsageError, match="there is no file") as caught:
            Idx(path=str(tmp_path)).load()
        assert "dataset-fashion-mnist" in caught.value.hint
