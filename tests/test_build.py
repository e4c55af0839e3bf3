"""Test that the embedded data set can be rebuilt from its sources, bit for bit."""

import gzip
import importlib.util
import lzma
from pathlib import Path

import pytest
from safetensors.numpy import load as load_tensors

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture(scope="module")
def packed(build_script):
    if not FASHION_MNIST.is_dir():
        pytest.skip(
            f"{FASHION_MNIST} is not there: install Debian's dataset-fashion-mnist to rebuild the data set"
        )
    if importlib.util.find_spec("skimage") is None:
        pytest.skip("scikit-image is not installed: pip install -e .[data] to rebuild the data set")
    return build_script.build(FASHION_MNIST)


def test_the_build_script_reproduces_the_shipped_file_bit_for_bit(build_script, packed):
    shipped = build_script.OUTPUT.read_bytes()
    built, kept = (load_tensors(lzma.decompress(b)) for b in (packed, shipped))
    assert built.keys() == kept.keys()
    for name in kept:
        assert built[name].dtype == kept[name].dtype, name
        assert built[name].tobytes() == kept[name].tobytes(), name
    assert packed == shipped


def test_a_missing_source_is_named_with_the_way_to_get_it(build_script, tmp_path):
    with pytest.raises(SystemExit, match=r"train-images-idx3-ubyte\.gz is missing.*dataset-fashion-mnist"):
        build_script.build(tmp_path)


def test_another_source_is_refused(build_script, tmp_path):
    for name in build_script.SOURCES:
        (tmp_path / name).write_bytes(gzip.compress(b"something else"))
    with pytest.raises(SystemExit, match="not the original file"):
        build_script.build(tmp_path)
