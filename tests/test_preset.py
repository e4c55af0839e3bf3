"""The presets of the paper's data sets are the released code's settings, row by row."""

import csv
from itertools import product

import pytest

from grmu.experiments import Experiment, experiment, released

ROWS = list(csv.DictReader(released.FILE.open(newline="")))
NOT_RUN = {"group_dro_pretrain": "GROUP-DRO as the original model: the paper's tables use the retrained one"}
MANY = {"1": "default", "9": tuple(product((1, 3, 6), (0, 1, 2))),
        "25": tuple(product((1, 3, 4, 6, 8), (0, 1, 2, 3, 6))), "": "default"}
NAMES = {"dro_eta": "eta"}
ABOUT = ("dataset", "network", "groups", "ratio", "method", "reweight")


def experiment_of(row):
    """The experiment that a settings file is of."""
    return Experiment(row["dataset"], row["method"].removesuffix("_retrain"), row["reweight"] == "1",
                      float(row["ratio"] or 0.5), MANY[row["groups"]])


@pytest.mark.parametrize("row", [r for r in ROWS if r["method"] not in NOT_RUN],
                         ids=lambda r: "-".join(r[name] for name in ABOUT))
def test_every_released_setting_is_ours(row):
    settings = experiment_of(row).settings
    assert settings["model"] == row["network"]
    for name, text in row.items():
        if name in ABOUT or not text:
            continue
        ours = settings[NAMES.get(name, name)]
        assert (ours == text) if isinstance(ours, str) else (float(ours) == float(text)), name
    if row["method"] == "salun":
        assert settings["forget_epochs"] == int(row["epochs"])  # it reads no number, and forgets in all


def test_the_table_is_whole():
    assert len(ROWS) == 114
    assert {r["method"] for r in ROWS} == {*NOT_RUN, "pretrain", "retrain", "group_dro_retrain", "l1_sparse",
                                           "salun", "scrub", "miu"}
    assert len({tuple(r[name] for name in ABOUT) for r in ROWS}) == 114


@pytest.mark.parametrize(("ratio", "row"), [(0.1, 0.1), (0.2, 0.1), (0.4, 0.5), (0.69, 0.5), (1, 0.9)])
def test_another_ratio_has_the_settings_of_the_nearest(ratio, row):
    for dataset, reweight in product(("celeba", "waterbirds"), (False, True)):
        other, known = (Experiment(dataset, "miu", reweight, r) for r in (ratio, row))
        assert other.settings == known.settings


def test_other_numbers_of_groups_have_those_of_the_nearest_number():
    three, one = (Experiment("fairface", "miu", True, groups=groups)
                  for groups in (((1, 0), (1, 1), (2, 0)), "default"))
    assert three.settings == one.settings
    ten = Experiment("fairface", "miu", True, groups=(*MANY["9"], (0, 0)))
    assert ten.settings == Experiment("fairface", "miu", True, groups=MANY["9"]).settings


def test_what_has_no_row_has_the_file_s_settings():
    for dataset in ("groundwear", "negation"):
        assert released.settings(Experiment(dataset, "miu", True), "cnn") == {"model": "cnn"}
    finetune, l1_sparse = Experiment("celeba", "finetune"), Experiment("celeba", "l1_sparse")
    assert finetune.config.lr == l1_sparse.config.lr
    assert Experiment("celeba", "rwg").config.lr == 0.01


@pytest.mark.parametrize("dataset", sorted({p.stem for p in experiment.PRESETS.glob("*.yaml")}))
@pytest.mark.parametrize("method", ["pretrain", "retrain", "finetune", "miu"])
def test_one_epoch_can_be_asked_of_every_preset(dataset, method):
    e = Experiment(dataset, method, overrides={"epochs": 1})
    assert (e.config.epochs, e.config.warmup_epochs) == (1, 0)
    with pytest.raises(ValueError, match="warmup_epochs must be a number from 0 to 0, got 2"):
        Experiment(dataset, method, overrides={"epochs": 1, "warmup_epochs": 2})
