"""The course's interactive demos: labelled controls over plain functions of `grmu.show`, and `grmu.run`."""

from grmu.show.widgets.by_hand import ReweightByHand
from grmu.show.widgets.challenge import Challenge
from grmu.show.widgets.demo import Demo, demo
from grmu.show.widgets.explorer import Explorer, explore
from grmu.show.widgets.live import Live
from grmu.show.widgets.mine_live import MineLive
from grmu.show.widgets.model_changes import ModelChanges

__all__ = ["Challenge", "Demo", "Explorer", "Live", "MineLive", "ModelChanges", "ReweightByHand", "demo",
           "explore"]
