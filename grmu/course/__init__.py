"""What belongs to learning: guesses, the checks of exercises, the requests and the report of the last lesson.

    from grmu import course

    course.guess(...), course.quiz(...), course.score_guesses(...), course.checks.check_retrain(retrain)
"""

from grmu.course import checks, closed_form, forgetting, information, miu_parts
from grmu.course.checks.common import or_ours
from grmu.course.decisions import auc_interval, choose, labels_needed, points_lost, promise
from grmu.course.guesses import guess, quiz, score_guesses
from grmu.course.sampling import reweighted_epoch

__all__ = ["auc_interval", "checks", "choose", "closed_form", "forgetting", "guess", "information",
           "labels_needed", "miu_parts", "or_ours", "points_lost", "promise", "quiz", "reweighted_epoch",
           "score_guesses"]
