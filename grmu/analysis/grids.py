"""Define the grids: all experiments of the paper on the embedded data, and more.

`grmu.analysis.results` has their rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any

from grmu.data import Group
from grmu.experiments import Experiment

SEEDS = tuple(range(5))  # chosen before any result was known
MANY_SEEDS = tuple(range(10))  # where differences are small, as for calibration
RATIOS = (0.1, 0.3, 0.5, 0.7, 0.9)
PAPER_RATIOS = (0.1, 0.5, 0.9)
LAMBDAS = (0.0, 1.0, 3.0, 5.0, 10.0)
PAPER_LAMBDAS = (0.0, 1.0, 5.0, 10.0)
PAPER_METHODS = ("l1_sparse", "salun", "scrub", "miu")
FURTHER_METHODS = ("gradient_ascent", "random_labels", "bad_teacher", "boundary_shrink", "boundary_expand",
                   "ssd", "influence")
METHODS = ("finetune", *PAPER_METHODS, *FURTHER_METHODS)
FINETUNE: dict[str, dict[str, Any]] = {  # chosen in tuning.csv with the same budget as MIU's presets
    "groundwear": {"lr": 0.027, "augment": False}, "groundwear-memorised": {"lr": 1.3, "augment": True}}
MANY = "groundwear-many"
SENTENCES = (66, 2883)  # pairs in Negation's training set: in the forget group, and in all groups
NINE_GROUPS = tuple(product((4, 6, 8), (0, 1, 2)))  # classes by grounds, including the default forget group
TWENTY_FIVE_GROUPS = tuple(product((2, 4, 5, 6, 8), (0, 1, 2, 3, 5)))
FORGET_GROUPS = {"celeba": (1, 1), "waterbirds": (1, 0), "fairface": (3, 1),  # the defaults
                 "groundwear": (1, 1), "groundwear-memorised": (1, 0), MANY: (6, 1)}
SMALLEST_AND_LARGEST = {  # groups of each data set, as in Fig. 7
    "celeba": (((1, 1),), ((0, 0),)), "waterbirds": (((1, 0),), ((0, 0),)),
    "fairface": (((8, 6), (7, 0)), ((3, 1), (4, 4))),
    "groundwear": (((1, 1),), ((0, 0),)), "groundwear-memorised": (((1, 0),), ((0, 0),)),
    MANY: (((8, 6), (8, 4)), ((6, 1), (6, 2)))}


def references() -> Iterator[Experiment]:
    """Yield Figs. 2 and 3: PRETRAIN, RETRAIN and RETRAIN + REWEIGHT at each ratio, and robust retraining."""
    for seed, ratio in product(SEEDS, RATIOS):
        yield from _references(ratio=ratio, seed=seed)
        if ratio in PAPER_RATIOS:
            for method in ("group_dro", "rwg", "subg"):
                yield Experiment(method=method, ratio=ratio, seed=seed)


def largest_group() -> Iterator[Experiment]:
    """Yield the other half of Fig. 2: the same ratios of the largest group, ankle boots on grass."""
    for seed, ratio in product(SEEDS, RATIOS):
        yield from _references(ratio=ratio, groups=((0, 0),), seed=seed)


def uniform_ratio(ratio: float, sizes: tuple[int, int] = (102, 5692)) -> float:
    """Return the share of all samples that has as many samples as `ratio` of the forget group.

    Args:
        ratio: Share of the forget group, in (0, 1].
        sizes: Number of samples in the forget group and in all groups.
    """
    group, everyone = sizes
    return round(group * ratio) / everyone


def uniform() -> Iterator[Experiment]:
    """Yield the control, which forgets as many samples as `references` does, but from all groups."""
    for seed, ratio in product(SEEDS, RATIOS):
        for method in ("pretrain", "retrain"):
            yield Experiment(method=method, ratio=uniform_ratio(ratio), groups="uniform", seed=seed)


def uniform_gold() -> Iterator[Experiment]:
    """Yield the gold standard of each split of `uniform`."""
    for e in uniform():
        if e.method == "pretrain":
            yield e.gold


def unlearning() -> Iterator[Experiment]:
    """Yield Tables 1, 5 to 7 and Figs. 2, 4, 5: fine-tuning, the paper's methods, MIU + REWEIGHT."""
    for seed, ratio in product(SEEDS, RATIOS):
        if ratio in PAPER_RATIOS:
            yield from _both(("finetune", *PAPER_METHODS), ratio=ratio, seed=seed)
        else:
            yield Experiment(method="miu", reweight=True, ratio=ratio, seed=seed)


def largest_unlearning() -> Iterator[Experiment]:
    """Yield Figs. 2 and 4 for the largest group: the paper's methods."""
    for seed, ratio in product(SEEDS, PAPER_RATIOS):
        yield from _both(PAPER_METHODS, ratio=ratio, groups=((0, 0),), seed=seed)


def both_groups() -> Iterator[Experiment]:
    """Yield Figs. 2 and 4 for the smallest and the largest group together."""
    for seed, ratio in product(SEEDS, PAPER_RATIOS):
        yield from _references(ratio=ratio, groups=((0, 0), (1, 1)), seed=seed)
        yield from _both(PAPER_METHODS, ratio=ratio, groups=((0, 0), (1, 1)), seed=seed)


def extreme_groups() -> Iterator[Experiment]:
    """Yield Fig. 7 on the other two variants: small and large groups, alone and in pairs."""
    for dataset in ("groundwear-memorised", MANY):
        for seed, ratio, groups in product(SEEDS[:2], PAPER_RATIOS, alone_and_in_pairs(dataset)):
            methods = ["pretrain", "retrain", "l1_sparse", "salun"]
            methods += ["scrub"] * (dataset == MANY)  # on memorised data, SCRUB's loss diverges
            for method in methods:
                yield Experiment(dataset, method, ratio=ratio, groups=groups, seed=seed)


def alone_and_in_pairs(dataset: str) -> list[str | tuple[Group, ...]]:
    """Return the forget groups of Fig. 7: each small and each large group, then each pair of the two."""
    smallest, largest = SMALLEST_AND_LARGEST[dataset]
    alone = ["default" if group == FORGET_GROUPS[dataset] else (group,) for group in (*smallest, *largest)]
    return [*alone, *(tuple(sorted(pair)) for pair in product(smallest, largest))]


def elsewhere() -> Iterator[Experiment]:
    """Yield Tables 2, 3, 17 and Fig. 8 on the other two variants at ratio 0.5; GROUP-DRO on all three."""
    for dataset, seed in product(("groundwear", "groundwear-memorised", MANY), SEEDS):
        for method in ("group_dro", "group_dro_pretrain"):
            yield Experiment(dataset, method, ratio=0.5, seed=seed)
        if dataset != "groundwear":
            for lam in PAPER_LAMBDAS:
                yield Experiment(dataset, "miu", True, 0.5, seed=seed, overrides={"lam": lam})
            for term in ("calibration", "retaining"):
                yield Experiment(dataset, "miu", ratio=0.5, seed=seed, overrides={term: False})


def text_methods() -> Iterator[Experiment]:
    """Yield Table 16: the paper's other methods on pairs of sentences."""
    for seed in SEEDS:
        yield from _both(("l1_sparse", "salun", "scrub"), dataset="negation", ratio=0.5, seed=seed)


def further() -> Iterator[Experiment]:
    """Yield other methods of the field at the paper's ratios."""
    for seed, ratio in product(SEEDS, PAPER_RATIOS):
        yield from _both(FURTHER_METHODS, ratio=ratio, seed=seed)


def forget_only() -> Iterator[Experiment]:
    """Yield methods that their papers run on the forget set alone, without the retain pass of `further`."""
    for seed, ratio in product(SEEDS, PAPER_RATIOS):
        for method in ("gradient_ascent", "boundary_shrink", "boundary_expand"):
            yield Experiment(method=method, ratio=ratio, seed=seed, overrides={"retains": False})


def calibration() -> Iterator[Experiment]:
    """Yield the runs of Fig. 8 and of a question in lesson 05, with lambda from 0 to 10."""
    for seed, ratio in product(MANY_SEEDS, (0.5, 0.9)):
        yield Experiment(method="retrain", reweight=True, ratio=ratio, seed=seed)
        for lam in LAMBDAS:
            yield Experiment(method="miu", reweight=True, ratio=ratio, seed=seed, overrides={"lam": lam})


def ablation() -> Iterator[Experiment]:
    """Yield Table 4: MIU with its terms switched off one by one, without and with REWEIGHT."""
    for seed, ratio in product(SEEDS, (0.5, 0.9)):
        for overrides in ({"calibration": False}, {}, {"retaining": False}, {"unlearning": False}):
            yield from _both(("miu",), ratio=ratio, seed=seed, overrides=overrides)


def memorised() -> Iterator[Experiment]:
    """Yield Tables 2 and 8 to 10 on memorised data, with Waterbirds' group sizes."""
    yield from _tables("groundwear-memorised")


def many() -> Iterator[Experiment]:
    """Yield Tables 3 and 11 to 13, with many groups as in FairFace."""
    yield from _tables(MANY)


def multi_group() -> Iterator[Experiment]:
    """Yield the runs of Fig. 6 and Tables 14 and 15, which forget half of 9 groups and half of 25 groups."""
    for groups, seed in product((NINE_GROUPS, TWENTY_FIVE_GROUPS), SEEDS):
        split: dict[str, Any] = {"dataset": MANY, "ratio": 0.5, "groups": groups, "seed": seed}
        yield from _references(**split)
        yield from _both(PAPER_METHODS, **split)


def text() -> Iterator[Experiment]:
    """Yield lesson 08, pairs of sentences: references, the uniform control, fine-tuning and MIU."""
    for seed, ratio in product(SEEDS, (0.5, 0.9)):
        yield from _references(dataset="negation", ratio=ratio, seed=seed)
        yield Experiment("negation", "retrain", ratio=uniform_ratio(ratio, SENTENCES), groups="uniform",
                         seed=seed)
        yield from _both(("finetune", "miu"), dataset="negation", ratio=ratio, seed=seed)


def text_pretrained() -> Iterator[Experiment]:
    """Yield the same with a pretrained MiniLM: references, the uniform control, MIU + REWEIGHT."""
    for seed in SEEDS[:3]:
        yield from _references(dataset="negation-pretrained", ratio=0.9, seed=seed)
        yield Experiment("negation-pretrained", "retrain", ratio=uniform_ratio(0.9, SENTENCES),
                         groups="uniform", seed=seed)
        yield Experiment("negation-pretrained", "miu", reweight=True, ratio=0.9, seed=seed)


def tuned_alike() -> Iterator[Experiment]:
    """Yield MIU and fine-tuning, whose settings were searched with the same budget."""
    for ratio, n_seeds in ((0.5, 20), (0.9, 10)):
        for dataset, seed in product(("groundwear", "groundwear-memorised"), range(n_seeds)):
            yield Experiment(dataset, "pretrain", ratio=ratio, seed=seed)
            yield Experiment(dataset, "retrain", True, ratio, seed=seed)
            yield Experiment(dataset, "miu", True, ratio, seed=seed)
            yield Experiment(dataset, "finetune", True, ratio, seed=seed, overrides=FINETUNE[dataset])


TERMS: tuple[dict[str, Any], ...] = ({}, {"calibration": False}, {"unlearning": False})


def terms() -> Iterator[Experiment]:
    """Yield MIU + REWEIGHT, complete and with one term switched off, with ten seeds."""
    for seed, dataset, off in product(MANY_SEEDS, ("groundwear", "groundwear-memorised"), TERMS):
        yield Experiment(dataset, "miu", True, 0.5, seed=seed, overrides=off)


def unweighted() -> Iterator[Experiment]:
    """Yield MIU without REWEIGHT, complete and with one term switched off: Table 4."""
    for seed, dataset, off in product(SEEDS, ("groundwear", "groundwear-memorised"),
                                      (*TERMS, {"retaining": False})):
        yield Experiment(dataset, "miu", ratio=0.5, seed=seed, overrides=off)


def _tables(dataset: str) -> Iterator[Experiment]:
    """Yield the paper's tables of one data set: references, fine-tuning and the methods at three ratios."""
    for seed, ratio in product(SEEDS, PAPER_RATIOS):
        yield from _references(dataset=dataset, ratio=ratio, seed=seed)
        yield from _both(("finetune", *PAPER_METHODS), dataset=dataset, ratio=ratio, seed=seed)


def _references(**split: Any) -> Iterator[Experiment]:
    for method, reweight in (("pretrain", False), ("retrain", False), ("retrain", True)):
        yield Experiment(method=method, reweight=reweight, **split)


def _both(names: Iterable[str], **choices: Any) -> Iterator[Experiment]:
    for method, reweight in product(names, (False, True)):
        yield Experiment(method=method, reweight=reweight, **choices)


GRIDS: dict[str, Callable[[], Iterator[Experiment]]] = {f.__name__: f for f in (
    references, uniform, uniform_gold, largest_group, unlearning, memorised, many, further, forget_only,
    calibration, ablation, largest_unlearning, multi_group, text, text_pretrained, tuned_alike, terms,
    unweighted, both_groups, extreme_groups, elsewhere, text_methods)}
