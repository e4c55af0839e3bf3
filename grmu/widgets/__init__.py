"""The course's interactive demos: labelled controls over plain functions of `grmu.plots`, `grmu.plots_live` and `grmu.run`."""

from grmu.widgets.by_hand import ReweightByHand
from grmu.widgets.challenge import Challenge
from grmu.widgets.demo import Demo, demo
from grmu.widgets.explorer import Explorer, explore
from grmu.widgets.inside import Inside
from grmu.widgets.live import Live
from grmu.widgets.mine_live import MineLive

__all__ = ["Challenge", "Demo", "Explorer", "Inside", "Live", "MineLive", "ReweightByHand", "demo", "explore"]
