"""Test that wrong use fails early with one sentence that names the value, what is allowed and the fix."""

import math
from dataclasses import dataclass

import pytest
import torch

from grmu import Experiment, data, methods, models, run, run_all
from grmu.__main__ import main
from grmu.batch.entry import Parameters
from grmu.data import GroupedDataset, split_forget
from grmu.experiments import map_experiments
from grmu.metrics import fairness, mia_efficacy
from grmu.mine import MINE, Estimator
from grmu.models import Network
from grmu.prior import change_prior, predict_shift, temperature
from grmu.reweight import group_weights, sample_weights
from grmu.training import Context, Method, TrainConfig

NAN, INF = math.nan, math.inf


def shoes() -> GroupedDataset:
    return data.load("groundwear").train


def three(x: object = ((0.0,),) * 3, y: object = (0, 1, 1), a: object = (0, 0, 1), **names: object):
    return GroupedDataset(x, y, a, **names)


def estimator(**wrong: object) -> Estimator:
    return Estimator(**{"mine": MINE(2, 2, 4), "lr": 0.1, "rng": torch.Generator(), **wrong})


@dataclass
class Own(Method):
    """A method that a notebook defines."""


class Bare:
    """A class that is not a method."""


# --- what is called, and what its sentence holds ------------------------------------------------------------

EXPERIMENT = [
    ({"dataset": "groundware"}, "'groundware'", "did you mean groundwear?", "one of", "groundwear-many"),
    ({"dataset": ["x"]}, "['x']"),
    ({"method": "mui"}, "'mui': did you mean miu?"), ({"method": methods.MIU}, "MIU", "choose one of"),
    ({"reweight": 1}, "reweight", "got 1", "False, True"),
    ({"ratio": 0}, "ratio must be in (0, 1], got 0."), ({"ratio": 1.5}, "(0, 1]", "got 1.5"),
    ({"ratio": "0.5"}, "'0.5'", "(0, 1]"), ({"ratio": NAN}, "nan", "(0, 1]"), ({"ratio": True}, "True"),
    ({"ratio": [0.5]}, "[0.5]", "(0, 1]"),
    ({"groups": "all"}, "'all'", "uniform"), ({"groups": (1, 1)}, "(1, 1)", "pairs"),
    ({"groups": []}, "[]", "pairs"), ({"groups": [(-1, 0)]}, "(-1, 0)", "pairs"),
    ({"groups": [(1.0, 1)]}, "1.0", "pairs"), ({"seed": -1}, "seed", "from 0", "-1"),
    ({"seed": 0.5}, "whole", "0.5"), ({"seed": 10**30}, "seed", "4294967295"),
    ({"protocol": "theirs"}, "protocol", "ours, released", "'theirs'"),
    ({"split_seed": "a"}, "split_seed", "'a'"), ({"root": 5}, "root", "folder", "got 5"),
    ({"grouping": "cluster"}, "'cluster'", "clusters"),
    ({"method": "pretrain", "grouping": "probe"}, "pretrain", "true", "'probe'"),
    ({"overrides": "lr=1"}, "overrides", "map", "'lr=1'"),
    ({"overrides": {"LR": 1}}, "'LR'", "did you mean lr?"),
    ({"overrides": {"lamda": 1}}, "unknown setting in miu overrides 'lamda': did you mean lam?"),
    ({"overrides": {None: 1}}, "None", "choose one of"), ({"pretraining": {"lam": 1}}, "'lam'", "epochs"),
    ({"overrides": {"calibration": "no"}}, "calibration", "False, True", "'no'"),
    ({"overrides": {"lam": NAN}}, "lam", "from 0 to 1000000", "nan"),
    ({"overrides": {"epochs": 1.5}}, "epochs", "whole number from 0 to 10000", "1.5"),
    ({"overrides": {"lr": None}}, "lr", "None"), ({"overrides": {"model": "resnet50"}}, "'resnet50'"),
    ({"overrides": {"schedule": "linear"}}, "schedule", "cosine, constant", "'linear'"),
    ({"overrides": {"retaining": False, "calibration": False}}, "retain pass has no loss"),
    ({"method": "retrain", "overrides": {"lam": 1}}, "lam", "retrain", "choose one of"),
    ({"method": "pretrain", "reweight": True}, "does not combine with REWEIGHT", "whole training set"),
    ({"method": "rwg", "reweight": True}, "does not combine with REWEIGHT", "samples by itself"),
    ({"method": "gradient_ascent", "reweight": True, "overrides": {"retains": False}}, "reweight=False"),
]

CALLS = [
    (lambda: run("groundwear"), "'groundwear'", "Experiment"),
    (lambda: run(Experiment(), device="gpu"), "'gpu'", "'cpu' or 'cuda'"),
    (lambda: run(Experiment(), store=5), "store", "folder", "got 5"),
    (lambda: run(Experiment(groups=[(7, 7)])), "(7, 7)", "from 0 to 1"),
    (lambda: run(Experiment(ratio=0.001)), "0.001", "raise it"),
    (lambda: run(Experiment(root="nowhere")), "nowhere", "git checkout"),
    (lambda: run(Experiment("waterbirds", overrides={"pretrained": False})), "waterbirds", "root="),
    (lambda: run(Experiment(overrides={"model": "bert"})), "bert", "(1, 28, 28)", "cnn"),
    (lambda: run(Experiment("negation", overrides={"model": "cnn"})), "cnn", "(2, 12)", "minilm"),
    (lambda: run_all(["miu"]), "'miu'", "Experiment"),
    (lambda: list(map_experiments(str, [Experiment()], jobs=0)), "jobs", "from 1", "got 0"),
    (lambda: data.load("groundware"), "'groundware'", "groundwear"),
    (lambda: data.load("groundwear", protocol="theirs"), "'theirs'", "released"),
    (lambda: data.load("celeba"), "celeba", "root=", "python -m grmu data celeba"),
    (lambda: split_forget("groundwear", 0.5), "'groundwear'", "GroupedDataset"),
    (lambda: split_forget(shoes(), 0.5, "default"), "'default'", "(1, 1)"),
    (lambda: split_forget(shoes(), 0.5, [(1.7, 0)]), "(1.7, 0)", "integers"),
    (lambda: split_forget(shoes(), 0.5, seed="a"), "seed", "'a'"),
    (lambda: three(x="abc"), "x", "array", "'abc'"), (lambda: three(x=[[0.0]]), "1, 3 and 3"),
    (lambda: three(y=[[0], [1], [1]]), "y", "one number per sample", "(3, 1)"),
    (lambda: three(class_names="ab"), "'ab'", "list"), (lambda: three(class_names=["a"]), "declared"),
    (lambda: three().in_groups(3), "got 3", "(1, 1)"),
    (lambda: group_weights([4, 4], [4]), "(2,)", "(1,)"), (lambda: group_weights("ab", [1]), "'ab'"),
    (lambda: sample_weights(shoes(), "retain"), "'retain'", "GroupedDataset"),
    (lambda: MINE(0, 2), "n_features", "from 1", "got 0"),
    (lambda: estimator(group_bar="gumbel"), "'gumbel'", "exact, uniform, shuffle"),
    (lambda: estimator(optimizer="rmsprop"), "'rmsprop'", "adam, sgd"),
    (lambda: estimator(ema=2), "ema", "0 to 1", "2"),
    (lambda: fairness(shoes().y, shoes(), [(9, 0)]), "(9, 0)"),
    (lambda: mia_efficacy([0.1], [0.2], [0.1], [0], [0]), "tensors (N,)"),
    (lambda: change_prior(torch.zeros(2, 2), torch.zeros(2, 2, 2), torch.zeros(2, 2)), "above 0"),
    (lambda: predict_shift(torch.zeros(2, 2), torch.zeros(2, 3, 2), torch.zeros(2, 2)), "(2, 3, 2)"),
    (lambda: temperature(torch.zeros(0, 2), torch.zeros(0)), "(0, 2)"),
    (lambda: methods.get("mui"), "'mui'", "miu"), (lambda: methods.register("", Own), "''", "string"),
    (lambda: methods.register("own", Bare), "Bare", "Method"),
    (lambda: methods.register("own", type("Plain", (Method,), {})), "Plain", "@dataclass"),
    (lambda: methods.SCRUB(temperature=0), "temperature", "0.01 to 1000", "got 0"),
    (lambda: methods.SSD(alpha=INF), "alpha", "0 to 1000000", "inf"),
    (lambda: TrainConfig(batch_size=1), "batch_size", "from 2", "got 1"),
    (lambda: TrainConfig(momentum=1), "momentum", "0.9999"), (lambda: TrainConfig(lr="fast"), "'fast'"),
    (lambda: TrainConfig(warmup_epochs=20), "warmup_epochs", "0 to 14", "20"),
    (lambda: TrainConfig(keep="first"), "keep", "last, best", "'first'"),
    (lambda: Context(*[None] * 6, TrainConfig(keep="best")), "keep", "last", "'best'", "val"),
    (lambda: Network("text", pretrained=True), "text", "pretrained to False"),
    (lambda: models.build(Network(), "groundwear", 0), "'groundwear'", "GroupedDataset"),
    (lambda: Parameters(reweight="yes"), "'yes'", "'both'"), (lambda: Parameters(n_seeds=0), "n_seeds", "0"),
    (lambda: Parameters(device="cuda:99" if torch.cuda.is_available() else "gpu"), "cuda"),
    (lambda: Parameters(overrides={"epochs": 3}, method="retrain"), "retrain", "leave lam"),
    (lambda: Parameters(groups=[[1]]), "[1]", "pairs"),
]

COMMANDS = [("", "COMMAND"), ("demos", "'demos'", "demo"), ("demo --ratio 1.5", "1.5", "(0, 1]"),
            ("demo --ratio half", "'half'", "--ratio"), ("demo --ratio 0.001", "0.001", "raise it"),
            ("demo --seeds 0", "n_seeds", "from 1", "0"), ("demo --seed x", "--seeds", "'x'"),
            ("demo --jobs 0", "--jobs", "from 1", "'0'"), ("audit --shadows 1", "shadows", "from 2"),
            ("data imagenet", "'imagenet'", "celeba"), ("data celeba --root none", "none", "folder"),
            ("data celeba --cache", "--cache", "--root"), ("data --root none", "--root", "name"),
            ("weights vgg", "'vgg'", "resnet18"), ("weights minilm --download", "'minilm'", "resnet18_timm"),
            ("plan", "grid"), ("plan none.yaml", "none.yaml", "cannot be read"), ("plan .", "cannot be read"),
            ("dry-run none.yaml", "none.yaml", "cannot be read"), ("dry-run --jobs 0 x", "from 1")]

# what a sweep's YAML file says: of the grid, then of its only block
GRIDS = [("[1, 2]", "[1, 2]", "map names"), ("", "None", "map names"), ("{output: [", "YAML"),
         ("{output: OUT}", "lacks blocks"), ("{output: '', blocks: [1]}", "output", "''"),
         ("{output: OUT, blocks: []}", "blocks", "[]"), ("{output: OUT, blocks: [5]}", "block 1", "got 5"),
         ("{output: OUT, block: []}", "'block'", "did you mean blocks?"),
         ("{output: OUT, blocks: [5], device: gpu}", "'gpu'", "'cuda'"),
         ("{output: OUT, blocks: [{datasets: [groundwear]}]}", "block 1", "lacks methods, seeds")]
BLOCKS = [("methods: miu", "'miu'", "list"), ("methods: [mui]", "'mui'", "miu"), ("methods: []", "[]"),
          ("metods: [miu]", "'metods'", "did you mean methods?"), ("datasets: [shoes]", "'shoes'"),
          ("datasets: [celeba]", "celeba", "root="), ("seeds: [-1]", "-1", "from 0"),
          ("seeds: ['0']", "'0'", "from 0"), ("ratios: [1.5]", "1.5", "(0, 1]"),
          ("reweight: 'yes'", "'yes'", "'both'"), ("groups: [[7, 7]]", "(7, 7)"),
          ("groups: {y: [1]}", "lists y and a"), ("overrides: 5", "got 5", "map"),
          ("overrides: {laam: 1}", "laam"), ("overrides: {model: bert}", "bert", "cnn"),
          ("methods: [group_dro], reweight: true", "group_dro", "REWEIGHT")]


@pytest.fixture(autouse=True)
def watched(tmp_path, monkeypatch):
    """Check that nothing is trained and that the working folder stays empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRMU_STORE", str(tmp_path / "store"))
    monkeypatch.setattr("grmu.training.train", lambda *_, **__: pytest.fail("something was trained"))
    yield
    assert list(tmp_path.iterdir()) == []


def check_sentence(sentence: str, parts: tuple[str, ...]) -> None:
    assert len(sentence.splitlines()) == 1, sentence
    assert [part for part in parts if part not in sentence] == [], sentence


@pytest.mark.parametrize(("wrong", "parts"), [(row[0], row[1:]) for row in EXPERIMENT], ids=str)
def test_an_experiment_rejects(wrong, parts):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the sentence is looked at below
        Experiment(**wrong)
    check_sentence(str(caught.value), parts)


@pytest.mark.parametrize(("call", "parts"), [(row[0], row[1:]) for row in CALLS])
def test_a_call_rejects(call, parts):
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        call()
    check_sentence(str(caught.value), parts)


@pytest.mark.parametrize(("line", "parts"), [(row[0], row[1:]) for row in COMMANDS])
def test_a_command_rejects(line, parts, capsys):
    try:
        code = main(line.split())
    except SystemExit as stopped:  # argparse's own, after what may be written
        code = stopped.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    check_sentence(err[err.index("error: "):].strip(), parts)


@pytest.mark.parametrize(("text", "parts"), [
    *[(row[0], row[1:]) for row in GRIDS],
    *[(f"{{output: OUT, blocks: [{{BLOCK{row[0]}}}]}}", row[1:]) for row in BLOCKS]])
def test_a_sweep_rejects(text, parts, tmp_path_factory, capsys):
    path = tmp_path_factory.mktemp("grid") / "grid.yaml"
    text = text.replace("BLOCK", "datasets: [groundwear], methods: [miu], seeds: [0], ")
    path.write_text(text.replace("OUT", str(path.parent / "out")))
    test_a_command_rejects(f"plan {path}", parts, capsys)
    assert not (path.parent / "out").exists()
