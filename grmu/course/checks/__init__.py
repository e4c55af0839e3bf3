"""The checks behind the exercises, a module a lesson. Each takes the student's function, prints one line if
it is right, and otherwise fails with a sentence that says what was expected. None holds a solution's code.
"""

from grmu.course.checks.audit import check_logit_confidence, check_tpr_at_fpr
from grmu.course.checks.benchmark import check_gap, check_match_loss
from grmu.course.checks.common import CheckError, close, expect
from grmu.course.checks.features import check_classifier_bound, check_needed_nats
from grmu.course.checks.forgetting import check_margin_shift, check_retain_share, check_retrain
from grmu.course.checks.groups import check_error_groups, check_labels_needed
from grmu.course.checks.mine import check_corrected_loss, check_dv_bound, check_group_bar
from grmu.course.checks.miu import check_retain_loss, check_tune_mine, check_unlearning_loss
from grmu.course.checks.requests import check_fewest_trainings, check_promise
from grmu.course.checks.reweight import check_expected_distinct, check_group_weights
from grmu.course.checks.start import check_group_accuracy, check_setup
from grmu.course.checks.text import check_has_negation, check_masked_mean

__all__ = [
    "CheckError", "check_classifier_bound", "check_corrected_loss", "check_dv_bound",
    "check_error_groups", "check_expected_distinct", "check_fewest_trainings", "check_gap",
    "check_group_accuracy", "check_group_bar", "check_group_weights", "check_has_negation",
    "check_labels_needed", "check_logit_confidence", "check_margin_shift", "check_masked_mean",
    "check_match_loss", "check_needed_nats", "check_promise", "check_retain_loss", "check_retain_share",
    "check_retrain", "check_setup", "check_tpr_at_fpr", "check_tune_mine", "check_unlearning_loss",
    "close", "expect",
]
