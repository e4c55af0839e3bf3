"""Start work when a button is pressed, show its progress, and let the reader stop it."""

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
BESIDE = ThreadPoolExecutor(1, "live runs")  # runs one at a time, so that the page stays responsive


class Displayed:
    """Base class of objects that a notebook displays as their `box`."""

    box: w.Box

    def _ipython_display_(self) -> None:
        display(self.box)


def explained(error: Exception) -> str:
    """Return an error as HTML, because widgets would otherwise hide it."""
    return f"<b>{escape(type(error).__name__)}:</b> {escape(str(error))}"


def image() -> w.Image:
    """Return an image widget for a figure; an Output widget would deadlock some notebook runners."""
    return w.Image(format="png", layout=w.Layout(max_width="100%"))


def show(draw: Callable[[], Figure], picture: w.Image, message: w.HTML) -> None:
    """Draw a figure into an image widget, or show the error if drawing fails."""
    before = set(plt.get_fignums())
    try:
        picture.value, picture.width = png_of(draw())
        message.value = ""
    except Exception as error:
        picture.value, message.value = b"", explained(error)
    for number in set(plt.get_fignums()) - before:
        plt.close(number)


class Stopped(Exception):
    """Raised when the reader presses Stop."""


class Work(Displayed):
    """Base class of work that starts when a button is pressed; override `work` and `refresh`.

    Attributes:
        running: Whether it is at work or waiting for another run to end.
        done: The number of finished steps.
        steps: The total number of steps.
        about: What it is doing.
        sentence: The latest message to the reader.
        error: The error that the last run raised; `sentence` describes it.
        stopped: Whether the reader stopped the last run.
    """

    def __init__(self) -> None:
        self.running, self.stopped = False, False
        self.done, self.steps, self.about, self.sentence = 0, 1, "", ""
        self.error: Exception | None = None
        self._stop = threading.Event()
        self._future: Future[None] | None = None

    def work(self) -> str:
        """Do the work, call `step` after each step, and return the final message."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Show the current state."""
        raise NotImplementedError

    def press(self) -> None:
        """Start the work unless it is in progress."""
        if not self.running:
            self._stop.clear()
            self.running, self.stopped, self.error, self.done = True, False, None, 0
            self.say("Waiting for another run to end ...")
            self._future = BESIDE.submit(self._run)

    def cancel(self) -> None:
        """Stop the work at its next step."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the work has ended."""
        if self._future is not None:
            self._future.result(seconds)

    def _run(self) -> None:
        try:
            self.sentence = self.work()
        except Stopped:
            self.stopped = True
            self.sentence = f"Stopped after {self.done} of {self.steps} epochs; this run was not saved."
        except Exception as error:  # `refresh` shows it
            self.error, self.sentence = error, f"{type(error).__name__}: {error}"
        finally:
            self.running = False
            self.refresh()

    def begin(self, steps: int, about: str) -> None:
        """Announce how many steps follow and what they do."""
        self.about, self._began = about, time.monotonic()
        self.steps, self.done = max(steps, 1), 0
        self.say(f"{about} ...")

    def step(self, number: int) -> None:
        """Show that step `number` (from 1) is done; raise `Stopped` if the reader pressed Stop."""
        if self._stop.is_set():
            raise Stopped
        self.done = number
        left = self.seconds / number * (self.steps - number)
        self.say(f"{self.about}: {number} of {self.steps}, about {left:.0f} s left")

    @property
    def seconds(self) -> float:
        """The seconds since `begin`."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """Show a message to the reader."""
        self.sentence = text
        self.refresh()
