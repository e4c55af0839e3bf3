"""python -m grmu data: what to download for a data set, whether a folder has it all, and its cache.

Exit code 0: ready, or only asked what to download; 1: something is missing or wrong, and listed.
"""

from __future__ import annotations

from pathlib import Path

from grmu.data.arguments import Parser
from grmu.data.originals.original import Original
from grmu.data.originals.registry import ORIGINALS


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
    options = parser.parse_args(argv)
    if options.root is not None and (options.name is None or not options.root.is_dir()):
        parser.error(f"--root {options.root} must be a folder, and stand after a data set's name")
    if options.root is None and (options.cache or options.repair):
        parser.error("--cache and --repair look into a folder: name it with --root")
    if options.name is None:
        print("\n".join(original.source.splitlines()[0] for original in ORIGINALS.values()))
        print("python -m grmu data NAME says more; NAME is one of", ", ".join(ORIGINALS))
        return 0
    original = ORIGINALS[options.name]
    if options.root is None:
        print(f"{original.source}\nThen `python -m grmu data {original.name} --root FOLDER --cache` checks "
              "and prepares it.")
        return 0
    print(f"{original.name} in {options.root}")
    problems = inspect(original, options.root, options.repair, options.cache)
    if problems:
        print(f"not ready: {len(problems)} problem{'s' * (len(problems) > 1)}", *problems, sep="\n  - ")
        print(f"`python -m grmu data {original.name}` says what to download and how the folder must look.")
        return 1
    print(f'ready: grmu.data.load("{original.name}", root="{options.root}")')
    return 0


def inspect(original: Original, root: Path, repair: bool, cache: bool) -> list[str]:
    """What is missing or wrong with labels, counts and samples; with `cache`, make or verify that too."""
    root = original.home(root)
    missing = original.missing(root)
    try:
        if repair:
            changes = original.repair(root) if original.repair else []
            _say("repair", "; ".join(changes) or "nothing to repair")
        metadata = original.read(root)
    except FileNotFoundError as error:
        return missing or [str(error)]
    except (ValueError, OSError) as error:
        return [*missing, str(error)]
    counts = {split: int(n.sum()) for split, n in original.counts(metadata).items()}
    _say("labels",
         f"{len(metadata.items):,} samples: {', '.join(f'{split} {n:,}' for split, n in counts.items())}")
    problems = original.deviations(metadata)
    _say("counts", f"{'not as' if problems else 'as'} {original.counts_from}")
    array, make_fill = original.cache(root, metadata)
    try:
        if made := array.open() is not None:  # the files are needed no more
            _say("samples", f"all in the cache {array.array_file}")
        elif wrong := missing or original.check_samples(root, metadata):
            _say("samples", "missing or damaged")
            return problems + wrong
        else:
            _say("samples", "all there, and fit" if original.pictures is None
                 else "all there; those looked at can be decoded")
        if cache:
            array.verify() if made else array.load(make_fill)
            _say("cache", f"{array.array_file}, verified")
    except (ValueError, OSError) as error:
        _say("cache", "not ready")
        problems.append(str(error))
    return problems


def _say(what: str, text: str) -> None:
    print(f"  {what:8} {text}", flush=True)
