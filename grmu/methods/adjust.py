"""Adjusted logits: REWEIGHT without training (Saerens et al. 2002; Menon et al. 2021).

A model of the retain set predicts with the prior of the retain set. If r_ya is the share forgotten of a
group, its logits under the original prior are (see `grmu.prior`)

    logit_y + log sum_a p'(a | x, y) / (1 - r_ya)

Adjusting the logits forgets nothing by itself. It starts from a model that has unlearned, such as RETRAIN,
and needs no epochs: `setup` fits p'(a | x, y) to the features of the retain set and replaces the head, but
changes no weights. No temperature is fitted, because we assume that the model is calibrated on the population
of the retain set. Since the adjustment has the same effect as REWEIGHT, the two cannot be combined.
"""

import warnings
from dataclasses import dataclass

from grmu.data import require
from grmu.data.checks import one_of
from grmu.prior import ShiftedHead, attribute_head, shares_forgotten
from grmu.training import Context, Method, predict


@dataclass
class Adjust(Method):
    """Undo the shift of the prior in the logits of an unlearned model.

    Args:
        of: The method whose model this one starts from.

    Raises:
        ValueError: A group has vanished, or REWEIGHT is on (in `setup`).
    """

    retains = False
    of: str = one_of("retrain", "finetune", "l1_sparse", "salun", "scrub", "miu")

    @property
    def init_from(self) -> str:  # type: ignore[override]
        """The method whose model this one starts from."""
        return self.of

    def setup(self, context: Context) -> None:
        super().setup(context)
        z = predict(self.model.features, self.model, context.retain.x)  # (len(retain), n_features)
        train, retain = context.train, context.retain
        shape = train.n_classes, train.n_attributes
        require(context.weights is None,
                "adjust already does what REWEIGHT does during training: set reweight to False.")
        r = shares_forgotten(train.group_counts().view(shape), retain.group_counts().view(shape))
        gone = [train.group_names[g] for g in (r.flatten() == 1).nonzero().flatten().tolist()]
        require(not gone, f"no sample of {', '.join(gone)} is retained, and adjust cannot restore a group "
                          "that has vanished: lower the ratio.")
        head, visibility = attribute_head(z, retain.y, retain.a, *shape)
        if not visibility.seen:
            warnings.warn(f"the features do not reveal the attribute (accuracy {visibility.accuracy:.0%} on "
                          f"held-out samples, {visibility.chance:.0%} by chance), so adjust shifts all "
                          "samples of a class by about the same amount.", stacklevel=2)
        self.model.head = ShiftedHead(self.model.head, head, r)
