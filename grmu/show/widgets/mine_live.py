"""MINE, live: choose a case whose information is known, and watch the estimate find it, or not."""

from __future__ import annotations

from typing import Any

import ipywidgets as w

from grmu import closed_form
from grmu.show.plots_live import Canvas, draw_convergence
from grmu.show.widgets.background import Background
from grmu.show.widgets.common import SLIDER, STYLE, WIDE

SHARES = {"all four groups, 40, 30, 20 and 10 %": closed_form.SHARES,
          "one group alone, as in a forget set": closed_form.ONE_GROUP}
BARS = {"shuffled in the batch (Eq. 2)": "shuffle", "uniform over the groups (Algorithm 1)": "uniform",
        "summed over the groups": "exact"}
UPDATES, EVERY = 600, 20
QUESTION = ("One group alone shares nothing with anything. "
            "What does MINE say if ḡ is drawn uniformly, and what if it is shuffled?")


class MineLive(Background):
    """An estimator fitted while one watches, against what is known; `controls[name].value` sets the case."""

    def __init__(self) -> None:
        super().__init__(Canvas(8.4, 3.6, left=0.1, right=0.8, bottom=0.15, top=0.86), "Fit MINE now",
                         "fits the network T on this computer, a few seconds")
        self.controls: dict[str, w.Widget] = {
            "shares": w.Dropdown(options=list(SHARES), description="who is in the data", style=STYLE,
                                 layout=WIDE, tooltip="how often each group comes"),
            "nats": w.FloatSlider(0.5, min=0, max=1.2, step=0.1, description="true information (nats)",
                                  readout_format=".1f",
                                  tooltip="what features and groups share; arrow keys move it", **SLIDER),
            "bar": w.Dropdown(options=list(BARS), description="ḡ", style=STYLE, layout=WIDE,
                              tooltip="where the groups of mismatched pairs come from"),
            "size": w.SelectionSlider(options=[8, 16, 32, 64, 128, 256], value=128, description="batch size",
                                      tooltip="samples of an update; arrow keys move it", **SLIDER),
            "ema": w.Checkbox(value=True, description="moving average of the partition (bias correction)",
                              indent=False,
                              tooltip="corrects the gradient's bias",
                              layout=w.Layout(width="38em", margin="0 0 0 13.5em")),
        }
        self.controls["shares"].observe(self._allow, names="value")
        self.estimates: list[float] = []
        self.box.children = (w.HTML(f"<b>{QUESTION}</b>"), *self.controls.values(), *self.box.children)

    def truth(self) -> tuple[float, float]:
        """I(Z; G), and what the bound with this ḡ estimates, in nats."""
        shares = SHARES[self.controls["shares"].value]
        nats = self.controls["nats"].value if max(shares) < 1 else 0.0
        shuffled = BARS[self.controls["bar"].value] == "shuffle"
        return nats, nats + (0.0 if shuffled else closed_form.from_uniform(shares))

    def work(self) -> str:
        """Fit, and ask samples that it was not fitted to, every few updates."""
        values = {name: control.value for name, control in self.controls.items()}
        nats, bounded = self.truth()
        self.estimates = []
        self.begin(UPDATES // EVERY, "Fitting")
        shares, group_bar, ema = SHARES[values["shares"]], BARS[values["bar"]], 0.05 if values["ema"] else 1.0
        estimates = closed_form.estimates(nats, shares, group_bar, values["size"], ema, UPDATES, EVERY)
        for number, value in enumerate(estimates, 1):
            self.estimates.append(value)
            draw_convergence(self.canvas, self.estimates, EVERY, UPDATES, nats, bounded)
            self.step(number)
        return (f"After {UPDATES} updates MINE says {self.estimates[-1]:.2f} nats; "
                f"features and groups share {nats:.2f}.")

    def _allow(self, change: dict[str, Any]) -> None:
        """One group alone shares nothing: there is nothing to choose."""
        self.controls["nats"].disabled = max(SHARES[change["new"]]) == 1
