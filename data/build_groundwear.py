"""Build data/groundwear.safetensors.xz: Fashion-MNIST's footwear and garments on photographs of grounds.

    python data/build_groundwear.py --fashion-mnist DIR [--check]

DIR contains the four original .gz files. They are in Debian's package dataset-fashion-mnist, and torchvision
downloads them into <root>/FashionMNIST/raw. The textures come with scikit-image. The file does not contain
pictures, but the parts that `grmu.data` composes them from: a pool of 28 x 28 objects, one 256 x 256 ground
per texture, and for each picture of each variant which object lies on which window of which ground. The
composition uses integer arithmetic, so all machines get the same bits. --check compares the result with the
shipped file and writes nothing. `grmu.plots.group_sheet` draws the pictures of the data sheet.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import lzma
from pathlib import Path

import numpy as np
from safetensors.numpy import save

HERE = Path(__file__).parent
OUTPUT = HERE / "groundwear.safetensors.xz"
XZ_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
SIDE, TEXTURE_SIDE = 28, 256

SOURCES = {  # SHA-256 of the unpacked files, because mirrors compress them differently
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
TEXTURES = ["grass", "brick", "gravel", "coins", "tissue", "coffee", "clock"]
TEXTURE_FUNCTIONS = {"tissue": "immunohistochemistry"}  # others have the same name in skimage.data

FASHION = ["T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
           "ankle boot"]


def _many_counts() -> np.ndarray:
    """Return the group sizes of 9 classes x 7 grounds: uneven by class, nearly even by ground."""
    per_class = np.array([60, 90, 120, 220, 180, 110, 260, 70, 50])
    per_ground = np.array([1.0, 1.0, 1.1, 1.0, 0.9, 1.0, 0.8])
    return np.rint(np.outer(per_class, per_ground)).astype(int)


def variants() -> dict[str, dict]:
    """Return the variants: Fashion-MNIST labels and textures by index, and group sizes (n_y, n_a)."""
    boots = {"labels": [9, 7], "grounds": ["grass", "brick"]}
    many = _many_counts()
    return {
        "groundwear": boots | {
            "train": [[2400, 2350], [840, 102]], "val": [[500, 500]] * 2, "test": [[500, 500]] * 2,
            "forget": [1, 1], "seed": 1},
        "groundwear-memorised": boots | {
            "train": [[3498, 184], [56, 1057]], "val": [[500, 500]] * 2, "test": [[500, 500]] * 2,
            "forget": [1, 0], "seed": 2},
        "groundwear-many": {
            "labels": [0, 1, 2, 3, 4, 5, 6, 7, 9], "grounds": TEXTURES,
            "train": many.tolist(), "val": [[20] * 7] * 9, "test": [[100] * 7] * 9,
            "forget": [6, 1], "seed": 3},
    }


def read_fashion_mnist(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return images, uint8 (N, 28, 28), and labels of "train" and "test", after checking the SHA-256."""
    raw = {}
    for name, expected in SOURCES.items():
        path = folder / name
        if not path.is_file():
            raise SystemExit(f"{path} is missing: install Debian's dataset-fashion-mnist, or download "
                             "FashionMNIST with torchvision, and pass the folder of the four .gz files.")
        raw[name] = gzip.decompress(path.read_bytes())
        if (digest := hashlib.sha256(raw[name]).hexdigest()) != expected:
            raise SystemExit(f"{path} is not the original file: its unpacked SHA-256 must be {expected}, "
                             f"got {digest}.")

    def read(prefix: str) -> tuple[np.ndarray, np.ndarray]:
        images = np.frombuffer(raw[f"{prefix}-images-idx3-ubyte.gz"], np.uint8, offset=16)
        labels = np.frombuffer(raw[f"{prefix}-labels-idx1-ubyte.gz"], np.uint8, offset=8)
        return images.reshape(-1, SIDE, SIDE), labels

    return {"train": read("train"), "test": read("t10k")}


def ground(name: str) -> np.ndarray:
    """Return a texture as grey levels, uint8 (256, 256): clip(0.35 + 0.15 * standardised texture, 0, 1)."""
    try:
        import skimage.data
    except ImportError:
        raise SystemExit("scikit-image has the textures, but is missing: "
                         "run pip install -e '.[data]'.") from None

    image = np.asarray(getattr(skimage.data, TEXTURE_FUNCTIONS.get(name, name))()).astype(np.float64)
    if image.ndim == 3:
        image = image[..., :3] @ np.array([0.299, 0.587, 0.114])
    if min(image.shape) >= 2 * TEXTURE_SIDE:  # halve large textures, whose grain is too fine for 28 pixels
        image = image[: 2 * TEXTURE_SIDE, : 2 * TEXTURE_SIDE]
        image = image.reshape(TEXTURE_SIDE, 2, TEXTURE_SIDE, 2).mean((1, 3))
    image = image[:TEXTURE_SIDE, :TEXTURE_SIDE]
    standardised = (image - image.mean()) / image.std()
    return np.rint(255 * np.clip(0.35 + 0.15 * standardised, 0, 1)).astype(np.uint8)


def build(folder: Path) -> bytes:
    """Return all variants as one compressed safetensors file."""
    fashion = read_fashion_mnist(folder)
    order = {  # all variants use the same order of objects, so that they share most of the pool
        (part, label): np.random.RandomState(100 * label + (part == "test")).permutation(
            np.flatnonzero(labels == label))
        for part, (_, labels) in fashion.items() for label in range(10)
    }
    tensors, used = {}, {}
    for name, spec in variants().items():
        rng = np.random.RandomState(spec["seed"])
        taken: dict[tuple[str, int], int] = {}
        for split in ("train", "val", "test"):
            part = "test" if split == "test" else "train"
            rows = []
            for y, label in enumerate(spec["labels"]):
                for a, count in enumerate(spec[split][y]):
                    start = taken.get((part, label), 0)
                    taken[part, label] = start + count
                    objects = order[part, label][start : start + count]
                    if len(objects) < count:
                        raise SystemExit(f"{name}/{split}: "
                                         f"only {len(order[part, label])} pictures of {FASHION[label]}")
                    rows += [(used.setdefault((part, int(i)), len(used)), y, a) for i in objects]
            table = np.array(rows)[rng.permutation(len(rows))]
            key = f"{name}.{split}."
            tensors[key + "object"] = table[:, 0].astype(np.uint16)
            tensors[key + "y"] = table[:, 1].astype(np.uint8)
            tensors[key + "a"] = table[:, 2].astype(np.uint8)
            corners = rng.randint(0, TEXTURE_SIDE - SIDE + 1, size=(len(rows), 2))
            tensors[key + "row"], tensors[key + "col"] = corners.astype(np.uint8).T.copy()
    tensors["objects"] = np.stack([fashion[part][0][i] for part, i in used])
    tensors["textures"] = np.stack([ground(name) for name in TEXTURES])
    described = {
        name: {"class_names": [FASHION[i] for i in spec["labels"]], "attribute_names": spec["grounds"],
               "textures": [TEXTURES.index(g) for g in spec["grounds"]], "forget_group": spec["forget"]}
        for name, spec in variants().items()
    }
    # safetensors does not fix the order of several metadata keys, so there is only one
    packed = save(tensors, metadata={"variants": json.dumps(described, sort_keys=True)})
    return lzma.compress(packed, format=lzma.FORMAT_XZ, check=lzma.CHECK_SHA256, filters=XZ_FILTERS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fashion-mnist", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--check", action="store_true", help="compare with the shipped file, write nothing")
    options = parser.parse_args()
    packed = build(options.fashion_mnist)
    digest = hashlib.sha256(packed).hexdigest()
    if options.check:
        same = OUTPUT.read_bytes() == packed
        raise SystemExit(0 if same else f"{OUTPUT.name} differs from what this script builds "
                                        f"(SHA-256 {digest}).")
    OUTPUT.write_bytes(packed)
    (HERE / "groundwear.sha256").write_text(f"{digest}  {OUTPUT.name}\n")
    print(f"{OUTPUT.name}: {len(packed) / 2**20:.2f} MiB, SHA-256 {digest}")


if __name__ == "__main__":
    main()
