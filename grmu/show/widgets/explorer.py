"""The unlearning explorer: what every setting did, from the shipped results; and what this one does, live."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as w
from matplotlib.figure import Figure

from grmu.runs import Result
from grmu.show import explorer
from grmu.show.plots_live import LiveRun, draw_setting, setting_canvas
from grmu.show.widgets.common import SLIDER, STYLE, WIDE, Displayed, explained
from grmu.show.widgets.live import Live
from grmu.show.widgets.model_changes import ModelChanges
from grmu.study import grids
from grmu.study.names import label

QUESTION = ("Half of a small group is forgotten. "
            "Does the method keep those who stay, and is that as good as the gold standard?")
ALL = "all five"


class Explorer(Displayed):
    """Controls over `grmu.show.explorer.find`, a figure, and a live run; `choice` is what the controls say.

    `controls[name].value = ...` works from code as from the keyboard. Whatever was not computed is snapped to
    the nearest setting that was, and `message` says so. A live run trains exactly what the controls say, and
    is drawn as a star.
    """

    def __init__(self, question: str = QUESTION, store: str | Path | None = None, **start: Any) -> None:
        first = explorer.Choice(**start)
        self.controls: dict[str, w.Widget] = {
            "groups": w.Dropdown(options=list(explorer.FORGET_GROUPS), value=first.groups,
                                 description="who asks",
                                 tooltip="the groups whose samples are forgotten", style=STYLE, layout=WIDE),
            "method": w.Dropdown(options=self._methods(first.groups), value=first.method,
                                 description="method",
                                 tooltip="how the model unlearns, or that it is trained anew", style=STYLE,
                                 layout=WIDE),
            "reweight": w.Checkbox(value=first.reweight,
                                   description="REWEIGHT: sample those who stay in the old proportions",
                                   tooltip="the retain set is sampled in the training set's "
                                           "group proportions",
                                   indent=False, layout=w.Layout(width="38em", margin="0 0 0 13.5em")),
            "ratio": w.FloatSlider(first.ratio, min=0.05, max=0.95, step=0.05, description="unlearning ratio",
                                   readout_format=".2f",
                                   tooltip="share of these groups that is forgotten; arrow keys move it",
                                   **SLIDER),
            "lam": w.FloatSlider(first.lam, min=0, max=10, step=0.5, description="λ, calibration",
                                 readout_format=".1f",
                                 tooltip="how strongly MIU holds to the original's mutual information; "
                                         "arrow keys move it", **SLIDER),
            "seed": w.Dropdown(options=[ALL, *grids.SEEDS], description="seeds",
                               value=ALL if first.seed is None else first.seed, style=STYLE, layout=WIDE,
                               tooltip="all: mean and 95 % interval; a live run with all takes seed 0"),
        }
        self.picture, self.message = w.Image(format="png", layout=w.Layout(max_width="100%")), w.HTML()
        self.shown: explorer.Shown | None = None
        self.figure: Figure | None = None
        self.error: Exception | None = None
        self.own: LiveRun | None = None
        self._canvas, self._busy = setting_canvas(), False
        self.live = Live(lambda: self.choice.experiment(), self._finished, store)
        self.model_changes = ModelChanges(store)
        for control in self.controls.values():
            control.observe(self._moved, names="value")
        self.box = w.VBox([w.HTML(f"<b>{escape(question)}</b>"), *self.controls.values(), self.message,
                           self.picture, self.live.box, self.model_changes.box])
        self._allow()
        self.update()

    @property
    def choice(self) -> explorer.Choice:
        """What the controls say."""
        said = {name: control.value for name, control in self.controls.items()}
        return explorer.Choice(**said | {"seed": None if said["seed"] == ALL else said["seed"]})

    def update(self) -> None:
        """Draw the computed setting nearest to the controls; an error is shown, not swallowed."""
        try:
            self.shown = explorer.find(self.choice)
            self.figure = draw_setting(self._canvas, self.shown, self.own)
            self.picture.value, self.picture.width = self._canvas.png()
            self.error, self.message.value = None, escape(self.shown.note)
        except Exception as error:
            self.error = error
            self.message.value = explained(error)

    @staticmethod
    def _methods(groups: str) -> list[tuple[str, str]]:
        return [(label(method), method) for method in explorer.computed(groups)]

    def _moved(self, change: dict[str, Any]) -> None:
        """A control was moved: allow what was computed for it, and draw once."""
        if self._busy:  # by `_allow`
            return
        if change["owner"] is not self.controls["seed"]:
            self.own = None  # it was another setting's
        self._busy = True
        try:
            if change["owner"] is self.controls["groups"]:
                method, options = self.controls["method"].value, self._methods(change["new"])
                self.controls["method"].options = options
                there = method in [value for _, value in options]
                self.controls["method"].value = method if there else "retrain"
            self._allow()
        finally:
            self._busy = False
        self.update()

    def _allow(self) -> None:
        """REWEIGHT where the method was run both ways, λ where it is MIU."""
        method, reweight = self.controls["method"].value, self.controls["reweight"]
        possible = explorer.computed(self.controls["groups"].value)[method]
        reweight.disabled = len(possible) == 1
        if reweight.value not in possible:
            reweight.value = possible[0]
        self.controls["lam"].disabled = method != "miu"

    def _finished(self, result: Result) -> None:
        """Draw the live run beside its neighbours, if the controls still say what it was."""
        choice, e = self.choice, result.experiment
        if choice.experiment().id == e.id:
            lam = choice.lam if choice.method == "miu" else None
            by_row = explorer.by_row(choice.groups, result.by_group())
            self.own = LiveRun(result.metrics, by_row, choice.ratio, lam)
            self.update()
        self.model_changes.show(result)


def explore(question: str = QUESTION, **start: Any) -> Explorer:
    """The explorer, beginning with a setting: any field of `grmu.show.explorer.Choice`."""
    return Explorer(question, **start)
