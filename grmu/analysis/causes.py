"""Causes, told apart: what of uneven forgetting hurts those who stay, and what of REWEIGHT helps them.

    python -m grmu results --only causes     computes the rows
    comparisons()                            words them: differences by seed, in points of GA

Three questions about sneakers on brick, 102 of 5,692. Is it that fewer of them are left, or that they are a
smaller share (CELLS)? Is it that samples went, or that all went from one group? Is it REWEIGHT's weights, or
only that it draws with replacement? docs/causes.md announced them; `grmu.prior` says what to expect.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import pandas as pd
from torch import Tensor

from grmu import methods
from grmu.analysis import shipped_tables
from grmu.analysis.compare import interval, verdicts
from grmu.analysis.grids import uniform_ratio
from grmu.analysis.shift import by_group, in_sight, prior_of, temperatures
from grmu.data import load
from grmu.experiments import Experiment, load_split, map_experiments, run, train_or_load
from grmu.methods.controls import ByHand, Repeated
from grmu.numerics import fixed_threads
from grmu.prior import change_prior
from grmu.training import predict

DATASET = "groundwear"
SEEDS = tuple(range(20))
RATIOS = {0.5: "51 left, s/2", 0.9: "10 left, s/10"}  # and the cell that forgets so unevenly
WRONG = (1, 0)  # who is given alpha in the others' place: the same shoe on the other ground


class Cell(NamedTuple):
    """left: samples of the group that asks.  others: the share of every other group that is kept."""

    left: int
    others: float


CELLS = {"102 left, s": Cell(102, 1.0),  # nobody asks; s is their share then
         "51 left, s": Cell(51, 51 / 102), "51 left, s/2": Cell(51, 1.0),
         "10 left, s": Cell(10, 10 / 102), "10 left, s/2": Cell(10, 20 / 102), "10 left, s/10": Cell(10, 1.0)}
FIRST, *FEWER = CELLS
NUMBER, SHARE, THEORY, EVEN, REPLACEMENT = (
    "Fewer left, as large a share", "A smaller share, as many left", "Predicted minus observed",
    "From one group, or from all", "REWEIGHT, or drawing with replacement")
PAIRS = {NUMBER: (("51 left, s", FIRST), ("10 left, s", FIRST), ("10 left, s/2", "51 left, s/2")),
         SHARE: (("51 left, s/2", "51 left, s"), ("10 left, s/2", "10 left, s"),
                 ("10 left, s/10", "10 left, s"))}


def left_in(cell: Cell, counts: Tensor, asks: int) -> Tensor:
    """(n_groups,) samples left of every group."""
    left = (counts.double() * cell.others).round().long()
    left[asks] = cell.left
    return left


def request(left: Tensor, counts: Tensor, n_attributes: int) -> dict[str, Any]:
    """The `ratio` and `groups` of an `Experiment` that leaves so many samples of every group."""
    fewer = (left < counts).nonzero().flatten()
    return {"ratio": tuple((1 - left[fewer].double() / counts[fewer]).tolist()),
            "groups": tuple(divmod(g, n_attributes) for g in fewer.tolist())}


def register_controls() -> None:
    """Make this process know the methods that only this study has."""
    for name, method in {"by_hand": ByHand, "repeated": Repeated}.items():
        methods.register(name, method)


def grid(seed: int, augment: bool) -> Iterator[tuple[str, Experiment]]:
    """Number left by share: an experiment a cell, of as many updates as PRETRAIN's, by copies."""
    register_controls()
    splits = load(DATASET)
    train, asks = splits.train, splits.forget_group
    plain = {} if augment else {"augment": False}
    yield FIRST, Experiment(DATASET, "pretrain", seed=seed, pretraining=plain)
    for name in FEWER:
        left = left_in(CELLS[name], counts := train.group_counts(), train.group_id(asks))
        copies = {"copies": round(len(train) / int(left.sum()))}
        yield name, Experiment(DATASET, "repeated", seed=seed, pretraining=plain, overrides=copies,
                               **request(left, counts, train.n_attributes))


def controls(seed: int, ratio: float) -> Iterator[tuple[str, Experiment]]:
    """As many samples forgotten of all alike; REWEIGHT, and what may be mistaken for its cause."""
    register_controls()
    yield f"even, {ratio}", Experiment(DATASET, "retrain", ratio=uniform_ratio(ratio), groups="uniform",
                                       seed=seed)
    yield f"α, {ratio}", Experiment(DATASET, "retrain", True, ratio, seed=seed)
    train, alpha = load(DATASET).train, CELLS[FIRST].left / CELLS[RATIOS[ratio]].left
    alike = [1.0] * train.n_groups
    wrong = [alpha if g == train.group_id(WRONG) else 1.0 for g in range(train.n_groups)]
    for name, weights in (("α = 1", alike), ("α, wrong group", wrong)):
        yield f"{name}, {ratio}", Experiment(DATASET, "by_hand", ratio=ratio, seed=seed,
                                             overrides={"group_weights": tuple(weights)})


def planned() -> Iterator[tuple[dict[str, Any], Experiment]]:
    """Every run with what its row says of it; whole seeds one after the other."""
    for seed in SEEDS:
        for augment in (True, False):
            runs = [*grid(seed, augment)]
            runs += [pair for ratio in RATIOS for pair in controls(seed, ratio)] if augment else []
            yield from (({"arm": arm, "augment": augment, "seed": seed}, e) for arm, e in runs)


def row_of(experiment: Experiment, store: str | None = None) -> dict[str, float]:
    """What a run leaves.

    left, n: samples of the group that asks, and in all.  updates: of its training.  GA, TA.  before: GA of
    its PRETRAIN.  visible, calibrated: GA by the shifted prior from that PRETRAIN alone, as in
    `grmu.analysis.shift.predictions`.
    """
    register_controls()
    e, (splits, split, _) = experiment, load_split(experiment)
    train, val, test, asks = splits[:4]
    g, factor = train.group_id(asks), prior_of(e, train, split)
    seen_all = e.method == "pretrain"
    model, result = train_or_load(e.original, store), run(e, store)
    with fixed_threads():
        logits, of_val = predict(model, model, test.x), predict(model, model, val.x)
        ground = in_sight(test, logits)
        cooler = logits / temperatures(of_val, val, train.group_counts())[test.a][:, None]
        predicted = {"before": logits, "visible": change_prior(logits, ground, factor)[0],
                "calibrated": change_prior(cooler, ground, factor)[0]}
    left = (train if seen_all else split.retain).group_counts()
    seen = int(left.sum()) * e.settings.get("copies", 1)  # in an epoch
    updates = e.config.epochs * math.ceil(seen / e.config.batch_size)
    return {"left": int(left[g]), "n": int(left.sum()), "updates": updates,
            "GA": result.by_group()[g], "TA": result.metrics["TA"],
            **{name: by_group(answers.argmax(1) == test.y, test)[g].item()
               for name, answers in predicted.items()}}


def causes(store: str | None = None, jobs: int = 1) -> pd.DataFrame:
    """A row a run: arm, augment, seed, and `row_of`; accuracies as fractions."""
    about, runs = zip(*planned(), strict=True)
    rows = map_experiments(partial(row_of, store=store), runs, jobs)
    return pd.DataFrame([line | row for line, row in zip(about, rows, strict=True)]).round(5)


def by_seed(rows: pd.DataFrame, column: str = "GA", augment: bool = True) -> pd.DataFrame:
    """One column in percent: a row a seed, a column an arm."""
    return 100 * rows[rows.augment == augment].pivot(index="seed", columns="arm", values=column)


def _asked(rows: pd.DataFrame) -> Iterator[tuple[str, str, str, pd.Series]]:
    """All comparisons of docs/causes.md, in its order: question, what, augmented, differences by seed."""
    ga, plain = by_seed(rows), by_seed(rows, augment=False)
    for how, observed in (("yes", ga), ("no", plain)):
        for question, pairs in PAIRS.items():
            yield from ((question, f"{less} - {more}", how, observed[less] - observed[more])
                        for less, more in pairs)
        predicted = by_seed(rows, "visible", how == "yes")
        yield from ((THEORY, arm, how, predicted[arm] - observed[arm]) for arm in FEWER)
    yield (NUMBER, f"10 left, s - {FIRST}", "no - yes",
           plain["10 left, s"] - plain[FIRST] - (ga["10 left, s"] - ga[FIRST]))
    for ratio, uneven in RATIOS.items():
        yield EVEN, f"uneven - even, ratio {ratio}", "yes", ga[uneven] - ga[f"even, {ratio}"]
        yield EVEN, f"even - nobody, ratio {ratio}", "yes", ga[f"even, {ratio}"] - ga[FIRST]
    for ratio, uneven in RATIOS.items():
        for arm in ("α", "α = 1", "α, wrong group"):
            yield REPLACEMENT, f"{arm} - without, ratio {ratio}", "yes", ga[f"{arm}, {ratio}"] - ga[uneven]
        yield REPLACEMENT, f"α - α = 1, ratio {ratio}", "yes", ga[f"α, {ratio}"] - ga[f"α = 1, {ratio}"]


def comparisons(rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """The page's differences in points of GA, one Holm correction: question, what, augmented, and
    `compare.verdicts`' columns.

    Args:
        rows: as `causes` gives; None is those that ship. The margin is what two gold standards differ by.
    """
    asked = list(_asked(shipped_tables.read("causes") if rows is None else rows))
    differences = {str(i): values for i, (*_, values) in enumerate(asked)}
    worded = verdicts(differences, dict.fromkeys(differences, shipped_tables.margins(DATASET)["GA"]))
    about = pd.DataFrame([line[:-1] for line in asked], columns=["question", "what", "augmented"])
    return about.join(worded.reset_index(drop=True))


def drawn(rows: pd.DataFrame, augment: bool) -> pd.DataFrame:
    """What the figure draws, a row a cell: left, share, and GA's mean, low, high, n over seeds; `visible` and
    `calibrated`, the predictions' means. In percent."""
    ga, lines = by_seed(rows, augment=augment), []
    for arm, (left, _) in CELLS.items():
        n = rows[(rows.arm == arm) & (rows.augment == augment)].n.iloc[0]
        predicted = {name: by_seed(rows, name, augment)[arm].mean() for name in ("visible", "calibrated")}
        lines.append({"left": left, "share": 100 * left / n, **interval(ga[arm])._asdict(), **predicted})
    return pd.DataFrame(lines)
