"""Define each table and figure of the paper as rows of runs, on its data sets or on embedded ones.

    ITEMS["table1"].runs(seeds=(0, 1, 2))                 a list of experiments for each row
    ITEMS["table1"].runs(seeds=range(5), on="embedded")   the same on Groundwear

The embedded data sets stand in for the paper's, see STAND_INS.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from grmu.analysis import grids
from grmu.analysis.names import label
from grmu.data import known, require
from grmu.data.core import Group
from grmu.experiments import Experiment
from grmu.metrics import METRICS

STAND_INS = {"celeba": "groundwear", "waterbirds": "groundwear-memorised", "fairface": grids.MANY,
             "multinli": "negation"}
IMAGES = ("celeba", "waterbirds", "fairface")
TITLES = {"celeba": "CelebA", "waterbirds": "Waterbirds", "fairface": "FairFace", "multinli": "MultiNLI",
          "groundwear": "Groundwear", "groundwear-memorised": "Groundwear, memorised",
          grids.MANY: "Groundwear, many groups", "negation": "Negation"}
SEVERAL = {"fairface": {"nine": tuple(product((1, 3, 6), (0, 1, 2))),  # ages by race, with "20-29, Black"
                        "twenty-five": tuple(product((1, 3, 4, 6, 8), (0, 1, 2, 3, 6)))},
           grids.MANY: {"nine": grids.NINE_GROUPS, "twenty-five": grids.TWENTY_FIVE_GROUPS}}
N_GROUPS = {"default": 1, "nine": 9, "twenty-five": 25}
REFERENCES = ("pretrain", "retrain")
OTHERS = ("l1_sparse", "salun", "scrub")


@dataclass(frozen=True)
class Row:
    """The runs of one row of a table, or of one point of a figure, which differ only in their seeds.

    Args:
        dataset: One of the paper's data sets.
        method: As in an `Experiment`.
        reweight: As in an `Experiment`.
        ratio: As in an `Experiment`.
        forget: "default", "nine", "twenty-five", or a position in `grids.alone_and_in_pairs`.
        overrides: Settings that replace the preset's.
        printed: False for runs that are only used for comparison.
    """

    dataset: str
    method: str
    reweight: bool = False
    ratio: float = 0.5
    forget: str | int = "default"
    overrides: tuple[tuple[str, Any], ...] = ()
    printed: bool = field(default=True, compare=False)

    def experiment(self, seed: int, on: str | None = None, **shared: Any) -> Experiment:
        """Return the run of one seed, on the paper's data set or on another one.

        Args:
            seed: The seed.
            on: Another data set, or None.
            shared: Other fields of the `Experiment`.
        """
        dataset = on or self.dataset
        return Experiment(dataset, self.method, self.reweight, self.ratio, self.groups(dataset), seed,
                          dict(self.overrides), **shared)

    def groups(self, dataset: str) -> str | tuple[Group, ...]:
        """Return the forget groups, as in an `Experiment`.

        Raises:
            ValueError: The data set has no such groups.
        """
        if isinstance(self.forget, int):
            require(dataset in grids.SMALLEST_AND_LARGEST, f"small and large groups are only defined for "
                    f"{', '.join(grids.SMALLEST_AND_LARGEST)}, got {dataset!r}.")
            return grids.alone_and_in_pairs(dataset)[self.forget]
        if self.forget == "default":
            return "default"
        require(dataset in SEVERAL, f"sets of {N_GROUPS[self.forget]} forget groups are only defined for "
                f"{' and '.join(SEVERAL)}, got {dataset!r}.")
        return SEVERAL[dataset][self.forget]

    @property
    def n_groups(self) -> int:
        """The number of forget groups in a table; 0 for the groups of a figure, which no table has."""
        return N_GROUPS.get(str(self.forget), 0)

    @property
    def gold(self) -> Row:
        """The row of the gold standard."""
        return Row(self.dataset, "retrain", True, self.ratio, self.forget)

    @property
    def original(self) -> Row:
        """The row of the original model."""
        return Row(self.dataset, "pretrain", False, self.ratio, self.forget)

    @property
    def name(self) -> str:
        """The method's display name."""
        off = "".join(f", no {name}" for name, value in self.overrides if value is False)
        return label(self.method, self.reweight) + off


@dataclass(frozen=True)
class Item:
    """A table or a figure of the paper.

    Args:
        name: A name such as "table1".
        title: What the item shows.
        kind: "results", "ablation" or "fairness" (tables); "ratio", "robust" or "gap" (figures); or
            "overhead".
        rows: The rows in the paper's order.
        columns: The metrics, which a figure shows on its y axis.
        x: The variable on a figure's x axis: "ratio", "groups" or "lam".
    """

    name: str
    title: str
    kind: str
    rows: tuple[Row, ...]
    columns: tuple[str, ...] = (*METRICS, "avg_gap")
    x: str = ""

    @property
    def words(self) -> str:
        """The name in words, such as "Table 1"."""
        return re.sub(r"(\d+)", r" \1", self.name).capitalize()

    @property
    def datasets(self) -> list[str]:
        """The data sets of the paper that the item needs."""
        return list(dict.fromkeys(row.dataset for row in self.rows))

    @property
    def methods(self) -> list[str]:
        """The methods of the rows, without the references."""
        return list(dict.fromkeys(row.method for row in self.rows if row.method not in REFERENCES))

    def of_methods(self, methods: Sequence[str] | None) -> Item:
        """Return the item with the references and only some of its methods.

        Raises:
            ValueError: A method is unknown.
        """
        for method in methods or ():
            known(f"method in {self.words}", method, self.methods)
        kept = (*REFERENCES, *(self.methods if methods is None else methods))
        return replace(self, rows=tuple(row for row in self.rows if row.method in kept))

    def runs(self, seeds: Iterable[int], on: str | None = None, **shared: Any) -> dict[Row, list[Experiment]]:
        """Return the experiments of each row.

        Args:
            seeds: One run per seed.
            on: None for the paper's data sets, "embedded" for the data sets that stand in for them, or an
                embedded data set.
            shared: Fields of each `Experiment`, such as `root` and `protocol`.

        Raises:
            ValueError: The data set is unknown, or it has no such groups.
        """
        if on is not None:
            known("data set to run on", on, ("embedded", *STAND_INS.values()))
        seeds, role = list(seeds), next((name for name in self.datasets if STAND_INS[name] == on), None)
        of_row = {}
        for row in self.rows:
            dataset = STAND_INS[row.dataset] if on == "embedded" else on
            if on in (None, "embedded") or row.dataset == (role or self.datasets[0]):
                of_row[row] = [row.experiment(seed, dataset, **shared) for seed in seeds]
        return of_row


def with_references(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return rows, followed by their missing original models and gold standards, which are not printed."""
    rows = list(rows)
    references = [reference for row in rows for reference in (row.original, row.gold)]
    hidden = [replace(row, printed=False) for row in references if row not in rows]
    return (*rows, *dict.fromkeys(hidden))


def _results(number: int, dataset: str, ratio: float = 0.5, forget: str = "default",
             robust: bool = False) -> Item:
    references = [("pretrain", False), ("retrain", False)] + [("group_dro", False)] * robust
    methods = product((False, True), (*OTHERS, "miu"))
    order = [*references, ("retrain", True), *((method, reweight) for reweight, method in methods)]
    groups = "" if forget == "default" else f", {N_GROUPS[forget]} forget groups"
    return Item(f"table{number}", f"unlearning on {TITLES[dataset]}, ratio {ratio:g}{groups}", "results",
                tuple(Row(dataset, method, reweight, ratio, forget) for method, reweight in order))


def _ablation(number: int, columns: Sequence[str]) -> Item:
    settings = ((False, (("calibration", False),)), (False, ()), (False, (("retaining", False),)), (True, ()))
    rows = [Row(dataset, "miu", reweight, overrides=changed)
            for dataset, (reweight, changed) in product(IMAGES, settings)]
    return Item(f"table{number}", "MIU without one of its terms", "ablation", with_references(rows),
                tuple(columns))


def _against_ratio(name: str, title: str, datasets: Sequence[str], methods: Sequence[str],
                   reweight: Sequence[bool] = (False,)) -> Item:
    rows = [Row(dataset, method, with_reweight, ratio, forget) for dataset in datasets
            for forget in range(len(grids.alone_and_in_pairs(dataset)))
            for ratio, with_reweight, method in product(grids.PAPER_RATIOS, reweight, methods)]
    originals = dict.fromkeys(row.original for row in rows)
    return Item(name, title, "ratio", (*originals, *rows), ("accuracy",), "ratio")


def _gaps(name: str, title: str, rows: Iterable[Row], x: str) -> Item:
    return Item(name, title, "gap", with_references(rows), ("avg_gap",), x)


def _items() -> list[Item]:
    at_ratios = ((dataset, ratio) for dataset in IMAGES for ratio in grids.PAPER_RATIOS)
    unlearning = (*OTHERS, "miu")
    return [
        *(_results(number, dataset, robust=True) for number, dataset in enumerate(IMAGES, 1)),
        _ablation(4, ("UA", "GA", "avg_gap")),
        *(_results(number, dataset, ratio) for number, (dataset, ratio) in enumerate(at_ratios, 5)),
        _results(14, "fairface", forget="nine"), _results(15, "fairface", forget="twenty-five"),
        _results(16, "multinli"), _ablation(17, (*METRICS, "avg_gap")),
        Item("table18", "fairness, with the change from the original model", "fairness", tuple(
            Row(dataset, method, reweight) for dataset in IMAGES for method, reweight in (
                ("pretrain", False), ("retrain", False), ("retrain", True), ("miu", True))),
            ("DP", "EP", "EO", "WG")),
        Item("overhead", "training time of MIU + REWEIGHT relative to the other methods", "overhead", tuple(
            Row(dataset, method, True) for dataset in IMAGES for method in unlearning), ("seconds",)),
        _against_ratio("figure2", "accuracy of the smallest and the largest group", ("celeba",),
                       ("retrain", *OTHERS)),
        Item("figure3", "REWEIGHT against GROUP-DRO: agreement with the original model", "robust", tuple(
            Row(dataset, method, reweight) for dataset in IMAGES for method, reweight in (
                ("pretrain", False), ("retrain", True), ("group_dro", False))), ("TA", "GA")),
        _against_ratio("figure4", "accuracy of the groups with and without REWEIGHT", ("celeba",),
                       ("retrain", *unlearning), (False, True)),
        _gaps("figure5", "avg. gap against the ratio", (
            Row(dataset, method, True, ratio) for dataset, method, ratio in product(
                IMAGES, unlearning, grids.PAPER_RATIOS)), "ratio"),
        _gaps("figure6", "avg. gap against the number of forget groups", (
            Row("fairface", method, True, forget=forget) for method, forget in product(
                unlearning, N_GROUPS)), "groups"),
        _against_ratio("figure7", "accuracy of small and large groups", IMAGES, ("retrain", *OTHERS)),
        _gaps("figure8", "avg. gap of MIU + REWEIGHT against λ", (
            Row(dataset, "miu", True, overrides=(("lam", lam),)) for dataset, lam in product(
                IMAGES, grids.PAPER_LAMBDAS)), "lam")]


ITEMS = {item.name: item for item in _items()}
