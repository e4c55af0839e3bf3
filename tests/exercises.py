"""Read the exercises from the lessons: the stub, the collapsed solution and the check."""

import math
import re
from collections.abc import Callable

import nbformat
import numpy as np
import torch
from scipy.stats import norm

import notebooks
from grmu.course import answers, certified, checks, information
from grmu.reweight import group_weights

EXERCISES = {  # the function that the student writes: its lesson, its check
    "group_accuracy": ("00", "check_group_accuracy"),
    "overall_accuracy": ("00", "check_overall_accuracy"),
    "retrain": ("01", "check_retrain"), "retrain_even": ("01", "check_retrain_even"),
    "margin_shift": ("10", "check_margin_shift"), "retain_share": ("10", "check_retain_share"),
    "adjusted": ("10", "check_adjusted"),
    "group_weights": ("02", "check_group_weights"), "expected_distinct": ("02", "check_expected_distinct"),
    "sample_epoch": ("02", "check_sample_epoch"),
    "my_dv_bound": ("03", "check_dv_bound"), "corrected_loss": ("03", "check_corrected_loss"),
    "my_exact_bound": ("03", "check_exact_bound"),
    "needed_nats": ("04", "check_needed_nats"), "classifier_bound": ("04", "check_classifier_bound"),
    "my_measure": ("05", "check_measure"),
    "my_unlearning_loss": ("05", "check_unlearning_loss"), "my_tune_mine": ("05", "check_tune_mine"),
    "my_retain_loss": ("05", "check_retain_loss"),
    "gap": ("06", "check_gap"), "holm": ("06", "check_holm"),
    "ulira_scores": ("07", "check_ulira_scores"), "tpr_at_fpr": ("07", "check_tpr_at_fpr"),
    "false_share": ("07", "check_false_share"),
    "alpha_of": ("09", "check_alpha_of"), "fill_in": ("09", "check_fill_in"),
    "labels_needed": ("09", "check_labels_needed"),
    "masked_mean": ("08", "check_masked_mean"), "pair_weights": ("08", "check_pair_weights"),
    "share_recovered": ("08", "check_share_recovered"),
    "share_left": ("12", "check_share_left"), "spiral": ("12", "check_spiral"), "rule": ("12", "check_rule"),
    "newton_step": ("13", "check_newton_step"), "noise_scale": ("13", "check_noise_scale"),
    "steps_needed": ("13", "check_steps_needed"),
    "points_lost": ("11", "check_points_lost"), "choose": ("11", "check_choose"),
    "promise": ("11", "check_promise"),
}


def cells(lesson: str) -> list:
    (path,) = notebooks.NOTEBOOKS.glob(f"{lesson}_*.ipynb")
    return nbformat.read(path, as_version=4).cells


def defined(code: str, name: str) -> Callable:
    """Return the function `name` that a lesson's code defines."""
    space = {"torch": torch, "np": np, "math": math, "retrain": answers.retrain, "norm": norm,
             "weights_of": group_weights, "dv_bound": information.dv_bound,
             "class_nats": information.class_entropy, "certified": certified,
             "step": certified.newton_step}
    exec(code, space)
    return space[name]


def solution(name: str) -> Callable:
    """Return the solution in the lesson's collapsed block."""
    prose = "\n".join(cell.source for cell in cells(EXERCISES[name][0]) if cell.cell_type == "markdown")
    folded = re.findall(r"<details><summary>Solution</summary>(.*?)</details>", prose, re.DOTALL)
    (code,) = (c for block in folded for c in re.findall(r"```python\n(.*?)```", block, re.DOTALL)
               if f"def {name}(" in c)
    return defined(code, name)


def stub(name: str) -> Callable:
    """Return the unfinished function that the lesson gives to the student."""
    sources = [c.source for c in cells(EXERCISES[name][0]) if c.cell_type == "code"
               and f"def {name}(" in c.source]
    (source,) = (s for s in sources if "NotImplementedError" in s)
    return defined(source, name)


def check(name: str, function: Callable) -> None:
    """Run the check of an exercise."""
    getattr(checks, EXERCISES[name][1])(function)
