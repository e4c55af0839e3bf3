"""course: what belongs to learning: guesses, the exercises' answers and checks, the capstone's report.

    from grmu import course

    course.guess(...), course.quiz(...), course.score_guesses(...), course.checks.check_retrain(retrain)

Not here: figures (plots), controls (widgets), the labs' grader (notebooks/labs/grading).
May import: data, the core, experiments, analysis, plots, widgets.
"""

from grmu.course import answers, checks, closed_form, information, miu_parts
from grmu.course.checks.common import or_ours
from grmu.course.guesses import guess, quiz, score_guesses

__all__ = ["answers", "checks", "closed_form", "guess", "information", "miu_parts", "or_ours", "quiz",
           "score_guesses"]
