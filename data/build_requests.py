"""Build data/requests.csv: who of Groundwear's training set asks to be forgotten, in the lesson on requests.

    python data/build_requests.py [--check]

Made up, with a fixed seed. Most of those who ask are sneakers on brick, most of them in one week. Some
requests cannot be granted. --check compares with the shipped file instead of writing.
"""

from __future__ import annotations

import argparse
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from grmu import data

OUTPUT = Path(__file__).parent / "requests.csv"
SEED, FIRST, DAYS = 0, date(2026, 2, 2), 26
ASK = (9, 7, 8, 53)  # of each group, in group order
BUSY = 11  # the day around which the group that asks most does so
STRAY = (  # on which day, who, group: what a real inbox holds as well
    (3, "val-312", "sneaker on grass"), (19, "val-1790", "sneaker on brick"),
    (8, "test-77", "ankle boot on brick"), (6, "train-6120", "sneaker on brick"),
    (15, "customer-88", "ankle boot on grass"),
    (12, "anna@example.org", "sneaker on brick"), (22, "train--3", "sneaker on grass"),
    (13, "all", "sneaker on brick"))


def build(seed: int = SEED) -> str:
    """The file's text."""
    train, rng = data.load("groundwear").train, np.random.default_rng(seed)
    names, requests = train.group_names, []
    for group, n in enumerate(ASK):
        rows = rng.choice(np.flatnonzero(train.group.numpy() == group), n, replace=False)
        days = rng.normal(BUSY, 3, n).round() if group == len(ASK) - 1 else rng.integers(0, DAYS, n)
        requests += [(int(day), f"train-{row}", names[group])
                     for day, row in zip(days.clip(0, DAYS - 1), rows, strict=True)]
    again = [(min(requests[i][0] + later, DAYS), *requests[i][1:]) for i, later in ((30, 3), (4, 9), (70, 1))]
    wrong = [(10, f"train-{int(row)}", names[3])
             for row in rng.choice(np.flatnonzero(train.group.numpy() == 2), 2, replace=False)]
    lines = sorted(requests + again + wrong + list(STRAY), key=lambda r: r[0])
    dated = [f"{who},{FIRST + timedelta(days=day)},{group}" for day, who, group in lines]
    late = rng.choice(np.flatnonzero(train.group.numpy() == 1), 2, replace=False)
    dated += [f"train-{late[0]},2026-02-30,{names[1]}", f"train-{late[1]},14 Feb,{names[1]}"]
    return "\n".join(["who,when,group", *dated]) + "\n"


def main() -> None:
    """Write the file, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the shipped file, write nothing")
    if parser.parse_args().check:
        same = OUTPUT.read_text(encoding="utf-8") == build()
        raise SystemExit(0 if same else f"{OUTPUT.name} is not what this script builds.")
    OUTPUT.write_text(build(), encoding="utf-8")


if __name__ == "__main__":
    main()
