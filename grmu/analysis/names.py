"""Define the names of methods and metrics that the course displays."""

from __future__ import annotations

LABELS = {
    "pretrain": "PRETRAIN (original model)", "retrain": "RETRAIN", "group_dro": "RETRAIN + GROUP-DRO",
    "group_dro_pretrain": "PRETRAIN + GROUP-DRO",
    "rwg": "RETRAIN, RWG", "subg": "RETRAIN, SUBG", "finetune": "fine-tuning", "l1_sparse": "L1-sparse",
    "salun": "SalUn", "scrub": "SCRUB", "miu": "MIU", "miu_released": "MIU (released code)",
    "gradient_ascent": "gradient ascent", "random_labels": "random labels",
    "bad_teacher": "Bad Teacher", "boundary_shrink": "boundary shrink",
    "boundary_expand": "boundary expanding", "ssd": "SSD", "influence": "influence",
    "adjust": "adjusted logits"}
METRIC_NAMES = {
    "RA": "retain accuracy", "UA": "forget accuracy", "TA": "test accuracy", "MIA": "MIA efficacy",
    "EO": "equalized-odds difference", "GA": "accuracy of the forget group, test",
    "DP": "demographic-parity difference", "EP": "equal-opportunity difference",
    "WG": "worst group's accuracy", "gap": "avg. gap to the gold standard"}


def label(method: str, reweight: bool = False) -> str:
    """Return a method's display name."""
    return LABELS.get(method, method) + " + REWEIGHT" * bool(reweight)
