"""Train a setting when a button is pressed, and draw its curves in the explorer during training."""

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
    """A view of a live run in the explorer's JavaScript module.

    Attributes:
        run: The state of the run, with the keys `button` (its label), `busy`, `closed`, `failed`, `step`,
            `of` (the number of steps), `sentence` and `about`.
        own: The finished epochs, their total number, the setting and, after the last epoch, the metrics; None
            before the first epoch.
    """

    _esm = MODULE
    run = traitlets.Dict().tag(sync=True)
    own = traitlets.Any(None).tag(sync=True)

    def setting(self) -> dict[str, Any]:
        """Return the setting of the run."""
        return {}

    def summary(self, _setting: dict[str, Any], result: Result) -> dict[str, Any]:
        """Return the numbers that are drawn for a finished run."""
        return {"metrics": finite(result.metrics)}


class Live(Work):
    """A run that starts when a button is pressed.

    Args:
        experiment: A function that returns the experiment; it is called when the button is pressed, and any
            error that it raises is shown.
        finished: A function that is called with the result.
        store: The folder of finished runs, as `grmu.run` takes it.
        view: The view in which the run is drawn; None creates one.

    Attributes:
        rows: The epochs of the last run; row 0 is PRETRAIN.
        result: The result of the last run; None until it ends.
    """

    def __init__(self, experiment: Callable[[], Experiment], finished: Callable[[Result], None] | None = None,
                 store: str | Path | None = None, view: RunView | None = None) -> None:
        super().__init__()
        self.experiment, self.finished, self.store = experiment, finished, store
        self.rows: list[dict[str, float]] = []
        self.result: Result | None = None
        self.box = self.view = view or RunView()
        self.view.on_msg(self._on_message)
        self.refresh()

    def _on_message(self, _view: Any, message: Any, _buffers: Any) -> None:
        """React to a click on a button in the JavaScript module."""
        {"press": self.press, "stop": self.cancel}[message]()

    def press(self) -> None:
        """Clear the previous curves and start a run, unless one is in progress."""
        if not self.running:
            self.view.own = None
        super().press()

    def refresh(self) -> None:
        """Send the state of the run to the JavaScript module."""
        self.view.run = {"button": "Train this setting now", "busy": self.running, "closed": False,
                         "failed": self.error is not None, "step": self.done, "of": self.steps,
                         "sentence": self.sentence, "about": self.about}

    def work(self) -> str:
        """Train the original model if the store lacks it, and then run the experiment."""
        self.result, setting, experiment = None, self.view.setting(), self.experiment()
        self.rows = []
        own = setting | {"of": max(experiment.config.epochs, 1)}

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
        self.view.own = own | {"epochs": [*self.rows]} | self.view.summary(setting, self.result)
        if self.finished is not None:
            self.say(done)
            self.finished(self.result)
        return done


def finite(row: dict[str, float]) -> dict[str, float]:
    """Return the finite numbers of a row, because JSON cannot represent the others."""
    return {name: float(value) for name, value in row.items() if math.isfinite(value)}
