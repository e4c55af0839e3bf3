"""python -m grmu data: what to download for a data set, whether a folder has it all, and its cache.

Exit code 0: ready, or only asked what to download; 1: something is missing or wrong, and listed.
"""

from __future__ import annotations

from pathlib import Path

from grmu.data.arguments import Parser
from grmu.data.originals.cache import LISTED
from grmu.data.originals.original import Metadata, Original, Protocols
from grmu.data.originals.registry import ORIGINALS, PROTOCOLS


def main(argv: list[str]) -> int:
    """Explain, or check and prepare; returns the exit code."""
    parser = Parser(prog="python -m grmu data",
                    description="Data sets that must be downloaded by hand: what to download, whether a "
                    "folder has it all, and the cache of its samples.")
    parser.add_argument("name", nargs="?", choices=ORIGINALS,
                        help="the data set; without one, all are listed")
    parser.add_argument("--root", type=Path,
                        help="its folder; without one, says what to download and how it must look")
    parser.add_argument("--cache", action="store_true",
                        help="also make the cache of decoded samples, or verify it")
    parser.add_argument("--repair", action="store_true",
                        help="repair labels that a spreadsheet damaged (FairFace)")
    parser.add_argument("--skip-damaged", action="store_true",
                        help="go on without the damaged pictures, from now on")
    parser.add_argument("--protocol", choices=Protocols._fields, default="ours",
                        help="read it as the paper's released code does (its counts, and a cache of its own)")
    options = parser.parse_args(argv)
    if options.root is not None and (options.name is None or not options.root.is_dir()):
        parser.error(f"--root {options.root} must be a folder, and stand after a data set's name")
    if options.root is None and (options.cache or options.repair or options.skip_damaged):
        parser.error("--cache, --repair and --skip-damaged look into a folder: name it with --root")
    if options.name is None:
        print("\n".join(original.source.splitlines()[0] for original in ORIGINALS.values()))
        print("python -m grmu data NAME says more; NAME is one of", ", ".join(ORIGINALS))
        return 0
    original = getattr(PROTOCOLS[options.name], options.protocol)
    if options.root is None:
        print(f"{original.source}\nThen `python -m grmu data {original.name} --root FOLDER --cache` checks "
              "and prepares it.")
        return 0
    print(f"{original.name} in {options.root}")
    problems = inspect(original, options.root, options.repair, options.cache, options.skip_damaged)
    if problems:
        lines = [*problems[:LISTED], *[f"and {len(problems) - LISTED} more"] * (len(problems) > LISTED)]
        print(f"not ready: {len(problems)} problem{'s' * (len(problems) > 1)}", *lines, sep="\n  - ")
        print(f"`python -m grmu data {original.name}` says what to download and how the folder must look.")
        return 1
    protocol = f', protocol="{options.protocol}"' * (options.protocol != "ours")
    print(f'ready: grmu.data.load("{original.name}", root="{options.root}"{protocol})')
    return 0


def inspect(original: Original, root: Path, repair: bool = False, cache: bool = False,
            skip: bool = False) -> list[str]:
    """What is missing or wrong with labels, counts and samples; with `cache`, make or verify that too."""
    root = original.home(root)
    _say("folder", str(root))
    missing = original.missing(root)
    try:
        if repair:
            changes = original.repair(root) if original.repair else []
            _say("repair", "; ".join(changes) or "nothing to repair")
        metadata = original.metadata(root)
    except FileNotFoundError as error:
        return missing or [str(error)]
    except (ValueError, OSError) as error:
        return [*missing, str(error)]
    wrong = _samples(original, root, metadata, missing, skip)
    if skip:
        metadata = original.metadata(root)  # without what was just put aside
    problems = [*_counts(original, root, metadata), *wrong]
    array, make_fill = original.cache(root, metadata)
    try:
        made = array.open() is not None
        if cache and not wrong:
            array.verify() if made else array.load(make_fill)
            _say("cache", f"{array.array_file}, verified")
        else:
            _say("cache", str(array.array_file) if made else f"to be made: {array.n_bytes / 1e9:.1f} GB")
    except (ValueError, OSError) as error:
        _say("cache", "not ready")
        problems.append(str(error))
    return problems


def _counts(original: Original, root: Path, metadata: Metadata) -> list[str]:
    """Says how many samples there are, of the splits and groups; where that is not as published."""
    for split, n in original.counts(metadata).items():
        groups = (f"in group order {' / '.join(f'{k:,}' for k in n)}" if len(n) <= 6
                  else f"{len(n)} groups of {n.min():,} to {n.max():,}")
        _say(split, f"{int(n.sum()):,} samples; {groups}")
    if skipped := original.skipped(root):
        _say("counts", f"without {len(skipped)} damaged pictures: the published ones cannot be claimed")
        return []
    problems = original.deviations(metadata)
    _say("counts", f"{'not as' if problems else 'as'} {original.counts_from}")
    return problems


def _samples(original: Original, root: Path, metadata: Metadata, missing: list[str], skip: bool) -> list[str]:
    """Says what the samples are like; what is missing or damaged, or puts that aside."""
    try:
        if original.cache(root, metadata)[0].open() is not None:  # the files are needed no more
            _say("samples", "all in the cache")
            return []
    except (ValueError, OSError) as error:
        return [str(error)]
    if missing or original.pictures is None:
        wrong = missing or original.check_samples(root, metadata)
        _say("samples", "missing or damaged" if wrong else "all there, and fit")
        return wrong
    damaged = original.damaged(metadata)
    if skip and damaged:
        original.skip(root, damaged)
        _say("skipped", f"{len(damaged)} damaged pictures, from now on: {', '.join([*damaged][:5])}")
        return []
    _say("samples", f"{len(damaged)} of {len(metadata.items):,} are missing or damaged: --skip-damaged goes "
         "on without them" if damaged else "all there; those that were decoded can be")
    return [f"{file} is {why}" for file, why in damaged.items()]


def _say(what: str, text: str) -> None:
    print(f"  {what:8} {text}", flush=True)
