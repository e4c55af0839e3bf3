"""Work that starts at the press of a button, shows how far it is, and can be stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from html import escape

import ipywidgets as w
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure

from grmu.plots import png_of

SLIDER = {"continuous_update": False, "style": {"description_width": "13em"},
          "layout": w.Layout(width="38em")}
BESIDE = ThreadPoolExecutor(1, "live runs")  # the page answers while one run after the other is done there


class Displayed:
    """Shows its `box` where a notebook's cell ends with it."""

    box: w.Box

    def _ipython_display_(self) -> None:
        display(self.box)


def explained(error: Exception) -> str:
    """Return an error as HTML: widgets show errors instead of swallowing them."""
    return f"<b>{escape(type(error).__name__)}:</b> {escape(str(error))}"


def image() -> w.Image:
    """Return a place for a figure; the capture of an Output widget would deadlock some notebook runners."""
    return w.Image(format="png", layout=w.Layout(max_width="100%"))


def show(draw: Callable[[], Figure], picture: w.Image, message: w.HTML) -> None:
    """Draw a figure into an image; show an error instead, if there is one."""
    before = set(plt.get_fignums())
    try:
        picture.value, picture.width = png_of(draw())
        message.value = ""
    except Exception as error:
        picture.value, message.value = b"", explained(error)
    for number in set(plt.get_fignums()) - before:
        plt.close(number)


class Stopped(Exception):
    """The reader pressed Stop."""


class Work(Displayed):
    """Base of everything that computes at the press of a button: override `work`, and `refresh`.

    Attributes:
        running: whether it is at work, or waiting for another run to end.
        done: steps that are done.
        steps: steps in all.
        about: what it is doing.
        sentence: what it said last.
        error: what the last run raised, which `sentence` names.
        stopped: whether the reader ended the last run.
    """

    def __init__(self) -> None:
        self.running, self.stopped = False, False
        self.done, self.steps, self.about, self.sentence = 0, 1, "", ""
        self.error: Exception | None = None
        self._stop = threading.Event()
        self._future: Future[None] | None = None

    def work(self) -> str:
        """Do the work, calling `step` now and then; return the sentence that ends it."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Show how it stands."""
        raise NotImplementedError

    def press(self) -> None:
        """Begin, unless it is at work already."""
        if not self.running:
            self._stop.clear()
            self.running, self.stopped, self.error, self.done = True, False, None, 0
            self.say("Waiting for another run to end ...")
            self._future = BESIDE.submit(self._run)

    def cancel(self) -> None:
        """End the run at its next step."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until it has ended."""
        if self._future is not None:
            self._future.result(seconds)

    def _run(self) -> None:
        try:
            self.sentence = self.work()
        except Stopped:
            self.stopped = True
            self.sentence = f"Stopped at {self.done} of {self.steps}; nothing of it was kept."
        except Exception as error:  # shown, not swallowed
            self.error, self.sentence = error, f"{type(error).__name__}: {error}"
        finally:
            self.running = False
            self.refresh()

    def begin(self, steps: int, about: str) -> None:
        """Announce the steps to come."""
        self.about, self._began = about, time.monotonic()
        self.steps, self.done = max(steps, 1), 0
        self.say(f"{about} ...")

    def step(self, number: int) -> None:
        """Show that step `number` (from 1) is done, or stop here."""
        if self._stop.is_set():
            raise Stopped
        self.done = number
        left = self.seconds / number * (self.steps - number)
        self.say(f"{self.about}: {number} of {self.steps}, about {left:.0f} s left")

    @property
    def seconds(self) -> float:
        """Return the seconds since `begin`."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """Show a sentence."""
        self.sentence = text
        self.refresh()
