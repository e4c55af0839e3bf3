"""An audit: what shadow models reveal about the people who were unlearned, and what that proves.

    python -m grmu audit --dataset groundwear-memorised --method miu --reweight     some minutes on two cores

Two questions, each with controls that could have failed. *Privacy*: can an attacker tell who was unlearned
from who was never seen? *Efficacy*: does the model answer for them as one that was trained without them?
Where an attack does not detect members who were kept, or those of a model overfitted on purpose, the audit is
inconclusive. Beside it: what unlearning does to the members who stay.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np
import pandas as pd

from grmu import data
from grmu.analysis import attacks, shadows
from grmu.analysis.compare import Interval
from grmu.analysis.results import add_jobs
from grmu.analysis.shadows import NEVER, RETAINED, UNLEARNED, UNSEEN, Observations, select
from grmu.experiments import Experiment, load_split, map_experiments

SAMPLES = 200  # at most, of a group that forgets nobody


def privacy(experiment: Experiment, seen: Observations, overfit: Observations) -> pd.DataFrame:
    """Run all attacks on an experiment's shadow models: a row an attack, `who` it looks for, and group.

    `who`, of the forget groups: "unlearned"; "never", the control that must not be detected; and for U-LiRA
    the controls that must be: "retained" (members who were kept) and "overfitted" (those who were unlearned,
    but by models overfitted on purpose). Of other groups "retained" alone, of SAMPLES members at most.

    Returns:
        Numbers of samples, the `MEASURES` with their intervals, and for U-LiRA on "unlearned" the AUC that
        would be seen in 80 of 100 cases, and the verdict.
    """
    rows = []
    for name, members, forgets in _groups(experiment):
        mine = select(seen, members)
        cases = [("U-LiRA", "retained", RETAINED, mine)]
        if forgets:
            cases += [("U-LiRA", "overfitted", UNLEARNED, select(overfit, members))]
            cases += [(attack, who, UNLEARNED, those) for attack in attacks.ATTACKS
                      for who, those in (("unlearned", mine), ("never", shadows.never_again(mine)))]
        aucs: dict[str, Interval] = {}
        for attack, who, positive, those in cases:
            measures = attacks.judge(those, attack, positive)
            rows.append({"attack": attack, **_about(who, name, positive, those, len(seen.status)),
                         **_flat(measures)})
            if attack == "U-LiRA":
                aucs[who] = measures["AUC"]
                rows[-1] |= _judgement(aucs) if who == "unlearned" else {}
    return pd.DataFrame(rows)


def efficacy(experiment: Experiment, seen: Observations, overfit: Observations,
             retrained: Observations) -> pd.DataFrame:
    """Compare unlearned models with `retrained` ones, gold standards on the same halves: a row `who`, group.

    `who`: "unlearned"; the controls that must be detected, "retained" and "overfitted", as of `privacy`; and
    "unseen", whom neither model saw.

    Returns:
        AUC of U-LiRA between the two sets of models, KLOM, and the `excess` of the AUC over that of the
        unseen. The verdict is of the `excess`.
    """
    rows = []
    for name, members, forgets in _groups(experiment):
        if not forgets:
            continue
        above = {}
        gold, drawn = select(retrained, members), np.tile(attacks.resampled(len(seen.status)), 2)
        for who, positive, models in (("unseen", UNSEEN, seen), ("retained", RETAINED, seen),
                                      ("overfitted", UNLEARNED, overfit), ("unlearned", UNLEARNED, seen)):
            both = shadows.beside_retrained(select(models, members), gold)
            above[who] = attacks.excess(both, positive, drawn)
            measures = {"AUC": attacks.judge(both, "U-LiRA", positive, drawn)["AUC"],
                        "KLOM": attacks.mean_klom(both, positive, drawn), "excess": above[who]}
            rows.append(_about(who, name, positive, both, len(seen.status)) | _flat(measures))
        rows[-1] |= _judgement(above, 0)
    return pd.DataFrame(rows)


def stayers(experiment: Experiment, before: Observations, seen: Observations) -> pd.DataFrame:
    """Compare how well U-LiRA detects members who were kept, after unlearning minus `before`: a row group.

    Args:
        experiment: Says which groups forget.
        before: PRETRAIN on the same halves.
        seen: The unlearned models.
    """
    rows = []
    for name, members, forgets in _groups(experiment):
        if forgets:
            drawn = attacks.resampled(len(seen.status))
            after, earlier = (attacks.measured(select(models, members), "U-LiRA", RETAINED, drawn)
                              for models in (seen, before))
            change = attacks.intervals(after - earlier, len(seen.status))
            rows.append({"group": name, "shadows": len(seen.status),
                         **_flat(dict(zip(attacks.MEASURES, change, strict=True)))})
    return pd.DataFrame(rows)


def _groups(experiment: Experiment) -> Iterator[tuple[str, np.ndarray, bool]]:
    """Yield each group's name, its rows of the training set, and whether some of it are forgotten."""
    train, (_, _, forgotten) = experiment.load().train, load_split(experiment)
    forgets = {train.group_id(group) for group in forgotten}
    for group, name in enumerate(train.group_names):
        members = np.flatnonzero((train.group == group).numpy())
        if group not in forgets and len(members) > SAMPLES:
            members = np.sort(np.random.default_rng(0).choice(members, SAMPLES, replace=False))
        yield name, members, group in forgets


def _about(who: str, group: str, positive: int, those: Observations, n: int) -> dict[str, object]:
    return {"who": who, "group": group, "n": int((those.status == positive).sum()),
            "n_never": int((those.status == NEVER).sum()), "shadows": n}


def _flat(measures: Mapping[str, Interval]) -> dict[str, float]:
    return {f"{measure}{end}": value for measure, i in measures.items()
            for end, value in (("", i.mean), (" low", i.low), (" high", i.high))}


def _judgement(aucs: Mapping[str, Interval], chance: float = 0.5) -> dict[str, object]:
    ours, controls = aucs["unlearned"], (aucs["retained"], aucs["overfitted"])
    return {"seen": attacks.would_be_seen(ours, chance), "verdict": attacks.verdict(ours, controls, chance)}


def printed(table: pd.DataFrame) -> str:
    """Return a table of findings as the command shows it: a measure and its interval in one column."""
    measures = [c.removesuffix(" low") for c in table if c.endswith(" low")]
    shown = table.drop(columns=[f"{m}{end}" for m in measures for end in (" low", " high")])
    for m in measures:
        ends = zip(table[m], table[f"{m} low"], table[f"{m} high"], strict=True)
        shown[m] = [f"{v:.2f} [{low:.2f}, {high:.2f}]" if v == v else "-" for v, low, high in ends]
    return shown.to_string(index=False, na_rep="")


def main(argv: list[str]) -> int:
    """Audit one method and print what every attack finds."""
    parser = argparse.ArgumentParser(prog="python -m grmu audit", description=main.__doc__)
    parser.add_argument("--dataset", default="groundwear-memorised", choices=data.EMBEDDED)
    parser.add_argument("--method", default="miu", help="a method's name (default: %(default)s)")
    parser.add_argument("--reweight", action="store_true", help="with REWEIGHT")
    parser.add_argument("--ratio", type=float, default=0.5,
                        help="share of the group that is unlearned (default: %(default)s)")
    parser.add_argument("--shadows", type=int, default=shadows.SHADOWS,
                        help="shadow models (default: %(default)s)")
    parser.add_argument("--efficacy", action="store_true",
                        help="compare them with as many gold standards, too, which are trained once")
    options = add_jobs(parser).parse_args(argv)
    data.number("shadows", options.shadows, 2, whole=True)
    e = Experiment(options.dataset, options.method, options.reweight, options.ratio)
    print(f"{e.method}{' + REWEIGHT' * e.reweight} on {e.dataset}, ratio {e.ratio:g}, {options.shadows} "
          "shadow models; 95 % intervals over models", flush=True)
    observed = map_experiments(shadows.observe_beside, shadows.shadows(e, options.shadows), options.jobs)
    seen, before, overfit = (shadows.stacked(*parts) for parts in zip(*observed, strict=True))
    table = privacy(e, seen, overfit)
    print(f"\nPrivacy: unlearned, or never seen?\n\n{printed(table)}\n")
    unlearned = table[table.who == "unlearned"].drop_duplicates("group")
    for row, rate in product(unlearned.itertuples(), attacks.RATES):
        if why := attacks.too_few(row.n_never, rate):
            print(why)
    print(f"\nMembers who stay, after minus before\n\n{printed(stayers(e, before, seen))}")
    if options.efficacy:
        gold = shadows.observe_all(e.gold, options.shadows, options.jobs, forest=False)
        print("\nEfficacy: as a gold standard that never saw them?\n\n"
              f"{printed(efficacy(e, seen, overfit, gold))}")
    return 0
