"""The last layer of an unlearned model, trained on: what DFR, AFR, SELF and `adjust` share.

They start from a model that has unlearned, leave its body unchanged, and work on its head. `setup` computes
the retain set's features z = f_theta(x) once, in eval mode and without augmentation; the losses look them up.

The papers take samples that the body was not trained on. A request to forget leaves none but the retain set,
and a fifth of it held back would make another body than the one that is to be repaired. So the body has seen
them all here: where it knows them by heart, their features tell less of what it gets wrong on new ones.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from grmu.data.checks import one_of
from grmu.training import Batch, Context, Method, predict


@dataclass
class LastLayer(Method):
    """Cross-entropy of the head alone, on the retain set's features.

    Args:
        of: the method whose model goes on: RETRAIN, or one that ends with passes over the retain set.
    """

    of: str = one_of("retrain", "finetune", "l1_sparse", "salun", "scrub", "miu")

    @property
    def init_from(self) -> str:  # type: ignore[override]
        """The method whose model this one starts from."""
        return self.of

    def setup(self, context: Context) -> None:
        super().setup(context)
        self.z = predict(self.model.features, self.model, context.retain.x)  # (len(retain), n_features)
        self.model.requires_grad_(False)
        self.model.head.requires_grad_(True)

    def retain_loss(self, batch: Batch) -> Tensor:
        return nn.functional.cross_entropy(self.model.head(self.z[batch.index]), batch.y)
