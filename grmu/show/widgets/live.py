"""A button that trains now: curves grow while it does; everything else is `grmu.run`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from grmu.runs import Experiment, Result, run
from grmu.show.plots_live import curves_canvas, draw_epochs
from grmu.show.widgets.background import Background


class Live(Background):
    """A run at the press of a button.

    Args:
        experiment: asked when the button is pressed; what it raises is shown.
        finished: called with the result, in the training's thread.
        store: folder of finished runs, as `grmu.run` takes it.
    """

    def __init__(self, experiment: Callable[[], Experiment], finished: Callable[[Result], None] | None = None,
                 store: str | Path | None = None, description: str = "Train this setting now") -> None:
        super().__init__(curves_canvas(), description,
                         "trains on this computer, a few seconds; the controls stay usable")
        self.experiment, self.finished, self.store = experiment, finished, store
        self.rows: list[dict[str, float]] = []
        self.result: Result | None = None

    def work(self) -> str:
        """Train the original if the store lacks it, then what was asked for."""
        self.result, experiment = None, self.experiment()
        if experiment.method != "pretrain":
            self._train(experiment.original, "Training the original model first, once", fresh=False)
        result = self._train(experiment, f"Training {experiment}", fresh=True)
        self.result, done = result, f"Done in {self.seconds:.1f} s: {experiment}."
        if self.finished is not None:
            self.say(done)
            self.finished(result)
        return done

    def _train(self, experiment: Experiment, said: str, fresh: bool) -> Result:
        self.rows = []
        self.begin(experiment.optimisation.epochs, said)
        return run(experiment, self.store, on_epoch=self._epoch, fresh=fresh)

    def _epoch(self, number: int, row: dict[str, float]) -> None:
        self.rows.append(row)
        draw_epochs(self.canvas, self.rows, self.bar.max)
        self.step(number)
