"""Cross-entropy and nothing else (Eq. 7 without reweighting): PRETRAIN, RETRAIN and plain fine-tuning.

They differ in where they start and in what they see; the loss is the base class's. RETRAIN + REWEIGHT is
`Retrain` under the experiment's `reweight` switch.
"""

from dataclasses import dataclass

from grmu.training import Method


@dataclass
class Pretrain(Method):
    """The original model: fresh weights, the whole training set. As an answer to a request: do nothing."""

    starts_from = "fresh"
    trains_on = "train"


@dataclass
class Retrain(Method):
    """Exact unlearning: fresh weights, the retain set only."""

    starts_from = "fresh"


@dataclass
class FineTune(Method):
    """Go on from the original model on the retain set and hope that it forgets the rest."""
