"""Audit a method: what do shadow models reveal about the people who were unlearned, and what does that prove?

    python -m grmu audit --dataset groundwear-memorised --method miu --reweight

The command takes some minutes on two cores. It answers two questions, each with controls that can fail.
*Privacy*: can an attacker distinguish people who were unlearned from people who were never seen? *Efficacy*:
does the model answer for them like a model that was trained without them? If an attack does not detect
retained members, or the members of a model that was overfitted on purpose, the audit is inconclusive. The
audit also reports how unlearning changes the exposure of the retained members.
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

SAMPLES = 200  # at most, from each group that nothing is forgotten from


def privacy(experiment: Experiment, seen: Observations, overfit: Observations) -> pd.DataFrame:
    """Run all attacks on an experiment's shadow models: one row per attack, target (`who`) and group.

    For the forget groups, `who` is "unlearned"; "never", the control that must not be detected; and, for
    U-LiRA, the controls that must be detected: "retained" (retained members) and "overfitted" (unlearned
    members, but of models that were overfitted on purpose). For other groups, `who` is only "retained", with
    at most SAMPLES members.

    Args:
        experiment: The experiment whose shadow models are attacked.
        seen: Observations of the shadow models.
        overfit: Observations of the overfitted models.

    Returns:
        The number of samples, and the `MEASURES` with their intervals. For U-LiRA on "unlearned", also the
        AUC that would be detected with 80 % power, and the verdict.
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
    """Compare unlearned models with gold standards trained on the same halves: one row per `who` and group.

    `who` is "unlearned"; "retained" or "overfitted", the controls that must be detected, as in `privacy`; or
    "unseen", the samples that neither model saw.

    Args:
        experiment: The experiment whose shadow models are compared.
        seen: Observations of the shadow models.
        overfit: Observations of the overfitted models.
        retrained: Observations of the gold standards.

    Returns:
        The AUC of U-LiRA between the two sets of models, KLOM, and the `excess` of the AUC over that of the
        unseen samples. The verdict is about the `excess`.
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
    """Return how unlearning changes U-LiRA's success at detecting retained members: one row per group.

    Args:
        experiment: Determines which groups are forgotten.
        before: Observations of PRETRAIN on the same halves.
        seen: Observations of the unlearned models.
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
    """Yield each group's name, its rows of the training set, and whether some of them are forgotten."""
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
    """Return a table of findings as text, with each measure and its interval in one column."""
    measures = [c.removesuffix(" low") for c in table if c.endswith(" low")]
    shown = table.drop(columns=[f"{m}{end}" for m in measures for end in (" low", " high")])
    for m in measures:
        ends = zip(table[m], table[f"{m} low"], table[f"{m} high"], strict=True)
        shown[m] = [f"{v:.2f} [{low:.2f}, {high:.2f}]" if v == v else "-" for v, low, high in ends]
    return shown.to_string(index=False, na_rep="")


def main(argv: list[str]) -> int:
    """Audit one method, and print what each attack detects."""
    parser = argparse.ArgumentParser(prog="python -m grmu audit", description=main.__doc__)
    parser.add_argument("--dataset", default="groundwear-memorised", choices=data.EMBEDDED)
    parser.add_argument("--method", default="miu", help="a method's name (default: %(default)s)")
    parser.add_argument("--reweight", action="store_true", help="with REWEIGHT")
    parser.add_argument("--ratio", type=float, default=0.5,
                        help="share of the group to forget, in (0, 1] (default: %(default)s)")
    parser.add_argument("--shadows", type=int, default=shadows.SHADOWS,
                        help="number of shadow models (default: %(default)s)")
    parser.add_argument("--efficacy", action="store_true",
                        help="also train as many gold standards, and compare the models with them")
    options = add_jobs(parser).parse_args(argv)
    data.number("shadows", options.shadows, 2, whole=True)
    e = Experiment(options.dataset, options.method, options.reweight, options.ratio)
    print(f"{e.method}{' + REWEIGHT' * e.reweight} on {e.dataset}, ratio {e.ratio:g}, {options.shadows} "
          "shadow models; 95 % intervals over models", flush=True)
    observed = map_experiments(shadows.observe_beside, shadows.shadows(e, options.shadows), options.jobs)
    seen, before, overfit = (shadows.stacked(*parts) for parts in zip(*observed, strict=True))
    table = privacy(e, seen, overfit)
    print(f"\nPrivacy: are unlearned samples distinguishable from those never seen?\n\n{printed(table)}\n")
    unlearned = table[table.who == "unlearned"].drop_duplicates("group")
    for row, rate in product(unlearned.itertuples(), attacks.RATES):
        if why := attacks.too_few(row.n_never, rate):
            print(why)
    print(f"\nRetained members: after unlearning minus before\n\n{printed(stayers(e, before, seen))}")
    if options.efficacy:
        gold = shadows.observe_all(e.gold, options.shadows, options.jobs, forest=False)
        print("\nEfficacy: do the models answer like gold standards that never saw the samples?\n\n"
              f"{printed(efficacy(e, seen, overfit, gold))}")
    return 0
