"""Explain, check and prepare the files of a data set: the command `python -m grmu data`."""

from __future__ import annotations

from pathlib import Path

from grmu.data import require
from grmu.data.originals.original import Metadata, Original
from grmu.data.originals.registry import ORIGINALS, PROTOCOLS

LISTED = 20  # at most this many problems are printed


def prepare(name: str | None, root: Path | None, cache: bool, repair: bool, skip_damaged: bool,
            protocol: str) -> int:
    """Explain a data set, or check and prepare its folder.

    Args:
        name: The data set. None lists all of them.
        root: Folder of its files. None explains what to download.
        cache: Also create or verify the cache of decoded samples.
        repair: Repair labels that a spreadsheet damaged.
        skip_damaged: Exclude damaged pictures from now on.
        protocol: "ours" or "released", which decides the expected counts and the cache.

    Returns:
        0 if the data set (or a subset of it) is ready or was only explained, 1 if there are problems.
    """
    require(root is None or (name is not None and root.is_dir()),
            f"--root must be an existing folder, and needs the name of a data set, got {root}.")
    require(root is not None or not (cache or repair or skip_damaged),
            "--cache, --repair and --skip-damaged need a folder: name it with --root.")
    if name is None:
        print("\n".join(original.source.splitlines()[0] for original in ORIGINALS.values()))
        print("For details, run python -m grmu data NAME, where NAME is one of", ", ".join(ORIGINALS))
        return 0
    original = getattr(PROTOCOLS[name], protocol)
    if root is None:
        print(f"{original.source}\nThen run `python -m grmu data {name} --root FOLDER --cache` to check and "
              "prepare the files.")
        return 0
    print(f"{name} in {root}")
    problems, subset = check(original, original.home(root), cache, repair, skip_damaged)
    if problems:
        print(f"not ready: {len(problems)} problems", *problems[:LISTED], sep="\n  - ")
        print(f"Run `python -m grmu data {name}` to see what to download and how to arrange the folder.")
        return 1
    print(f'ready{subset}: grmu.data.load("{name}", root="{root}", protocol="{protocol}")')
    return 0


def check(original: Original, root: Path, cache: bool, repair: bool, skip: bool) -> tuple[list[str], str]:
    """Check labels, counts and samples, and print the findings.

    Args:
        original: The data set.
        root: Folder of its files.
        cache: Also create or verify the cache.
        repair: Repair damaged labels first.
        skip: Exclude damaged pictures from now on.

    Returns:
        One sentence for each problem; and " as a subset of ..." if the folder has fewer samples than were
        published, otherwise "".
    """
    missing = original.missing(root)
    try:
        if repair:
            changes = original.repair(root) if original.repair else []
            print("  repair  ", "; ".join(changes) or "nothing to repair")
        metadata = original.metadata(root)
        made = original.cache(root, metadata)[0].open() is not None
        problems = [] if made else missing or check_samples(original, root, metadata, skip)
        metadata = original.metadata(root)  # read again without the samples that were just skipped
        counts = check_counts(original, root, metadata)
        array, make_rows = original.cache(root, metadata)
        if cache and not problems:
            array.verify() if made else array.load(make_rows)
            print(f"  cache    {array.array_file}, verified")
        else:
            print("  cache   ", array.array_file if made else f"missing, needs {array.n_bytes / 1e9:.1f} GB")
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
    """Check all samples and return one message for each damaged one; with `skip`, exclude these instead."""
    if original.text_check:
        return original.text_check(root, metadata)
    damaged = original.damaged(metadata)
    if damaged and skip:
        original.skip(root, damaged)
        print(f"  skipped  {len(damaged)} damaged pictures, now and in future")
        return []
    if damaged:
        print(f"  samples  {len(damaged)} of {len(metadata.items):,} are missing or damaged: --skip-damaged "
            "continues without them")
    return [f"{file} is {why}" for file, why in damaged.items()]


def check_counts(original: Original, root: Path, metadata: Metadata) -> list[str]:
    """Print the sizes of splits and groups, and return how they differ from the published ones."""
    for split, n in original.counts(metadata).items():
        groups = f"; in group order {' / '.join(f'{k:,}' for k in n)}" if len(n) <= 6 else ""
        print(f"  {split:8} {int(n.sum()):,} samples{groups}")
    if skipped := original.skipped(root):
        print(f"  counts   not compared with the published ones, because {len(skipped)} pictures are skipped")
        return []
    problems = original.deviations(metadata)
    print(f"  counts   {'not as' if problems else 'as'} {original.counts_from}")
    return problems
