"""Work in a thread of its own while the page answers: start, stop, how far it is, a picture."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from html import escape

import ipywidgets as w

from grmu.show.plots_live import Canvas
from grmu.show.widgets.common import Displayed


@lru_cache(maxsize=1)
def worker() -> queue.Queue[Callable[[], None]]:
    """Where work is left for the one thread that does it all, a piece at a time.

    One thread, since a new one for every run takes memory that the system does not get back.
    """
    tasks: queue.Queue[Callable[[], None]] = queue.Queue()

    def serve() -> None:
        while True:
            tasks.get()()

    threading.Thread(target=serve, daemon=True, name="live runs").start()
    return tasks


class Stopped(Exception):
    """The reader pressed Stop."""


class Work:
    """Base of everything that computes at the press of a button: override `work`, and `refresh`, which shows
    how it stands.

    Attributes:
        running: is it at work, or waiting for another demo's work to end?
        done, steps: how far it is.  about: what it is doing.  sentence: the last.
        error: what the last run raised, which `sentence` names; None after one that went well.
        stopped: did the reader end the last run?
    """

    def __init__(self) -> None:
        self.running, self.stopped = False, False
        self.done, self.steps, self.about, self.sentence = 0, 1, "", ""
        self.error: Exception | None = None
        self._stop, self._idle = threading.Event(), threading.Event()
        self._idle.set()

    def work(self) -> str:
        """Do the work, in the thread, calling `step` now and then; returns the sentence that ends it."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Show how it stands."""
        raise NotImplementedError

    def press(self) -> None:
        """Begin, unless it is at work already."""
        if self.running:
            return
        self._stop.clear()
        self._idle.clear()
        self.running, self.stopped, self.error, self.done = True, False, None, 0
        self.say("Waiting for another run to end ...")
        worker().put(self._run)

    def cancel(self) -> None:
        """End the run at its next step."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until it has ended."""
        self._idle.wait(seconds)

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
            self._idle.set()

    def begin(self, steps: int, about: str) -> None:
        """So many steps are to come."""
        self.about, self._began = about, time.monotonic()
        self.steps, self.done = max(steps, 1), 0
        self.say(f"{about} ...")

    def step(self, number: int) -> None:
        """Step `number` (from 1) is done: show it, or stop here."""
        if self._stop.is_set():
            raise Stopped
        self.done = number
        left = self.seconds / number * (self.steps - number)
        self.say(f"{self.about}: {number} of {self.steps}, about {left:.0f} s left")

    @property
    def seconds(self) -> float:
        """Since `begin`."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """Say how it stands."""
        self.sentence = text
        self.refresh()


class Background(Work, Displayed):
    """Work beside controls of ipywidgets, with a picture of what was drawn last on its canvas."""

    def __init__(self, canvas: Canvas, description: str, tooltip: str) -> None:
        super().__init__()
        self.start = w.Button(description=description, icon="play", button_style="primary",
                              layout=w.Layout(width="16em"), tooltip=tooltip)
        self.stop = w.Button(description="Stop", icon="stop", disabled=True,
                             tooltip="ends the run at its next step")
        self.bar = w.IntProgress(max=1, layout=w.Layout(width="14em"))
        self.status = w.HTML()
        self.picture = w.Image(format="png", layout=w.Layout(max_width="100%", display="none"))
        self.canvas = canvas
        self.start.on_click(lambda _: self.press())
        self.stop.on_click(lambda _: self.cancel())
        self.box = w.VBox([w.HBox([self.start, self.stop, self.bar, self.status]), self.picture])

    def refresh(self) -> None:
        """Set the controls; a picture is shown as far as the work has drawn it."""
        self.start.disabled, self.stop.disabled = self.running, not self.running
        self.bar.max, self.bar.value = self.steps, self.done
        self.bar.bar_style = ("info" if self.running else "danger" if self.error else
                              "warning" if self.stopped else "success")
        self.status.value = f"<b>{escape(self.sentence)}</b>" if self.error else escape(self.sentence)

    def step(self, number: int) -> None:
        """A step is done and drawn on the canvas."""
        super().step(number)
        self.show(self.canvas)

    def show(self, canvas: Canvas) -> None:
        """Show what was drawn on a canvas."""
        self.picture.value, self.picture.width = canvas.png()
        self.picture.layout.display = None
