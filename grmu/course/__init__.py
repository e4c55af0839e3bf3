"""Provide what the lessons need: guesses, answers and checks for the exercises, and the capstone's report.

    from grmu import course

    course.guess(...), course.quiz(...), course.score_guesses(...), course.checks.check_retrain(retrain)

The figures are drawn in `plots`, the controls are in `widgets`, and the labs' grader is in
notebooks/labs/grading. This subpackage may import data, the core, experiments, analysis, plots and widgets.
"""

from grmu.course import answers, checks, closed_form, information, miu_parts
from grmu.course.checks.common import or_ours
from grmu.course.guesses import guess, quiz, score_guesses

__all__ = ["answers", "checks", "closed_form", "guess", "information", "miu_parts", "or_ours", "quiz",
           "score_guesses"]
