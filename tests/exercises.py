"""Exercises as the lessons show them: the stub, the folded solution, and the check that belongs to them."""

import math
import re
from collections.abc import Callable

import nbformat
import numpy as np
import torch

import notebooks
from grmu.course import checks

EXERCISES = {  # the function that the student writes: its lesson, its check
    "group_accuracy": ("00", "check_group_accuracy"),
    "retrain": ("01", "check_retrain"), "margin_shift": ("01", "check_margin_shift"),
    "retain_share": ("01", "check_retain_share"),
    "group_weights": ("02", "check_group_weights"), "expected_distinct": ("02", "check_expected_distinct"),
    "my_dv_bound": ("03", "check_dv_bound"), "corrected_loss": ("03", "check_corrected_loss"),
    "my_group_bar": ("03", "check_group_bar"),
    "needed_nats": ("04", "check_needed_nats"), "classifier_bound": ("04", "check_classifier_bound"),
    "my_unlearning_loss": ("05", "check_unlearning_loss"), "my_tune_mine": ("05", "check_tune_mine"),
    "my_retain_loss": ("05", "check_retain_loss"),
    "gap": ("06", "check_gap"), "match_loss": ("06", "check_match_loss"),
    "logit_confidence": ("07", "check_logit_confidence"), "tpr_at_fpr": ("07", "check_tpr_at_fpr"),
    "error_groups": ("09", "check_error_groups"), "labels_needed": ("09", "check_labels_needed"),
    "masked_mean": ("08", "check_masked_mean"), "has_negation": ("08", "check_has_negation"),
    "fewest_trainings": ("11", "check_fewest_trainings"), "promise": ("11", "check_promise"),
}


def cells(lesson: str) -> list:
    (path,) = notebooks.NOTEBOOKS.glob(f"{lesson}_*.ipynb")
    return nbformat.read(path, as_version=4).cells


def defined(code: str, name: str) -> Callable:
    """The function `name` that a piece of a lesson's code defines."""
    space = {"torch": torch, "np": np, "math": math}
    exec(code, space)
    return space[name]


def solution(name: str) -> Callable:
    """The solution as the lesson shows it, in its folded block."""
    prose = "\n".join(cell.source for cell in cells(EXERCISES[name][0]) if cell.cell_type == "markdown")
    folded = re.findall(r"<details><summary>Solution</summary>(.*?)</details>", prose, re.DOTALL)
    (code,) = (c for block in folded for c in re.findall(r"```python\n(.*?)```", block, re.DOTALL)
               if f"def {name}(" in c)
    return defined(code, name)


def stub(name: str) -> Callable:
    """The unfinished function that the lesson hands to the student."""
    sources = [c.source for c in cells(EXERCISES[name][0]) if c.cell_type == "code"
               and f"def {name}(" in c.source]
    (source,) = (s for s in sources if "NotImplementedError" in s)
    return defined(source, name)


def check(name: str, function: Callable) -> None:
    """Run the check of that exercise."""
    getattr(checks, EXERCISES[name][1])(function)
