"""Report the results of `make mutants` by module; the exit status is 1 if the score is too low.

    python tests/mutants.py               the table
    python tests/mutants.py --survivors   the survivors' names, to try them again: make mutants ARGS="$(...)"
    python tests/mutants.py --diff        the survivors' changed lines
"""

import subprocess
import sys
from collections import Counter, defaultdict

ASKED = 0.9
COLUMNS = ("killed", "timeout", "survived", "no tests", "not checked")


def mutmut(*arguments: str) -> str:
    """Return the output of mutmut."""
    return subprocess.run([sys.executable, "-m", "mutmut", *arguments], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def main(wanted: str = "") -> int:
    actual = dict(line.strip().split(": ") for line in mutmut("results", "--all", "true").splitlines())
    alive = [name for name, status in actual.items() if status not in ("killed", "timeout", "not checked")]
    if wanted == "--survivors":
        print(*alive)
    elif wanted == "--diff":
        print(*(mutmut("show", name) for name in alive), sep="\n")
    if wanted:
        return 0
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for name, status in actual.items():
        for row in (name.rpartition(".")[0], "all"):
            counts[row][status] += 1
    print(f"{'':30}{'mutants':>9}" + "".join(f"{column:>13}" for column in COLUMNS) + f"{'score':>9}")
    for row in [*sorted(counts.keys() - {"all"}), "all"]:
        count = counts[row]
        tried = count.total() - count["not checked"]
        score = (count["killed"] + count["timeout"]) / tried if tried else 0
        print(f"{row:30}{count.total():9}" + "".join(f"{count[column]:13}" for column in COLUMNS)
              + f"{score:9.1%}")
    if count["not checked"]:
        print("Not all were tried yet: run it again, it goes on from here.")
    return int(score < ASKED)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
