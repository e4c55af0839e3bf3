"""The checks of the exercises.

Each check takes the student's function, prints one line if it is right, and otherwise raises an error whose
message says what was expected. No check contains the code of a solution.
"""

from grmu.course.checks.certified import *
from grmu.course.checks.common import CheckError, close, expect
from grmu.course.checks.forgetting import *
from grmu.course.checks.information import *
from grmu.course.checks.judging import *
from grmu.course.checks.leaving import *
from grmu.course.checks.miu import *
