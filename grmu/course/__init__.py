"""What belongs to learning: guesses, the checks of exercises, the requests and the report of the last lesson.

    from grmu import course

    course.guess(...), course.quiz(...), course.score_guesses(...), course.checks.check_retrain(retrain)
"""

from grmu.course import checks
from grmu.course.guesses import guess, quiz, score_guesses

__all__ = ["checks", "guess", "quiz", "score_guesses"]
