"""`python -m grmu data`: what to download for a data set, whether a folder has it all, and its cache."""

from __future__ import annotations

from pathlib import Path

from grmu.data import require
from grmu.data.originals.original import Metadata, Original
from grmu.data.originals.registry import ORIGINALS, PROTOCOLS

LISTED = 20  # problems are printed at most


def prepare(name: str | None, root: Path | None, cache: bool, repair: bool, skip_damaged: bool,
            protocol: str) -> int:
    """Explain a data set, or check and prepare its folder.

    Returns:
        0: ready, perhaps as a subset, or only explained; 1: something is missing or wrong, and listed.
    """
    require(root is None or (name is not None and root.is_dir()),
            f"--root must be a folder, after a data set's name, got {root}.")
    require(root is not None or not (cache or repair or skip_damaged),
            "--cache, --repair and --skip-damaged look into a folder: name it with --root.")
    if name is None:
        print("\n".join(original.source.splitlines()[0] for original in ORIGINALS.values()))
        print("python -m grmu data NAME says more; NAME is one of", ", ".join(ORIGINALS))
        return 0
    original = getattr(PROTOCOLS[name], protocol)
    if root is None:
        print(f"{original.source}\nThen `python -m grmu data {name} --root FOLDER --cache` checks and "
              "prepares it.")
        return 0
    print(f"{name} in {root}")
    problems, subset = check(original, original.home(root), cache, repair, skip_damaged)
    if problems:
        print(f"not ready: {len(problems)} problems", *problems[:LISTED], sep="\n  - ")
        print(f"`python -m grmu data {name}` says what to download and how the folder must look.")
        return 1
    print(f'ready{subset}: grmu.data.load("{name}", root="{root}", protocol="{protocol}")')
    return 0


def check(original: Original, root: Path, cache: bool, repair: bool, skip: bool) -> tuple[list[str], str]:
    """Check labels, counts and samples, saying what is found; with `cache`, make or verify that too.

    Returns:
        What is missing or wrong, one sentence each; " as a subset of ..." if the folder has fewer samples
        than are published, and "" otherwise.
    """
    missing = original.missing(root)
    try:
        if repair:
            changes = original.repair(root) if original.repair else []
            print("  repair  ", "; ".join(changes) or "nothing to repair")
        metadata = original.metadata(root)
        made = original.cache(root, metadata)[0].open() is not None
        problems = [] if made else missing or check_samples(original, root, metadata, skip)
        metadata = original.metadata(root)  # without what was just skipped
        counts = check_counts(original, root, metadata)
        array, make_rows = original.cache(root, metadata)
        if cache and not problems:
            array.verify() if made else array.load(make_rows)
            print(f"  cache    {array.array_file}, verified")
        else:
            print("  cache   ", array.array_file if made else f"to be made: {array.n_bytes / 1e9:.1f} GB")
    except (ValueError, OSError) as error:
        return [*missing, str(error)] if isinstance(error, ValueError) else missing or [str(error)], ""
    if problems or not counts or not original.is_subset(metadata):
        return counts + problems, ""
    for fewer in counts:
        print(f"  fewer    {fewer}")
    sizes = {split: int(n.sum()) for split, n in original.counts(metadata).items()}
    named = ", ".join(f"{split} {n:,}" for split, n in sizes.items())
    return [], f" as a subset of {sum(sizes.values()):,} samples ({named})"


def check_samples(original: Original, root: Path, metadata: Metadata, skip: bool) -> list[str]:
    """Look at all samples and return what is damaged; with `skip`, put that aside."""
    if original.text_check:
        return original.text_check(root, metadata)
    damaged = original.damaged(metadata)
    if damaged and skip:
        original.skip(root, damaged)
        print(f"  skipped  {len(damaged)} damaged pictures, from now on")
        return []
    if damaged:
        print(f"  samples  {len(damaged)} of {len(metadata.items):,} are missing or damaged: --skip-damaged "
            "continues without them")
    return [f"{file} is {why}" for file, why in damaged.items()]


def check_counts(original: Original, root: Path, metadata: Metadata) -> list[str]:
    """Say how many samples the splits and groups have, and return where that is not as published."""
    for split, n in original.counts(metadata).items():
        groups = f"; in group order {' / '.join(f'{k:,}' for k in n)}" if len(n) <= 6 else ""
        print(f"  {split:8} {int(n.sum()):,} samples{groups}")
    if skipped := original.skipped(root):
        print(f"  counts   without {len(skipped)} damaged pictures: the published ones cannot be claimed")
        return []
    problems = original.deviations(metadata)
    print(f"  counts   {'not as' if problems else 'as'} {original.counts_from}")
    return problems
