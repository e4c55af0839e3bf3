"""A button that trains now: curves grow in the explorer's module while it does; all else is `grmu.run`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from grmu.experiments import Experiment, Result, load_split, run, train_or_load
from grmu.experiments.run import run_keys
from grmu.experiments.store import Store
from grmu.show.explorer_page import MODULE
from grmu.show.widgets.background import Work
from grmu.show.widgets.common import Displayed
from grmu.training import predict

BESIDE = ThreadPoolExecutor(1, "PRETRAIN's point")  # computed while the first epoch runs


class RunView(anywidget.AnyWidget):
    """A live run in the module.

    run: how it stands: what the button says, busy, closed, failed, step, of, sentence, about.
    own: its epochs, of how many, of which `choice`, and at its end what it came to; None before.
    """

    _esm = MODULE
    run = traitlets.Dict().tag(sync=True)
    own = traitlets.Any(None).tag(sync=True)

    def asked(self) -> dict[str, Any]:
        """What the run is drawn beside."""
        return {}

    def came_to(self, _asked: dict[str, Any], result: Result) -> dict[str, Any]:
        """What is drawn of a run that is done."""
        return {"metrics": finite(result.metrics)}


class Live(Work, Displayed):
    """A run at the press of a button.

    Args:
        experiment: asked when the button is pressed; what it raises is shown.
        finished: called with the result, in the training's thread.
        store: folder of finished runs, as `grmu.run` takes it.
        description: what the button says.  view: where it is drawn; None makes one.

    Attributes:
        rows: the epochs of the last run; row 0 is PRETRAIN's point.  result: None before the end.
    """

    def __init__(self, experiment: Callable[[], Experiment], finished: Callable[[Result], None] | None = None,
                 store: str | Path | None = None, description: str = "Train this setting now",
                 view: RunView | None = None) -> None:
        super().__init__()
        self.experiment, self.finished, self.store = experiment, finished, store
        self.description, self.closed = description, False
        self.rows: list[dict[str, float]] = []
        self.result: Result | None = None
        self.view = view or RunView()
        self.box = self.view
        self.view.on_msg(self._heard)
        self.refresh()
        with suppress(RuntimeError):  # no loop, so nobody at a page
            # what a first optimizer imports takes two seconds: soon, and not in a thread beside other imports
            asyncio.get_running_loop().call_later(1, import_module, "torch._dynamo")

    def _heard(self, _view: Any, message: Any, _buffers: Any) -> None:
        """A button of the module was pressed."""
        if message == "press" and not self.closed:
            self.press()
        elif message == "stop":
            self.cancel()

    def press(self) -> None:
        """Begin, unless it is at work already; what the last run drew goes at once."""
        if not self.running:
            self.view.own = None
        super().press()

    def close(self) -> None:
        """Take no more runs."""
        self.closed = True
        self.refresh()

    def refresh(self) -> None:
        """Tell the module how it stands."""
        self.view.run = {"button": self.description, "busy": self.running, "closed": self.closed,
                         "failed": self.error is not None, "step": self.done, "of": self.steps,
                         "sentence": self.sentence, "about": self.about}

    def work(self) -> str:
        """Train the original if the store lacks it, then what was asked for."""
        self.result, asked, experiment = None, self.view.asked(), self.experiment()
        rows = self.rows = list[dict[str, float]]()

        def grow(row: dict[str, float]) -> None:
            rows.append(finite(row))
            self.view.own = own | {"epochs": [*rows]}

        def epoch(number: int, row: dict[str, float]) -> None:
            point.result()  # is drawn first
            grow(row)
            self.step(number)

        if experiment.method != "pretrain":
            original = experiment.original
            if Store(self.store).read("models", run_keys(original).weights) is None:
                self.begin(original.config.epochs, "Training the original model first, once")
                run(original, self.store, on_epoch=lambda number, _row: self.step(number))
        self.begin(experiment.config.epochs, f"Training {experiment}")
        own = asked | {"of": self.steps}
        point = BESIDE.submit(
            lambda: None if experiment.method == "pretrain" else grow(before(experiment, self.store)))
        self.result = run(experiment, self.store, on_epoch=epoch, fresh=True)
        point.result()
        done = f"Done in {self.seconds:.1f} s: {experiment}."
        self.view.own = own | {"epochs": [*rows]} | self.view.came_to(asked, self.result)
        if self.finished is not None:
            self.say(done)
            self.finished(self.result)
        return done


def finite(row: dict[str, float]) -> dict[str, float]:
    """What of it is a number; JSON has no word for what is none."""
    return {name: float(value) for name, value in row.items() if math.isfinite(value)}


def before(experiment: Experiment, store: str | Path | None = None) -> dict[str, float]:
    """PRETRAIN's point, as a row of the curves: epoch 0, and TA, GA, UA of the original model."""
    splits, split, groups = load_split(experiment)
    model, test = train_or_load(experiment.original, store), splits.test
    # without `fixed_threads`, which would restore the number of threads under the run beside it
    hits, forgotten = ((predict(model, model, part.x).argmax(1) == part.y).float()
                       for part in (test, split.forget))
    return {"epoch": 0, "TA": hits.mean().item(), "GA": hits[test.in_groups(groups)].mean().item(),
            "UA": forgotten.mean().item()}
