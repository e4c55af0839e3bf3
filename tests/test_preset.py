"""Test that the presets of the paper's data sets equal the released code's settings, row by row."""

from itertools import product

import pytest

from grmu import methods
from grmu.experiments import Experiment, experiment

MANY = {None: "default", 1: "default", 9: tuple(product((1, 3, 6), (0, 1, 2))),
        25: tuple(product((1, 3, 4, 6, 8), (0, 1, 2, 3, 6)))}
PRESETS = sorted({path.stem for path in experiment.PRESETS.glob("*.yaml")})


def test_every_released_setting_is_ours():
    rows = experiment.released()
    assert len(rows) == len({tuple(row.get(name) for name in experiment.RELEASED_FOR) for row in rows}) == 114
    for row in rows:
        settings = Experiment(row["dataset"], row["method"], row["reweight"], row.get("ratio", 0.5),
                              MANY[row.get("groups")]).settings
        assert settings["model"] == row["network"]
        assert {k: settings[k] for k in row if k not in experiment.RELEASED_FOR} == {
            k: v for k, v in row.items() if k not in experiment.RELEASED_FOR}


@pytest.mark.parametrize(("ratio", "row"), [(0.2, 0.1), (0.4, 0.5), (0.69, 0.5), (1, 0.9)])
def test_another_ratio_has_the_settings_of_the_nearest(ratio, row):
    for dataset, reweight in product(("celeba", "waterbirds"), (False, True)):
        other, known = (Experiment(dataset, "miu", reweight, r) for r in (ratio, row))
        assert other.settings == known.settings


def test_other_numbers_of_groups_have_those_of_the_nearest_number():
    ten, nine = (Experiment("fairface", "miu", True, groups=g) for g in ((*MANY[9], (0, 0)), MANY[9]))
    assert ten.settings == nine.settings


@pytest.mark.parametrize("dataset", PRESETS)
def test_every_method_has_settings_that_exist_on_every_data_set(dataset):
    blocks = experiment._read(dataset)["methods"]
    for method in methods.registry:
        assert blocks.get(method, {}).keys() <= Experiment(dataset, method).settings.keys()
