"""A guess that is kept: asked before the answer is in sight, and held beside it afterwards.

    loss = guess("Half of the group leave. What is the accuracy of those who stay, in %?", range(101))
    ...
    loss.mark(figure.axes[0])       # the guess beside the truth, in the figure that answers
    loss.answer(51.2)               # "You guessed 10; it is 51.2."
    calibration(loss, who, why)     # at the end of the lesson

`quiz` says at once why an answer is right or wrong. Nothing is chosen where a lesson is printed, or run by
papermill or a test: then a line to write on stands there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as w
from IPython.display import display
from matplotlib.axes import Axes

HUE = "#7F3C8D"  # violet: nothing else of the course's
LINE = "_" * 12


class Guess:
    """A question and, once the reader has committed to it, the reader's answer; `guess` makes one.

    value: one of `options`, or a number of the range; None as long as nothing was committed.
    truth: what `answer` was given; None before.
    """

    def __init__(self, question: str, options: Sequence[str] | range) -> None:
        _check(question, options)
        self.question, self.options = question, options
        self.value: str | int | None = None
        self.truth: str | float | None = None
        if isinstance(options, range):
            self.choice: Any = w.BoundedIntText(min=options[0], max=options[-1], step=options.step,
                                                value=options[0], layout=w.Layout(width="8em"))
        else:
            self.choice = w.RadioButtons(options=list(options), value=None,
                                         layout=w.Layout(width="max-content"))
        self.button = w.Button(description="That is my guess", tooltip="kept until the cell runs again")
        self.feedback = w.HTML()
        self.button.on_click(self.commit)
        beside = w.HBox if isinstance(options, range) else w.VBox
        self.box = w.VBox([w.HTML(f"<b>{question}</b>"), beside([self.choice, self.button]), self.feedback])

    def commit(self, _button: object = None) -> None:
        """Keep what is chosen now; it cannot be changed afterwards."""
        if self.choice.value is None:
            self.feedback.value = "Choose first."
            return
        self.value = self.choice.value
        self.choice.disabled = self.button.disabled = True
        self.feedback.value = f"Kept: {self.value}. Read on."

    def answer(self, truth: str | float, why: str = "", digits: int = 0) -> None:
        """Print the truth beside the guess, and `why`.

        ValueError if the truth is none of the options; a number may lie outside the range.
        """
        if not isinstance(self.options, range) and truth not in self.options:
            raise ValueError(f"the answer {truth!r} is none of the options: {', '.join(self.options)}.")
        self.truth = truth
        shown = truth if isinstance(truth, str) else f"{truth:.{digits}f}"
        given = "" if self.value is None else f"You guessed: {self.value}. "
        print(f"{given}It is: {shown}." + f" {why}" * bool(why))

    def mark(self, ax: Axes, axis: str = "y") -> None:
        """Draw a guessed number across the axes; nothing if none was committed."""
        if isinstance(self.value, int):
            (ax.axhline if axis == "y" else ax.axvline)(self.value, color=HUE, lw=2, ls=(0, (1, 1)),
                                                        label=f"your guess: {self.value}")
            x, y = (0.01, self.value) if axis == "y" else (self.value, 0.99)
            ax.text(x, y, f"your guess: {self.value}", color=HUE, va="bottom" if axis == "y" else "top",
                    transform=ax.get_yaxis_transform() if axis == "y" else ax.get_xaxis_transform())

    def error(self) -> float | None:
        """How far off: a share of the range for a number, 0 or 1 for an option; None without both."""
        if self.value is None or self.truth is None:
            return None
        if isinstance(self.options, range):
            return abs(float(self.value) - float(self.truth)) / (self.options[-1] - self.options[0])
        return float(self.value != self.truth)

    def _ipython_display_(self) -> None:
        """The widget; where there is none, the question and a line to write on."""
        display(dict(self.box._repr_mimebundle_() or {}) | {"text/markdown": self.printed()}, raw=True)

    def printed(self) -> str:
        """What stands there on paper, in Markdown."""
        options = (f"{self.options[0]} to {self.options[-1]}" if isinstance(self.options, range)
                   else " / ".join(self.options))
        return f"**{self.question}**\n\n{options}\n\nYour guess: {LINE}"


class Quiz(Guess):
    """A question that says at once whether a choice is right, and why; another may be tried."""

    def __init__(self, question: str, reasons: Mapping[str, str], right: str) -> None:
        if not isinstance(reasons, Mapping):
            raise TypeError(f"a quiz has a reason for every option, {{option: reason}}, not {reasons!r}.")
        super().__init__(question, list(reasons))
        if right not in reasons:
            raise ValueError(f"the right answer {right!r} is none of the options: {', '.join(reasons)}.")
        self.reasons, self.right = reasons, right
        self.button.description = "Is it so?"

    def commit(self, _button: object = None) -> None:
        """Say whether what is chosen is right, and why."""
        self.value = self.choice.value
        verdict = "Right." if self.value == self.right else "Not so."
        self.feedback.value = f"{verdict} {self.reasons[str(self.value)]}" if self.value else "Choose first."

    def printed(self) -> str:
        """Question and options; the reasons folded away."""
        options = "\n".join(f"- {option}" for option in self.reasons)
        reasons = "\n".join(f"- *{option}.* {'Right.' if option == self.right else 'Not so.'} {reason}"
                            for option, reason in self.reasons.items())
        return (f"**{self.question}**\n\n{options}\n\n<details><summary>Answer</summary>\n\n{reasons}\n\n"
                "</details>")


def guess(question: str, options: Sequence[str] | range) -> Guess:
    """Ask for one of several options, or for a number of a range.

    TypeError or ValueError if it is not a question with at least two things to choose from.
    """
    return Guess(question, options)


def quiz(question: str, reasons: Mapping[str, str], right: str) -> Quiz:
    """Ask at the end of a lesson: `reasons` has every option, and why it is right or wrong.

    TypeError or ValueError if an option has no reason, or the right one is not among them.
    """
    return Quiz(question, reasons, right)


def calibration(*guesses: Guess) -> None:
    """Print how good the reader's guesses were: options right, and how far off the numbers."""
    wrong = [g for g in guesses if not isinstance(g, Guess)]
    if wrong:
        raise TypeError(f"calibration takes what `guess` returned, not {wrong[0]!r}.")
    errors = [(g, error) for g in guesses if (error := g.error()) is not None]
    if not errors:
        print("No guess was committed in this run: nothing to hold beside the answers.")
        return
    choices = [error for g, error in errors if not isinstance(g.options, range)]
    numbers = [error for g, error in errors if isinstance(g.options, range)]
    if choices:
        print(f"Choices right: {choices.count(0)} of {len(choices)}.")
    if numbers:
        print(f"Numbers: off by {100 * sum(numbers) / len(numbers):.0f} % of the range on average.")
    for g, error in sorted(errors, key=lambda pair: -pair[1])[:1]:
        if error:
            print(f"Furthest off: \"{g.question}\" You said {g.value}; it is {g.truth}.")


def _check(question: object, options: object) -> None:
    if not isinstance(question, str) or not question.strip():
        raise TypeError(f"a guess needs a question, a text, not {question!r}.")
    if isinstance(options, str) or not isinstance(options, (Sequence, range)):
        raise TypeError("options must be texts to choose from, or a range such as range(101), "
                        f"not {options!r}.")
    if len(options) < 2:
        raise ValueError(f"a guess needs at least two options, not {list(options)!r}.")
    if not isinstance(options, range):
        wrong = [option for option in options if not isinstance(option, str)]
        if wrong:
            raise TypeError(f"options are texts, not {wrong[0]!r}; for a number, give a range: range(101).")
        if len(set(options)) < len(options):
            raise ValueError(f"an option stands there twice: {', '.join(options)}.")
