"""The checks of the exercises. Each takes the student's function, prints one line if it is right, and otherwise
fails with a sentence that says what was expected. None contains a solution's code.
"""

from grmu.course.checks.common import CheckError, close, expect
from grmu.course.checks.forgetting import *
from grmu.course.checks.information import *
from grmu.course.checks.judging import *
from grmu.course.checks.miu import *
