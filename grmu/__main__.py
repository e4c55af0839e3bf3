"""python -m grmu COMMAND: what the Makefile calls. `python -m grmu COMMAND --help` explains a command."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from grmu.data.arguments import Parser
from grmu.experiments.store import StoreError

COMMANDS = {  # name: (module, arguments put before the user's, what it does)
    "demo": ("grmu.scale.demo", [], "run the five methods on the embedded data set and compare them"),
    "explorer": ("grmu.show.explorer_page", [], "write the explorer as one page that needs no kernel"),
    "audit": ("grmu.analysis.audit", [], "attack a method, sample by sample: is it forgotten?"),
    "bench": ("grmu.scale.bench", [], "measure what the project promises"),
    "data": ("grmu.data.originals.command", [],
             "say what to download for a data set, check its folder, prepare it"),
    "notebooks": ("grmu.course.notebooks", [], "execute the lessons and save them as they are committed"),
    "check-notebooks": ("grmu.course.notebooks", ["--check"],
                        "say which lessons are not as they should be committed"),
    "labs": ("grmu.course.labs", [],
             "write the labs for students, without solutions, or grade what they hand in"),
    "results": ("grmu.analysis.compute", [], "compute the results that ship with the course"),
    "weights": ("grmu.scale.weights_command", [], "say which pretrained weights are there, or download some"),
    "sweep": ("grmu.scale.sweep_command", [], "the jobs of a grid of experiments, their cost, their report"),
    "search": ("grmu.analysis.search", [], "choose hyperparameters on validation data"),
}

# raised with a sentence for the user
EXPLAINED = (ValueError, FloatingPointError, FileNotFoundError, OSError, StoreError)


def _explanation(error: Exception) -> str | None:
    """The sentence that explains an error, also one of a notebook that papermill ran; None if it has none."""
    if isinstance(error, OSError) and error.errno:  # the system's, not ours: it says no fix
        return (f"{error.filename or 'a file'} cannot be read or written ({error.strerror}): name a file "
                "that is there, or a folder that is yours and has room.")
    if isinstance(error, EXPLAINED):
        return str(error)
    explained = getattr(error, "ename", None) in {kind.__name__ for kind in EXPLAINED}
    return getattr(error, "evalue", None) if explained else None


def main(argv: list[str] | None = None) -> int:
    """Run one command; its exit code, 2 for an error with an explanation, 130 when stopped."""
    listing = "\n".join(f"  {name:16} {what}" for name, (_, _, what) in COMMANDS.items())
    parser = Parser(prog="python -m grmu", description="Group-robust machine unlearning.",
                    epilog=f"commands:\n{listing}")
    parser.add_argument("--traceback", action="store_true", help="on an error, show where it was raised")
    parser.add_argument("command", choices=COMMANDS, metavar="command", help="see below")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the command; --help lists them")
    arguments, shown = sys.argv[1:] if argv is None else argv, False
    try:
        options = parser.parse_args(arguments)
        shown, (module, first, _) = options.traceback, COMMANDS[options.command]
        return import_module(module).main(first + options.arguments)
    except KeyboardInterrupt:
        print("\nstopped; finished runs are kept", file=sys.stderr)
        return 130
    except Exception as error:
        explained = _explanation(error)
        if shown or explained is None:
            raise
        print(f"error: {explained}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    # what nbformat would import besides, and no command needs: grammars of web addresses, a second and a half
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    sys.exit(main())
