"""Compute MIA like the paper's released code, for Tables 1 to 3 and 16 on the embedded data."""

import pandas as pd

from grmu.analysis import grids
from grmu.analysis.released import membership_of
from grmu.analysis.results import KEYS, columns_of, write_study
from grmu.experiments import Experiment, map_experiments

GRIDS = ("references", "unlearning", "memorised", "many", "elsewhere", "text", "text_methods")


def experiments() -> list[Experiment]:
    """Return the runs of the four tables, without fine-tuning."""
    runs = [e for name in GRIDS for e in grids.GRIDS[name]()]
    return [e for e in dict.fromkeys(runs) if e.ratio == 0.5 and e.groups == "default" and not e.overrides
            and e.method not in ("finetune", "rwg", "subg")]


def membership(jobs: int) -> pd.DataFrame:
    """Return one row per run."""
    chosen = experiments()
    shares = map_experiments(membership_of, chosen, jobs)
    rows = [[*columns_of(e), round(share, 5)] for e, share in zip(chosen, shares, strict=True)]
    return pd.DataFrame(rows, columns=[*KEYS, "MIA"])


if __name__ == "__main__":
    write_study(released=membership)
