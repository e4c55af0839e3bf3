"""Work in a thread of its own while the page answers: start, stop, a bar with the time left, a picture."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from html import escape

import ipywidgets as w

from grmu.show.plots_live import Canvas
from grmu.show.widgets.common import Displayed, explained


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


class Background(Displayed):
    """Base of everything that computes at the press of a button: override `work`.

    Attributes:
        start, stop: the buttons.  bar, status: how far it is, and the last sentence.
        picture: what was drawn last.
        error: what the last run raised, which `status` shows; None after one that went well.
    """

    def __init__(self, canvas: Canvas, description: str, tooltip: str) -> None:
        self.start = w.Button(description=description, icon="play", button_style="primary",
                              layout=w.Layout(width="16em"), tooltip=tooltip)
        self.stop = w.Button(description="Stop", icon="stop", disabled=True,
                             tooltip="ends the run at its next step")
        self.bar = w.IntProgress(max=1, layout=w.Layout(width="14em"))
        self.status = w.HTML()
        self.picture = w.Image(format="png", layout=w.Layout(max_width="100%", display="none"))
        self.canvas = canvas
        self.error: Exception | None = None
        self._stop, self._idle = threading.Event(), threading.Event()
        self._idle.set()
        self.start.on_click(lambda _: self.press())
        self.stop.on_click(lambda _: self._stop.set())
        self.box = w.VBox([w.HBox([self.start, self.stop, self.bar, self.status]), self.picture])

    def work(self) -> str:
        """Do the work, in the thread, calling `step` now and then; returns the sentence that ends it."""
        raise NotImplementedError

    @property
    def running(self) -> bool:
        """Is it at work, or waiting for another demo's work to end?"""
        return not self._idle.is_set()

    def press(self) -> None:
        """Begin, unless it is at work already."""
        if self.running:
            return
        self._stop.clear()
        self._idle.clear()
        self.error, self.bar.bar_style = None, "info"
        self.start.disabled, self.stop.disabled = True, False
        self.say("Waiting for another run to end ...")
        worker().put(self._run)

    def wait(self, seconds: float | None = None) -> None:
        """Wait until it has ended."""
        self._idle.wait(seconds)

    def _run(self) -> None:
        try:
            self.say(self.work())
            self.bar.bar_style = "success"
        except Stopped:
            self.bar.bar_style = "warning"
            self.say(f"Stopped at {self.bar.value} of {self.bar.max}; nothing of it was kept.")
        except Exception as error:  # shown, not swallowed
            self.error, self.bar.bar_style = error, "danger"
            self.status.value = explained(error)
        finally:
            self.start.disabled, self.stop.disabled = False, True
            self._idle.set()

    def begin(self, steps: int, said: str) -> None:
        """So many steps are to come."""
        self._said, self._began = said, time.monotonic()
        self.bar.max, self.bar.value = max(steps, 1), 0
        self.say(f"{said} ...")

    def step(self, number: int) -> None:
        """Step `number` (from 1) is done and drawn on the canvas: show it, or stop here."""
        if self._stop.is_set():
            raise Stopped
        self.show(self.canvas)
        self.bar.value = number
        left = self.seconds / number * (self.bar.max - number)
        self.say(f"{self._said}: {number} of {self.bar.max}, about {left:.0f} s left")

    @property
    def seconds(self) -> float:
        """Since `begin`."""
        return time.monotonic() - self._began

    def show(self, canvas: Canvas) -> None:
        """Show what was drawn on a canvas."""
        self.picture.value, self.picture.width = canvas.png()
        self.picture.layout.display = None

    def say(self, text: str) -> None:
        """Say how it stands."""
        self.status.value = escape(text)
