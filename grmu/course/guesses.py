"""Ask readers to guess an answer before they see it, and compare afterwards.

    loss = guess("Half of the group is forgotten. How accurate is the model on the rest, in %?", range(101))
    ...
    loss.mark(figure.axes[0])       # draws the guess beside the truth
    loss.answer(51.2)               # "You guessed: 10. The answer is 51."
    score_guesses(loss, who, why)   # at the end of the lesson

An answer stays collapsed until the reader has guessed, even if all cells are run at once. A `quiz` explains
immediately why an option is right or wrong. On paper, a question has a line to write on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as w
from IPython.display import HTML, display
from matplotlib.axes import Axes

COLOUR = "#7F3C8D"  # violet: used for nothing else in the course


class Guess:
    """A question whose answer is one of several options or an integer in a range.

    Args:
        question: The question, which may contain HTML.
        options: The options, or the range of integers.

    Attributes:
        value: The reader's guess; None until the reader commits to one.
        truth: The right answer; None until `answer` is called.
    """

    def __init__(self, question: str, options: Sequence[str] | range) -> None:
        self.question, self.options = question, options
        self.value: str | int | None = None
        self.truth: str | float | None = None
        self.open_answer: Callable[[], None] = lambda: None
        if isinstance(options, range):
            self.choice: Any = w.BoundedIntText(min=options[0], max=options[-1], step=options.step)
        else:
            self.choice = w.RadioButtons(options=list(options), value=None, layout={"width": "max-content"})
        self.button = w.Button(description="That is my guess", tooltip="This keeps your guess.")
        self.feedback = w.HTML()
        self.button.on_click(self.commit)
        self.box = w.VBox([w.HTML(f"<b>{question}</b>"), self.choice, self.button, self.feedback])

    def commit(self, _button: object = None) -> None:
        """Keep the current choice and lock it."""
        if self.choice.value is None:
            self.feedback.value = "Choose first."
            return
        self.value = self.choice.value
        self.choice.disabled = self.button.disabled = True
        self.feedback.value = f"Your guess: {self.value}. Now read on."
        self.open_answer()

    def answer(self, truth: str | float, why: str = "", digits: int = 0) -> None:
        """Show the right answer beside the guess; the answer stays collapsed until there is a guess.

        Args:
            truth: The right answer.
            why: An explanation that is added to the answer.
            digits: The number of decimals of a numeric answer.

        Raises:
            ValueError: The right answer is not one of the options.
        """
        if not isinstance(self.options, range) and truth not in self.options:
            raise ValueError(f"the answer must be one of {', '.join(self.options)}, got {truth!r}.")
        self.truth = truth
        shown = f"“{truth}”" if isinstance(truth, str) else f"{truth:.{digits}f}"
        text = f"The answer is {shown}." + (f" {why}" if why else "")

        def opened() -> HTML:
            return HTML(f"<p>You guessed: {self.value}. {text}</p>")

        if self.value is not None:
            display(opened())
            return
        shut = f"<details><summary>The answer (make your guess first)</summary>{text}</details>"
        place = display(HTML(shut), display_id=True)
        if place:
            self.open_answer = lambda: place.update(opened())

    def mark(self, ax: Axes, axis: str = "y") -> None:
        """Draw the guess as a line across the axes, if the guess is a number."""
        if isinstance(self.value, int):
            line = ax.axhline if axis == "y" else ax.axvline
            line(self.value, color=COLOUR, lw=2, ls=":", label=f"your guess: {self.value}")
            ax.legend()

    def error(self) -> float | None:
        """Return the error of the guess as a fraction of the range, or 0 or 1 for options, or None."""
        if self.value is None or self.truth is None:
            return None
        if isinstance(self.options, range):
            return abs(float(self.value) - float(self.truth)) / (self.options[-1] - self.options[0])
        return float(self.value != self.truth)

    def _ipython_display_(self) -> None:
        """Show the widget, or the question as text where widgets cannot be shown."""
        display(dict(self.box._repr_mimebundle_() or {}) | {"text/markdown": self.printed()}, raw=True)

    def printed(self) -> str:
        """Return the question as Markdown for paper."""
        options = (f"{self.options[0]} to {self.options[-1]}" if isinstance(self.options, range)
                   else " / ".join(self.options))
        return f"**{self.question}**\n\n{options}\n\nYour guess: {'_' * 12}"


class Quiz(Guess):
    """A question that explains immediately whether a choice is right; readers can try again.

    Args:
        question: The question, which may contain HTML.
        reasons: The reason why each option is right or wrong.
        right: The right option.

    Raises:
        ValueError: `right` is not one of the options.
    """

    def __init__(self, question: str, reasons: Mapping[str, str], right: str) -> None:
        super().__init__(question, list(reasons))
        if right not in reasons:
            raise ValueError(f"the right answer must be one of {', '.join(reasons)}, got {right!r}.")
        self.reasons, self.right = reasons, right
        self.button.description = "Check"

    def verdict(self, option: str) -> str:
        """Return whether an option is right, and why."""
        return f"{'Right.' if option == self.right else 'Wrong.'} {self.reasons[option]}"

    def commit(self, _button: object = None) -> None:
        """Show whether the chosen option is right, and why."""
        self.value = self.choice.value
        self.feedback.value = self.verdict(str(self.value)) if self.value else "Choose first."

    def printed(self) -> str:
        """Return the question and its options as Markdown, with the reasons collapsed."""
        options = "\n".join(f"- {option}" for option in self.reasons)
        reasons = "\n".join(f"- *{option.rstrip('.')}.* {self.verdict(option)}" for option in self.reasons)
        answer = f"<details><summary>Answer</summary>\n\n{reasons}\n\n</details>"
        return f"**{self.question}**\n\n{options}\n\n{answer}"


guess, quiz = Guess, Quiz


def score_guesses(*guesses: Guess) -> None:
    """Print how close the reader's guesses were to the right answers."""
    errors = [(g, error) for g in guesses if (error := g.error()) is not None]
    choices = [error for g, error in errors if not isinstance(g.options, range)]
    numbers = [error for g, error in errors if isinstance(g.options, range)]
    if not errors:
        print("You made no guesses in this run, so there is nothing to compare with the answers.")
    if choices:
        print(f"Choices right: {choices.count(0)} of {len(choices)}.")
    if numbers:
        print(f"Numbers: off by {100 * sum(numbers) / len(numbers):.0f} % of the range on average.")
