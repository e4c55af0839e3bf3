"""The explorer's module in JupyterLab, by anywidget: the page of `explorer.html`, and a live run in it.

The module looks up what it shows. Python says where to begin, reads the selection, and gives a live run's
points as they come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import anywidget
import traitlets

from grmu.runs import Result
from grmu.show import explorer
from grmu.show.explorer_data import WHO
from grmu.show.explorer_page import MODULE

KEYS = {groups: key for key, groups in WHO.items()}


class ExplorerView(anywidget.AnyWidget):
    """The module beside a kernel, beginning with any field of `grmu.show.explorer.Choice`.

    choice: the setting as the module has it, both ways.  own: a live run, or None.
    """

    _esm = MODULE
    choice = traitlets.Dict().tag(sync=True)
    own = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)

    def __init__(self, **start: Any) -> None:
        said = asdict(explorer.Choice(**start))
        super().__init__(choice={"who": KEYS[said.pop("groups")], **said})

    @property
    def chosen(self) -> explorer.Choice:
        """What the controls say."""
        said = dict(self.choice)
        return explorer.Choice(groups=WHO[said.pop("who")], **said)

    def live(self, rows: Sequence[Mapping[str, float]], epochs: int) -> None:
        """Draw the epochs of a run that may still go on: rows with epoch, UA and GA, fractions."""
        points = [{name: float(row[name]) for name in ("epoch", "UA", "GA")} for row in rows]
        self.own = {**(self.own or {}), "epochs": points, "of": epochs}

    def finished(self, result: Result) -> None:
        """Draw what a run of the chosen setting came to."""
        groups = explorer.by_row(self.chosen.groups, result.by_group())
        self.own = {**(self.own or {}), "metrics": {name: float(v) for name, v in result.metrics.items()},
                    "groups": groups.tolist()}
