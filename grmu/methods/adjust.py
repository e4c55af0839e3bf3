"""Adjusted logits: REWEIGHT without training (Saerens et al. 2002; Menon et al. 2021).

A model of the retain set answers with the retain set's prior. With r_ya the share forgotten of a group,

    logit_y  <-  logit_y + log sum_a p'(a | x, y) / (1 - r_ya)

is what it would answer with the old one (`grmu.prior`). This forgets nothing by itself: it goes on from a
model that has unlearned, RETRAIN or another, and asks for no epochs. `setup` fits p'(a | x, y) to the
features of the retain set and replaces the head; weights stay. No temperature is fitted: the model is taken
as calibrated on the retain set's population. It does what REWEIGHT does, so the two do not combine.
"""

import warnings
from dataclasses import dataclass

from grmu.data import require
from grmu.data.checks import one_of
from grmu.prior import ShiftedHead, attribute_head, shares_forgotten
from grmu.training import Context, Method, predict


@dataclass
class Adjust(Method):
    """Undo the shift of the prior in an unlearned model's logits.

    Args:
        of: The method whose model this one starts from.

    Raises:
        ValueError: A group has vanished, or the model has seen REWEIGHT (in `setup`).
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
                "adjust does after training what REWEIGHT does while training: set reweight to False.")
        r = shares_forgotten(train.group_counts().view(shape), retain.group_counts().view(shape))
        gone = [train.group_names[g] for g in (r.flatten() == 1).nonzero().flatten().tolist()]
        require(not gone, f"nothing is left of {', '.join(gone)}, and adjust cannot bring back a group "
                          "that has vanished: lower the ratio.")
        head, visibility = attribute_head(z, retain.y, retain.a, *shape)
        if not visibility.seen:
            warnings.warn(f"the features do not show the attribute ({visibility.accuracy:.0%} of held-out "
                          f"samples, {visibility.chance:.0%} by chance): adjust shifts all samples of a "
                          "class about alike.", stacklevel=2)
        self.model.head = ShiftedHead(self.model.head, head, r)
