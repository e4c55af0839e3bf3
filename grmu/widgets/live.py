"""A button that trains now: curves grow in the explorer's module meanwhile; all else is `grmu.run`."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from grmu.experiments import Experiment, Result, run
from grmu.widgets.work import Work

MODULE = Path(__file__).with_name("explorer.js")


class RunView(anywidget.AnyWidget):
    """A live run in the module.

    Attributes:
        run: how it stands: what the button says, busy, closed, failed, step, of, sentence, about.
        own: its epochs, of how many, of which `choice`, and at its end its metrics; None before.
    """

    _esm = MODULE
    run = traitlets.Dict().tag(sync=True)
    own = traitlets.Any(None).tag(sync=True)

    def asked(self) -> dict[str, Any]:
        """Return the setting that the run is drawn beside."""
        return {}

    def came_to(self, _asked: dict[str, Any], result: Result) -> dict[str, Any]:
        """Return what is drawn of a finished run."""
        return {"metrics": finite(result.metrics)}


class Live(Work):
    """A run at the press of a button.

    Args:
        experiment: called when the button is pressed; what it raises is shown.
        finished: called with the result.
        store: folder of finished runs, as `grmu.run` takes it.
        view: where it is drawn; None makes one.

    Attributes:
        rows: the epochs of the last run; row 0 is PRETRAIN's point.
        result: None before the end.
    """

    def __init__(self, experiment: Callable[[], Experiment], finished: Callable[[Result], None] | None = None,
                 store: str | Path | None = None, view: RunView | None = None) -> None:
        super().__init__()
        self.experiment, self.finished, self.store = experiment, finished, store
        self.rows: list[dict[str, float]] = []
        self.result: Result | None = None
        self.box = self.view = view or RunView()
        self.view.on_msg(self._heard)
        self.refresh()

    def _heard(self, _view: Any, message: Any, _buffers: Any) -> None:
        """React to a button of the module."""
        {"press": self.press, "stop": self.cancel}[message]()

    def press(self) -> None:
        """Begin, unless it is at work already; what the last run drew goes at once."""
        if not self.running:
            self.view.own = None
        super().press()

    def refresh(self) -> None:
        """Tell the module how it stands."""
        self.view.run = {"button": "Train this setting now", "busy": self.running, "closed": False,
                         "failed": self.error is not None, "step": self.done, "of": self.steps,
                         "sentence": self.sentence, "about": self.about}

    def work(self) -> str:
        """Train the original model if the store lacks it, then the experiment."""
        self.result, asked, experiment = None, self.view.asked(), self.experiment()
        self.rows = []
        own = asked | {"of": max(experiment.config.epochs, 1)}

        def grow(row: dict[str, float]) -> None:
            self.rows.append(finite(row))
            self.view.own = own | {"epochs": [*self.rows]}

        def epoch(number: int, row: dict[str, float]) -> None:
            grow(row)
            self.step(number)

        if experiment.method != "pretrain":
            original = experiment.original
            self.begin(original.config.epochs, "Training the original model first, once")
            before = run(original, self.store, on_epoch=lambda number, _: self.step(number)).metrics
            grow({"epoch": 0, **{name: before[name] for name in ("TA", "GA", "UA")}})
        self.begin(experiment.config.epochs, f"Training {experiment}")
        self.result = run(experiment, self.store, on_epoch=epoch, fresh=True)
        done = f"Done in {self.seconds:.1f} s: {experiment}."
        self.view.own = own | {"epochs": [*self.rows]} | self.view.came_to(asked, self.result)
        if self.finished is not None:
            self.say(done)
            self.finished(self.result)
        return done


def finite(row: dict[str, float]) -> dict[str, float]:
    """Return the finite numbers of a row; JSON has no word for others."""
    return {name: float(value) for name, value in row.items() if math.isfinite(value)}
