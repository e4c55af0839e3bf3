"""Check the answers to the exercises.

Each check takes the student's function. It prints one line if the function is right, and otherwise raises an
error that explains what was expected. No check contains the code of a solution.
"""

from grmu.course.checks.certified import *
from grmu.course.checks.common import CheckError, close, expect
from grmu.course.checks.forgetting import *
from grmu.course.checks.information import *
from grmu.course.checks.judging import *
from grmu.course.checks.leaving import *
from grmu.course.checks.miu import *
