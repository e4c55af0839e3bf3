"""Wrong use, door by door: it ends in one sentence that says the value, what is allowed, and the fix;
never in a traceback or in work, and nothing is written."""

import math
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from grmu import Experiment, data, methods, models, run, run_all
from grmu.__main__ import main
from grmu.analysis import audit, paper, results, search, shadows, studies
from grmu.data import GroupedDataset, split_forget
from grmu.data.files import naming
from grmu.experiments import map_experiments, train_or_load
from grmu.metrics import fairness, mia_efficacy
from grmu.mine import MINE, Estimator
from grmu.models import Network
from grmu.reweight import group_weights, sample_weights
from grmu.scale.batch import Parameters
from grmu.training import Method, TrainConfig

NAN, INF, REPOSITORY = math.nan, math.inf, Path(__file__).parents[1]
GRID = REPOSITORY / "workflow" / "embedded.yaml"
WIDE = torch.zeros(4, 3)  # no pictures, no sentences


def shoes() -> GroupedDataset:
    return data.load("groundwear").train


def pairs() -> GroupedDataset:
    return data.load("negation").train


def three(x: object = ((0.0,),) * 3, y: object = (0, 1, 1), a: object = (0, 0, 1), **names: object):
    return GroupedDataset(x, y, a, **names)


def estimator(**wrong: object) -> Estimator:
    return Estimator(**{"mine": MINE(2, 2, 4), "lr": 0.1, "rng": torch.Generator(), **wrong})


@dataclass
class Own(Method):
    """A method of a notebook's."""


class Bare:
    """A class that is no method."""


# --- what is called, and what its sentence holds ------------------------------------------------------------

EXPERIMENT = [
    ({"dataset": "groundware"}, "'groundware'", "groundwear-many"),
    ({"dataset": ["groundwear"]}, "['groundwear']"), ({"dataset": None}, "data set None", "negation"),
    ({"dataset": 5}, "data set 5", "groundwear"),
    ({"dataset": b"groundwear"}, "b'groundwear'", "groundwear-many"), ({"method": "mui"}, "'mui'", "miu"),
    ({"method": ["miu"]}, "method ['miu']", "scrub"), ({"method": None}, "method None", "retrain"),
    ({"method": methods.MIU}, "MIU", "choose one of"), ({"method": {}}, "method {}", "salun"),
    ({"reweight": "false"}, "reweight", "False, True", "'false'"),
    ({"reweight": "yes"}, "'yes'", "False, True"), ({"reweight": 2}, "is 2", "False, True"),
    ({"reweight": 1}, "is 1", "False, True"), ({"reweight": None}, "is None", "False, True"),
    ({"reweight": []}, "is []", "False, True"), ({"ratio": 0}, "(0, 1]", "is 0"),
    ({"ratio": -0.5}, "(0, 1]", "-0.5"), ({"ratio": 50}, "is 50", "0.5"),
    ({"ratio": "0.5"}, "'0.5'", "(0, 1]"), ({"ratio": NAN}, "nan", "(0, 1]"),
    ({"ratio": INF}, "inf", "(0, 1]"), ({"ratio": None}, "None", "(0, 1]"),
    ({"ratio": True}, "True", "(0, 1]"), ({"ratio": [0.5]}, "[0.5]", "(0, 1]"),
    ({"ratio": [0.5, 0.1], "groups": [(1, 1)]}, "[0.5, 0.1]", "as many groups"),
    ({"ratio": [0.5, 7], "groups": [(1, 1), (0, 0)]}, "is 7", "(0, 1]"),
    ({"groups": "all"}, "'all'", "uniform"), ({"groups": None}, "None", "uniform"),
    ({"groups": 1}, "is 1", "pairs"), ({"groups": (1, 1)}, "(1, 1)", "pairs"),
    ({"groups": []}, "[]", "pairs"), ({"groups": [(1,)]}, "[(1,)]", "pairs"),
    ({"groups": [(1.0, 1)]}, "1.0", "pairs"), ({"groups": [("1", "1")]}, "'1'", "pairs"),
    ({"groups": [(-1, 0)]}, "(-1, 0)", "pairs"), ({"groups": [[1, 1, 1]]}, "[1, 1, 1]", "pairs"),
    ({"seed": -1}, "seed", "from 0", "-1"), ({"seed": "0"}, "seed", "'0'"), ({"seed": 0.5}, "whole", "0.5"),
    ({"seed": None}, "seed", "None"), ({"seed": True}, "seed", "True"), ({"seed": [0, 1]}, "seed", "[0, 1]"),
    ({"seed": 10**30}, "seed", "4294967295"),
    ({"protocol": "theirs"}, "protocol", "ours, released", "'theirs'"),
    ({"split_seed": "a"}, "split_seed", "'a'"),
    ({"split_seed": -3}, "split_seed", "from 0", "-3"), ({"split_seed": 1.5}, "split_seed", "whole", "1.5"),
    ({"half": 1}, "half", "False, True", "is 1"), ({"half": "no"}, "half", "False, True", "'no'"),
    ({"root": 5}, "root", "folder", "is 5"), ({"root": ["/data"]}, "root", "folder", "['/data']"),
    ({"root": True}, "root", "folder", "True"), ({"grouping": "cluster"}, "'cluster'", "clusters"),
    ({"grouping": None}, "None", "true, clusters"), ({"grouping": True}, "True", "true, clusters"),
    ({"grouping": ["true"]}, "['true']", "clusters"),
    ({"method": "pretrain", "grouping": "probe"}, "pretrain", "true", "'probe'"),
    ({"overrides": None}, "overrides", "map", "None"), ({"overrides": "lr=1"}, "overrides", "map", "'lr=1'"),
    ({"overrides": [("lr", 1)]}, "overrides", "map", "('lr', 1)"),
    ({"overrides": {"LR": 1}}, "LR", "lr", "choose"), ({"overrides": {1: 2, "a": 3}}, "1, a", "choose from"),
    ({"overrides": {None: 1}}, "None", "choose from"),
    ({"overrides": {"calibration": "no"}}, "calibration", "False, True", "'no'"),
    ({"overrides": {"unlearning": 0}}, "unlearning", "False, True", "is 0"),
    ({"overrides": {"retaining": None}}, "retaining", "False, True", "None"),
    ({"overrides": {"augment": "true"}}, "augment", "False, True", "'true'"),
    ({"overrides": {"augment": 1.0}}, "augment", "False, True", "1.0"),
    ({"overrides": {"lam": NAN}}, "lam", "from 0 to 1000000", "nan"),
    ({"overrides": {"lam": "1"}}, "lam", "number from 0", "'1'"),
    ({"overrides": {"epochs": 1.5}}, "epochs", "whole number from 0 to 10000", "1.5"),
    ({"overrides": {"epochs": INF}}, "epochs", "to 10000", "inf"),
    ({"overrides": {"lr": -1}}, "lr", "from 0 to 100", "-1"), ({"overrides": {"lr": None}}, "lr", "None"),
    ({"overrides": {"schedule": ["cosine"]}}, "schedule", "cosine, constant", "['cosine']"),
    ({"overrides": {"optimizer": None}}, "optimizer", "sgd, adamw", "None"),
    ({"overrides": {"batch_size": True}}, "batch_size", "whole number from 2", "True"),
    ({"overrides": {"model": "resnet50"}}, "'resnet50'", "resnet18"),
    ({"method": "retrain", "overrides": {"lam": 1}}, "lam", "retrain", "choose from"),
    ({"reweight": True, "overrides": {"lam": -1}}, "lam", "from 0 to 1000000", "-1"),
    ({"overrides": {"group_bar": "gumbel"}}, "group_bar no longer exists", "Algorithm 1", "miu_released"),
    *[({"method": name, "reweight": True}, name, "does not combine with REWEIGHT")
      for name in ("pretrain", "group_dro", "rwg", "subg")],
    *[({"method": name, "reweight": True, "overrides": {"retains": False}}, f"{name} without a retain pass")
      for name in ("gradient_ascent", "boundary_shrink", "boundary_expand")],
]

RUNNING = [
    (lambda: run("groundwear"), "'groundwear'", "Experiment()"), (lambda: run(None), "None", "Experiment()"),
    (lambda: run(Experiment), "Experiment()"), (lambda: run([Experiment()]), "Experiment(", "must be an"),
    (lambda: run(Experiment(), device="gpu"), "'gpu'", "'cpu' or 'cuda'"),
    (lambda: run(Experiment(), device=0), "is 0", "'cpu' or 'cuda'"),
    (lambda: run(Experiment(), device=None), "None", "'cpu' or 'cuda'"),
    (lambda: run(Experiment(), store=5), "store", "folder", "is 5"),
    (lambda: run(Experiment(), on_epoch="print"), "on_epoch", "function", "'print'"),
    (lambda: run(Experiment(), fresh="no"), "fresh", "False, True", "'no'"),
    (lambda: run(Experiment(groups=[(7, 7)])), "(7, 7)", "from 0 to 1"),
    (lambda: run(Experiment(ratio=0.001)), "0.001", "raise it"),
    (lambda: run(Experiment(root="nowhere")), "nowhere", "git checkout"),
    (lambda: run(Experiment("waterbirds", overrides={"pretrained": False})), "waterbirds", "root="),
    (lambda: run(Experiment(overrides={"model": "bert"})), "bert", "(1, 28, 28)", "cnn"),
    (lambda: run(Experiment(overrides={"model": "text"})), "text", "(1, 28, 28)", "cnn"),
    (lambda: run(Experiment("negation", overrides={"model": "cnn"})), "cnn", "(2, 12)", "minilm"),
    (lambda: run(Experiment("negation", overrides={"model": "resnet18"})), "resnet18", "(2, 12)", "text"),
    (lambda: train_or_load("miu"), "'miu'", "Experiment()"),
    (lambda: train_or_load(Experiment(), device="tpu"), "'tpu'", "cuda"),
    (lambda: run_all(Experiment()), "experiments", "[Experiment()]"),
    (lambda: run_all(None), "None", "[Experiment()]"), (lambda: run_all(["miu"]), "'miu'", "Experiment()"),
    (lambda: run_all([Experiment()], jobs=0), "jobs", "from 1", "0"),
    (lambda: run_all([Experiment()], jobs=-1), "jobs", "from 1", "-1"),
    (lambda: run_all([Experiment()], jobs="2"), "jobs", "from 1", "'2'"),
    (lambda: run_all([Experiment()], jobs=True), "jobs", "from 1", "True"),
    (lambda: run_all([Experiment()], jobs=1.5), "jobs", "whole", "1.5"),
    (lambda: run_all([Experiment()], device="gpu"), "'gpu'", "'cpu' or 'cuda'"),
    (lambda: list(map_experiments(str, [5])), "is 5", "Experiment()"),
    (lambda: list(map_experiments(str, [Experiment()], jobs=0)), "jobs", "from 1", "is 0"),
]

DATA = [
    (lambda: data.load("groundware"), "'groundware'", "groundwear"),
    (lambda: data.load(["groundwear"]), "['ground"), (lambda: data.load(None), "None", "groundwear"),
    (lambda: data.load({}), "{}", "groundwear"), (lambda: data.load("groundwear", 5), "root", "is 5"),
    (lambda: data.load("groundwear", []), "root", "[]"), (lambda: data.load("celeba"), "celeba", "root="),
    (lambda: data.load("celeba", True), "root", "True"),
    (lambda: split_forget("groundwear", 0.5), "'groundwear'", "GroupedDataset"),
    (lambda: split_forget(data.load("groundwear"), 0.5), "GroupedDataset", "data.load(name).train"),
    (lambda: split_forget(shoes(), "half"), "'half'", "(0, 1]"),
    (lambda: split_forget(shoes(), True), "True", "0.5"),
    (lambda: split_forget(shoes(), 50), "is 50", "(0, 1]"),
    (lambda: split_forget(shoes(), NAN), "nan", "(0, 1]"),
    (lambda: split_forget(shoes(), 0.5, "default"), "'default'", "(1, 1)"),
    (lambda: split_forget(shoes(), 0.5, 5), "is 5", "(1, 1)"),
    (lambda: split_forget(shoes(), 0.5, []), "[]", "(1, 1)"),
    (lambda: split_forget(shoes(), 0.5, (1, 1)), "not 1", "pair (y, a)"),
    (lambda: split_forget(shoes(), 0.5, [(1.7, 0)]), "(1.7, 0)", "integers"),
    (lambda: split_forget(shoes(), 0.5, [("1", "0")]), "('1', '0')", "integers"),
    (lambda: split_forget(shoes(), 0.5, [(2, 0)]), "(2, 0)", "from 0 to 1"),
    (lambda: split_forget(shoes(), 0.5, seed=-1), "seed", "from 0", "-1"),
    (lambda: split_forget(shoes(), 0.5, seed="a"), "seed", "'a'"),
    (lambda: split_forget(shoes(), 0.5, seed=0.5), "seed", "whole", "0.5"),
    (lambda: split_forget(shoes(), 1.0), "whole training set", "lower the ratio"),
    (lambda: three(x=None), "x", "array", "None"), (lambda: three(x="abc"), "x", "array", "'abc'"),
    (lambda: three(x=[[NAN], [0.0], [0.0]]), "x", "NaN", "sample 0"),
    (lambda: three(x=[[0.0]]), "1, 3 and 3"), (lambda: three(y=None), "y", "array", "None"),
    (lambda: three(y=["a", "b", "c"]), "y", "array", "['a', 'b', 'c']"),
    (lambda: three(y=[0, 0.5, 1]), "y", "whole"),
    (lambda: three(y=[[0], [1], [1]]), "y", "one number a sample", "(3, 1)"),
    (lambda: three(a=-1), "a", "one number a sample"), (lambda: three(a=[0, -1, 1]), "a", "-1"),
    (lambda: three(class_names="ab"), "'ab'", "list"), (lambda: three(class_names=["a"]), "1", "declared"),
    (lambda: three(attribute_names=[0, 1]), "[0, 1]", "texts"),
    (lambda: three().group_id("left"), "'left'", "pair"),
    (lambda: three().group_id((1.0, 1.0)), "(1.0, 1.0)", "integers"),
    (lambda: three().in_groups(3), "is 3", "(1, 1)"),
]

MEASURES = [
    (lambda: group_weights([4, 4], [4]), "(2,)", "(1,)"),
    (lambda: group_weights([4], [5]), "5", "impossible"),
    (lambda: group_weights([4], [NAN]), "nan", "impossible"),
    (lambda: group_weights("ab", [1]), "'ab'", "array"), (lambda: group_weights(None, [1]), "None", "array"),
    (lambda: sample_weights(None, shoes()), "None", "train"),
    (lambda: sample_weights(shoes(), "retain"), "'retain'", "GroupedDataset"),
    (lambda: MINE(0, 2), "n_features", "from 1", "is 0"),
    (lambda: MINE(2, "4"), "n_groups", "from 1", "'4'"),
    (lambda: MINE(2, 2, hidden=-1), "hidden", "from 1", "-1"),
    (lambda: estimator(group_bar="gumbel"), "'gumbel'", "exact, uniform, shuffle"),
    (lambda: estimator(group_bar=None), "None", "exact, uniform, shuffle"),
    (lambda: estimator(lr="1"), "lr", "'1'"),
    (lambda: estimator(batch_size=0), "batch_size", "from 1", "is 0"),
    (lambda: estimator(ema=2), "ema", "0 to 1", "2"),
    (lambda: fairness(shoes().y, shoes(), []), "[]", "(1, 1)"),
    (lambda: fairness(shoes().y, shoes(), [(9, 0)]), "(9, 0)"),
    (lambda: fairness(shoes().y, shoes(), "default"), "'default'", "(1, 1)"),
    (lambda: mia_efficacy([0.1], [0.2], [0.1], [0], [0]), "tensors (N,)"),
    (lambda: mia_efficacy(*[torch.zeros(0)] * 3, *[torch.zeros(0, dtype=torch.long)] * 2), "not empty"),
]

METHODS = [
    (lambda: methods.get("mui"), "'mui'", "miu"), (lambda: methods.get(None), "None", "miu"),
    (lambda: methods.get(["miu"]), "['miu']", "miu"), (lambda: methods.get(Own), "Own", "miu"),
    (lambda: methods.register(5, Own), "is 5", "text"), (lambda: methods.register("", Own), "''", "text"),
    (lambda: methods.register("own", "miu.MIU"), "'miu.MIU'", "@dataclass"),
    (lambda: methods.register("own", Bare), "Bare", "Method"),
    (lambda: methods.register("own", Own()), "Own()", "class"),
    (lambda: methods.register("own", type("Plain", (Method,), {})), "Plain", "@dataclass"),
    (lambda: methods.MIU(calibration="no"), "calibration", "False, True", "'no'"),
    (lambda: methods.MIU(retaining=0), "retaining", "False, True", "is 0"),
    (lambda: methods.SCRUB(temperature=0), "temperature", "0.01 to 1000", "is 0"),
    (lambda: methods.SSD(alpha=INF), "alpha", "0 to 1000000", "inf"),
    (lambda: methods.GradientAscent(retains=1), "is 1"),
    (lambda: TrainConfig(epochs=-1), "epochs", "0 to 10000", "-1"),
    (lambda: TrainConfig(lr="fast"), "lr", "0 to 100", "'fast'"),
    (lambda: TrainConfig(augment=2), "augment", "False, True", "is 2"),
    (lambda: TrainConfig(schedule=None), "cosine, constant"),
    (lambda: TrainConfig(batch_size=0), "batch_size", "from 2", "is 0"),
    (lambda: TrainConfig(momentum=1), "momentum", "0.9999"),
    (lambda: TrainConfig(warmup_epochs=20), "warmup_epochs", "0 to 14", "20"),
    (lambda: Network(model=5), "cnn", "is 5"),
    (lambda: Network(pretrained="no"), "pretrained", "False, True", "'no'"),
    (lambda: Network(precision=32), "fp32", "32"),
    (lambda: Network("text", pretrained=True), "text", "pretrained to False"),
    (lambda: models.build(Network("cnn"), pairs(), 0), "cnn", "(2, 12)", "bert"),
    (lambda: models.build(Network("resnet18"), pairs(), 0), "resnet18", "(2, 12)", "text"),
    (lambda: models.build(Network("text"), shoes(), 0), "text", "(1, 28, 28)", "cnn"),
    (lambda: models.build(Network("bert"), shoes(), 0), "bert", "(1, 28, 28)", "cnn"),
    (lambda: models.build(Network(), GroupedDataset(WIDE, [0] * 4, [0] * 4), 0), "cnn", "(3,)"),
    (lambda: models.build(Network(), "groundwear", 0), "'groundwear'", "GroupedDataset"),
]

STUDIES = [
    (lambda: results.load("reference"), "'reference'", "references"),
    (lambda: results.load(["text"]), "['text']", "text"), (lambda: results.load(5), "grid 5", "references"),
    (lambda: results.load("text", methods="miu"), "'methods'", "method"),
    (lambda: results.load("text", ratio="half"), "ratio", "0 to 1", "'half'"),
    (lambda: results.load("text", ratio=None), "ratio", "0 to 1", "None"),
    (lambda: results.compute(["reference"]), "'reference'", "references"),
    (lambda: results.compute([5]), "grid 5", "text"), (lambda: studies.load("costs"), "'costs'", "cost"),
    (lambda: studies.load(["cost"]), "['cost']", "cost"),
    (lambda: studies.compute("costs"), "'costs'", "cost"),
    (lambda: paper.table("result"), "'result'", "results"),
    (lambda: paper.table(["results"]), "['results']", "ablation"),
    (lambda: paper.results("celebb"), "'celebb'", "celeba"),
    (lambda: paper.results("celeba", "0.5"), "'0.5'", "(0, 1]"),
    (lambda: paper.results("celeba", 50), "50", "(0, 1]"),
    (lambda: shadows.shadows(Experiment(), 0), "shadows", "from 1", "is 0"),
    (lambda: shadows.shadows(Experiment(), "8"), "shadows", "from 1", "'8'"),
    (lambda: shadows.observe_all(Experiment(), -3), "shadows", "from 1", "-3"),
    (lambda: shadows.observe_all(Experiment(), 4, jobs=0), "jobs", "from 1", "is 0"),
    (lambda: audit.judge(None, "lira"), "'lira'", "U-LiRA"),
    (lambda: audit.judge(None, None), "None", "U-LiRA"),
    (lambda: search.settings("groundwear", "pretrain"), "'pretrain'", "miu"),
    (lambda: search.search("groundwear", "miu"), "'m'", "miu"),
    (lambda: search.search("groundwear", []), "at least one"),
    (lambda: search.search("groundware", ["miu"]), "'groundware'", "groundwear"),
    (lambda: search.search("groundwear", ["ssd"], jobs=0), "jobs", "from 1", "is 0"),
]

PARAMETERS = [
    (lambda: Parameters(dataset=["groundwear"]), "['groundwear']", "negation"),
    (lambda: Parameters(method=5), "5", "miu"), (lambda: Parameters(reweight="yes"), "'yes'", "'both'"),
    (lambda: Parameters(reweight=None), "None", "'both'"),
    (lambda: Parameters(reweight=2), "is 2", "true, false"),
    (lambda: Parameters(n_seeds=0), "n_seeds", "from 1", "0"),
    (lambda: Parameters(n_seeds=10**9), "n_seeds", "to 1000", "1000000000"),
    (lambda: Parameters(n_seeds=True), "True"), (lambda: Parameters(seed="0"), "seed", "from 0", "'0'"),
    (lambda: Parameters(ratio="50%"), "'50%'", "(0, 1]"),
    (lambda: Parameters(ratio=[0.5], groups=[[1, 1]]), "[0.5]", "(0, 1]"),
    (lambda: Parameters(lam="10"), "lam", "number from 0", "'10'"),
    (lambda: Parameters(lam=NAN), "lam", "nan"), (lambda: Parameters(overrides=None), "overrides", "None"),
    (lambda: Parameters(overrides=[]), "overrides", "map"),
    (lambda: Parameters(references="no"), "references", "False, True", "'no'"),
    (lambda: Parameters(root=5), "root", "5"), (lambda: Parameters(output=None), "output", "folder", "None"),
    (lambda: Parameters(device="gpu"), "'gpu'", "'cuda'"),
    (lambda: Parameters(lam=1, method="finetune"), "unknown setting lam", "finetune"),
    (lambda: Parameters(overrides={"epochs": 3}, method="retrain"), "retrain", "leave lam"),
    (lambda: Parameters(reweight=True, method="group_dro"), "group_dro", "REWEIGHT"),
    (lambda: Parameters("waterbirds", overrides={"model": "cnn"}), "cnn", "pretrained to False"),
    (lambda: Parameters("waterbirds", overrides={"precision": "fp16"}), "'fp16'", "fp32, bf16"),
    (lambda: Parameters(device=["cpu"]), "['cpu']", "'cuda'"),
    (lambda: Parameters(groups=[[1]]), "[1]", "pairs"),
]

# arguments of python -m grmu; {folder} is one that is empty, {file} a text, {broken} a notebook that is none
COMMANDS = [
    ("", "command"), ("demos", "'demos'", "demo"), ("--tracebak demo", "usage"),
    ("--trace demo", "--traceback"), ("demo --ratio 1.5", "1.5", "(0, 1]"),
    ("demo --ratio nan", "nan", "(0, 1]"), ("demo --ratio 0", "0", "(0, 1]"),
    ("demo --ratio 0.001", "0.001 of 102", "raise it"),
    ("demo --ratio half", "'half'", "--ratio"), ("demo --seeds 0", "n_seeds", "from 1", "0"),
    ("demo --seeds -2", "-2"), ("demo --seed 1", "--seed 1", "--seeds"), ("demo --seeds 1.5", "'1.5'"),
    ("demo --seeds 99999999", "to 1000"), ("demo fast", "fast", "--seeds"),
    ("demo --ratio", "--ratio", "one argument"), ("demo --rat 0.5", "--rat", "--ratio"),
    ("audit --shadows 0", "is 0", "from 2"),
    ("audit --shadows -3", "-3", "from 2"), ("audit --shadows 1", "is 1"),
    ("audit --shadows many", "'many'", "from 2"), ("audit --jobs 0", "is 0", "from 1"),
    ("audit --jobs -1", "-1"), ("audit --jobs two", "'two'", "from 1"), ("audit --ratio 2", "2.0", "(0, 1]"),
    ("audit --ratio inf", "inf"), ("audit --ratio nan", "nan", "(0, 1]"),
    ("audit --method miau", "'miau'", "miu"), ("audit --reweight yes", "yes"),
    ("audit --dataset celeba", "'celeba'", "groundwear-memorised"), ("audit --rew", "--rew", "--reweight"),
    ("audit --method group_dro --reweight", "group_dro", "REWEIGHT"),
    ("audit --shadow 4", "--shadow 4", "--shadows"), ("bench --quic", "--quic", "--quick"),
    ("bench --quick --lessons", "not allowed", "--quick"),
    ("bench --scale --quick", "not allowed", "--scale"), ("bench fast", "fast", "--quick"),
    ("bench --out b.json", "--out", "--scale"),
    ("data imagenet", "'imagenet'", "celeba"), ("data celeba fairface", "fairface"),
    ("data --root {folder}", "--root", "name"), ("data celeba --root none", "none", "folder"),
    ("data celeba --root {file}", "file.txt", "folder"), ("data celeba --cache", "--cache", "--root"),
    ("data fairface --repair", "--repair", "--root"), ("data celeba --roo {folder}", "--root"),
    ("notebooks {folder}", "folder", ".ipynb"), ("notebooks none.ipynb", "none.ipynb", "is no notebook"),
    ("notebooks {file}", "file.txt", ".ipynb"), ("notebooks --chek", "--chek", "--check"),
    ("check-notebooks {folder}", "folder", ".ipynb"), ("check-notebooks none.ipynb", "none.ipynb", ".ipynb"),
    ("check-notebooks {file}", "file.txt", ".ipynb"), ("check-notebooks --all", "--all"),
    ("labs --lab lab9", "'lab9'", "lab3"),
    ("labs --jobs 2000", "--grade"), ("labs --seconds 5", "--seconds", "--grade"),
    ("labs --out {file}", "file.txt", "folder"), ("labs --grade {file}", "file.txt", "SUBMISSIONS=folder"),
    ("labs --grade none", "none", "SUBMISSIONS=folder"),
    ("labs --grade {folder}", "folder", "LAB_STUDENT.ipynb"),
    ("labs --grade {folder} --jobs 0", "is 0", "from 1"),
    ("labs --grade {folder} --seconds nan", "nan", "from 1"),
    ("labs --grade {folder} --seconds -1", "-1.0", "from 1"),
    ("labs --grade {folder} --cell-seconds inf", "inf", "from 1"),
    ("labs --grade {folder} --gigabytes 0", "from 0.1"),
    ("labs --grade {folder} --gigabytes lots", "'lots'", "from 0.1"), ("labs --grad {folder}", "--grade"),
    ("labs --grade {folder} --lab 3", "'3'", "lab3"),
    ("labs --grade {folder} --out {file}", "file.txt", "folder"),
    ("results --only", "--only", "at least one"), ("results --only reference", "'reference'", "references"),
    ("results --jobs 0", "is 0", "from 1"), ("results --jobs 1.5", "'1.5'", "from 1"),
    ("results --miss", "--missing"), ("results text", "text", "--only"),
    ("weights vgg", "'vgg'", "resnet18"), ("weights --download", "resnet18, resnet18_timm, bert"),
    ("weights minilm --download", "resnet18, resnet18_timm, bert"), ("weights resnet18 bert", "bert"),
    ("weights --down", "--download"), ("search --dataset celeba", "'celeba'", "groundwear"),
    ("search --method pretrain", "'pretrain'", "miu"), ("search --method", "--method", "at least one"),
    ("search --jobs 0", "is 0", "from 1"), ("search --job 1", "--jobs"), ("sweep", "plan", "cost"),
    ("sweep plans x", "'plans'", "plan"), ("sweep plan", "grid"), ("sweep plan {folder}", "folder"),
    ("sweep plan none.yaml", "none.yaml", "cannot be read"), ("sweep plan {file}", "a grid must map"),
    ("sweep plan {grid} --coun", "--coun", "--count"), ("sweep plan {grid} {grid}", "embedded.yaml"),
    ("sweep plan {broken}", "broken.ipynb", "YAML"), ("sweep plan {bytes}", "bytes.yaml", "YAML"),
    ("sweep cost {grid} --images-per-second nan", "nan", "above 0"),
    ("sweep cost {grid} --gpus 0", "0", "from 1"),
    ("sweep cost {grid} --images-per-second inf", "inf", "above 0"),
    ("sweep cost {folder}", "folder", "cannot be read"),
    ("sweep cost {grid} --texts-per-second -5", "-5", "above 0"), ("sweep cost {grid} --gpu 2", "--gpus"),
    ("sweep cost {grid} --images 5", "--images-per-second"),
    ("sweep cost {grid} --bench none.json", "none.json", "cannot be read"),
    ("sweep cost {grid} --bench {file}", "file.txt", "bench --scale --out"),
    ("sweep cost {grid} --bench {sweep}/plan.json", "'speeds'", "bench --scale --out"),
    ("sweep cost {grid} --bench {negative}", "at batches of 32", "above 0", "is -1", "bench --scale --out"),
    ("sweep cost {grid} --bench {file} --texts-per-second 5", "--bench", "leave out"),
    ("sweep cost {grid} --gpus two", "'two'", "--gpus"), ("sweep report", "folder"),
    ("sweep report {folder}", "plan.json", "folder of a sweep"),
    ("sweep report {file}", "file.txt", "plan.json"), ("sweep report none", "none", "plan.json"),
    ("sweep report {sweep}", "plan.json", "damaged"),
]

# what a sweep's YAML file says: of the grid, then of its only block
GRIDS = [
    ("[1, 2]", "[1, 2]", "map names"), ("5", "is 5", "map names"), ("", "None", "map names"),
    ("{output: [", "YAML"), ("{output: OUT}", "lacks blocks"), ("{blocks: [1]}", "lacks output"),
    ("{output: 5, blocks: [1]}", "output", "is 5"), ("{output: OUT, blocks: []}", "blocks", "[]"),
    ("{output: OUT, blocks: {a: 1}}", "blocks", "list", "{'a': 1}"),
    ("{output: OUT, blocks: [5]}", "block 1", "is 5"), ("{output: OUT, blok: []}", "'blok'", "blocks"),
    ("{output: OUT, blocks: [5], device: gpu}", "'gpu'", "'cuda'"),
    ("{output: OUT, 1: 2, blocks: [5]}", "name 1"), ("{output: OUT, blocks: [5], root: 5}", "root", "is 5"),
    ("{output: OUT, blocks: [5], root: [a]}", "root", "['a']"),
    ("{output: OUT, blocks: [5], root: {celebb: /x}}", "'celebb'", "celeba"),
    ("{output: OUT, blocks: [5], root: {celeba: 5}}", "root", "is 5"),
    ("{output: OUT, blocks: [5], root: {5: /x}}", "root 5", "celeba"),
]
BLOCKS = [
    ("methods: [[miu]]", "['miu']", "scrub"), ("methods: [5]", "method 5", "miu"),
    ("methods: miu", "'miu'", "list"), ("methods: [null]", "None", "miu"),
    ("methods: []", "[]", "not empty"), ("metods: [miu]", "'metods'", "methods"),
    ("datasets: [[groundwear]]", "['groundwear']", "negation"),
    ("datasets: groundwear", "'groundwear'", "list"),
    ("datasets: [{groundwear: 1}]", "{'groundwear': 1}", "negation"), ("seeds: 3", "is 3", "list"),
    ("seeds: [true]", "True", "from 0"), ("seeds: [-1]", "-1", "from 0"), ("seeds: [0.5]", "0.5", "whole"),
    ("seeds: ['0']", "'0'", "from 0"), ("seeds: [[0]]", "[0]", "from 0"), ("ratios: [0]", "is 0", "(0, 1]"),
    ("ratios: [.nan]", "nan", "(0, 1]"), ("ratios: [.inf]", "inf", "(0, 1]"),
    ("ratios: ['0.5']", "'0.5'", "(0, 1]"), ("ratios: [[0.5]]", "[0.5]", "(0, 1]"),
    ("ratios: 0.5", "0.5", "list"), ("reweight: 'yes'", "'yes'", "'both'"),
    ("reweight: 1", "is 1", "'both'"), ("reweight: [true]", "[True]", "'both'"),
    ("groups: all", "'all'", "uniform"), ("groups: 5", "is 5", "pairs"),
    ("groups: [[7, 7]]", "(7, 7)", "from 0 to 1", "is 7"), ("groups: [1, 1]", "(1, 1)", "pairs"),
    ("groups: [[0, 5]]", "(0, 5)", "a of", "from 0 to 1"), ("groups: [[-1, 0]]", "-1", "pairs"),
    ("groups: {y: [1]}", "lists y and a"), ("groups: {y: [1], a: []}", "pairs"),
    ("groups: {y: 1, a: 1}", "lists y and a"), ("groups: [[1.0, 1]]", "1.0", "pairs"),
    ("datasets: [celeba], groups: [[2, 0]]", "(2, 0)", "celeba", "from 0 to 1"),
    ("overrides: 5", "is 5", "map"), ("overrides: []", "[]", "not empty"), ("overrides: [5]", "is 5", "map"),
    ("overrides: {lr: fast}", "'fast'", "lr"), ("overrides: {model: bert}", "bert", "cnn"),
    ("datasets: [negation], overrides: {model: cnn}", "cnn", "text"),
    ("overrides: {calibration: 'no'}", "'no'", "False, True"), ("overrides: {lam: .nan}", "nan", "lam"),
]


LIBRARY = [*RUNNING, *DATA, *MEASURES, *METHODS, *STUDIES, *PARAMETERS]


# --- how they are tried -------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def watched(tmp_path, monkeypatch):
    """Nothing is begun, and the folder that is worked in stays empty."""
    for name in methods.registry:  # a method that is first imported later would keep the replaced `train`
        methods.get(name)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("GRMU_STORE", str(here / "store"))
    monkeypatch.setattr(methods, "registry", dict(methods.registry))
    for place in ("grmu.training.train", "papermill.execute_notebook", "subprocess.run", "subprocess.Popen",
                  "grmu.course.labs.course", "grmu.course.notebooks.NotebookClient",
                  "grmu.analysis.shipped_tables.write", "grmu.scale.bench.checks",
                  "grmu.scale.bench_scale.main", "grmu.experiments.parallel.ProcessPoolExecutor"):
        monkeypatch.setattr(place, lambda *_, **__: pytest.fail("something was begun"))
    yield
    assert list(here.iterdir()) == []


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """Files and folders that a command may be given in place of others."""
    home = tmp_path_factory.mktemp("given")
    for name in ("folder", "sweep"):
        (home / name).mkdir()
    (home / "file.txt").write_text("a text")
    (home / "broken.ipynb").write_text("{no: [notebook")
    (home / "bytes.yaml").write_bytes(b"\xff\xfe\x00output")
    (home / "sweep" / "plan.json").write_text("{}")
    (home / "negative.json").write_text('{"speeds": {"images": {"32": -1}}}')
    names = {"folder": "folder", "file": "file.txt", "broken": "broken.ipynb", "bytes": "bytes.yaml",
             "sweep": "sweep", "negative": "negative.json"}
    return {name: home / file for name, file in names.items()} | {"grid": GRID}


def check_sentence(sentence: str, parts: tuple[str, ...]) -> None:
    assert len(sentence.splitlines()) == 1, sentence
    assert "Traceback" not in sentence
    assert [part for part in parts if part not in sentence] == [], sentence


def check_command(arguments: list[str], parts: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    check_sentence(err.strip(), parts)


@pytest.mark.parametrize(("wrong", "parts"), [(row[0], row[1:]) for row in EXPERIMENT], ids=str)
def test_an_experiment_rejects(wrong, parts):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the sentence is looked at below
        Experiment(**wrong)
    check_sentence(str(caught.value), parts)


@pytest.mark.parametrize(("call", "parts"), [(row[0], row[1:]) for row in LIBRARY])
def test_a_call_rejects(call, parts):
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        call()
    check_sentence(str(caught.value), parts)


@pytest.mark.parametrize(("line", "parts"), [(row[0], row[1:]) for row in COMMANDS])
def test_a_command_rejects(line, parts, files, capsys):
    check_command(shlex.split(line.format(**files)), parts, capsys)


@pytest.mark.parametrize(("text", "parts"), [
    *[(row[0], row[1:]) for row in GRIDS],
    *[(f"{{output: OUT, blocks: [{{{row[0]}}}]}}", row[1:]) for row in BLOCKS]])
def test_a_sweep_rejects(text, parts, tmp_path, capsys):
    block = "{datasets: [groundwear], methods: [miu], seeds: [0], "
    text = text.replace("blocks: [{", f"blocks: [{block}").replace("OUT", str(tmp_path / "here" / "out"))
    (tmp_path / "grid.yaml").write_text(text)
    check_command(["sweep", "plan", str(tmp_path / "grid.yaml")], parts, capsys)


def test_at_least_150_wrong_uses_are_tried():
    assert len(EXPERIMENT) + len(LIBRARY) + len(COMMANDS) + len(GRIDS) + len(BLOCKS) >= 150


@pytest.mark.parametrize(("raised", "parts"), [
    (PermissionError(13, "Permission denied", "/there/a.ipynb"), "/there/a.ipynb"),
    (OSError(28, "No space left on device"), "a.ipynb"),
    (IsADirectoryError(21, "Is a directory", "a"), "a cannot")])
def test_what_the_disk_refuses_is_said_with_the_file(raised, parts, monkeypatch, capsys):
    def refuse(*_):
        with naming(Path("a.ipynb")):
            raise raised

    monkeypatch.setattr("grmu.scale.sweep.write_plan", refuse)
    check_command(["sweep", "plan", str(GRID)], (parts, "cannot be read or written", "folder"), capsys)
