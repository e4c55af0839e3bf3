"""MIU, the paper's Algorithm 1: unlearn by reducing the mutual information between features and groups.

Each epoch has three parts. Here, w is the backbone, z = w(x) are its features, M is MINE's estimate of
I(Z; G) in nats (Eq. 2, see `grmu.mine`), and M_original is the same for the original model.

1. `tune_mine` maximises M on features of the training set: 100 updates in the first epoch, 10 in the others.
2. The forget pass minimises M (Eq. 3).
3. The retain pass minimises the cross-entropy and a calibration term (Eqs. 7 and 6):

    CE + lam * (M(unlearned features) - M_original(original features))^2
"""

from dataclasses import dataclass
from itertools import chain, count, islice

import torch
from torch import Tensor, nn

from grmu.data import GroupedDataset, require
from grmu.data.checks import within
from grmu.mine import MINE, Estimator, dv_bound, table_terms
from grmu.training import Batch, Context, Method, batches, predict


@dataclass
class MIU(Method):
    """Mutual Information-aware Machine Unlearning (Sec. 3.4).

    The last three settings are the switches of Table 4.

    Args:
        lam: Weight of the calibration term, lambda in Eq. 8.
        forget_epochs: Number of epochs, from the first, that begin with a forget pass.
        mine_lr: Learning rate of both MINE networks.
        mine_hidden: Number of hidden units of both MINE networks.
        first_updates: Number of MINE updates before the first epoch.
        later_updates: Number of MINE updates before each later epoch.
        retaining: Whether to use the cross-entropy term (Eq. 7).
        unlearning: Whether to use the forget pass (Eq. 3).
        calibration: Whether to use the calibration term (Eq. 6).

    Raises:
        ValueError: The retain pass has no loss, because retaining is off and calibration is off (or lam is
            0).
    """

    lam: float = within(0, 1e6, default=1.0)
    forget_epochs: int = within(0, 10_000, default=5)
    mine_lr: float = within(0, 10, default=1e-3)
    mine_hidden: int = within(1, 100_000, default=512)
    first_updates: int = within(0, 1_000_000, default=100)
    later_updates: int = within(0, 1_000_000, default=10)
    retaining: bool = True
    unlearning: bool = True
    calibration: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.calibrates = self.calibration and self.lam > 0
        require(self.retaining or self.calibrates,
                "retaining and calibration are both off, so the retain pass has no loss: switch one on.")
        if not self.unlearning:
            self.forget_epochs = 0

    def setup(self, context: Context) -> None:
        super().setup(context)
        sizes = self.model.n_features, context.train.n_groups, self.mine_hidden
        # The paper does not specify MINE's optimiser and averaging rate. As in the released code, we use SGD
        # with momentum 0.9, correct every gradient by a moving average of rate 0.01, and initialise the two
        # networks differently.
        self.mine, self.mine_original = (
            Estimator(MINE(*sizes, seed=seed).to(context.device), self.mine_lr, context.rng, "uniform",
                      ema=0.01, optimizer="sgd", momentum=0.9, corrected=True) for seed in (0, 1))
        self.z_original: Tensor | None = None  # constant without augmentation
        self.t_original: Tensor | None = None  # T of z_original, constant once tuned
        if self.calibrates and not context.augments:
            self.z_original = predict(self.original.features, self.original, context.train.x)

    def before_epoch(self, epoch: int) -> dict[str, float]:
        updates = self.first_updates if epoch == 0 else self.later_updates
        order = torch.randperm(len(self.context.train), generator=self.context.rng)  # to measure M on
        self.tune_mine(updates, with_original=self.calibrates and epoch == 0)
        sample = self.context.train.subset(order[: max(updates, 1) * 128].to(self.context.device))
        return {"mi_train": self.measure(sample), "mi_forget": self.measure(self.context.forget)}

    def tune_mine(self, updates: int, with_original: bool) -> None:
        """Fit the MINE networks to features of random training batches.

        Args:
            updates: Number of batches.
            with_original: Whether to fit `mine_original`, too.
        """
        context = self.context
        self.model.train()  # as in the released code; the paper does not say which mode
        epochs = (batches(context.train, context.config, context.rng) for _ in count())
        for batch in islice(chain.from_iterable(epochs), updates):
            with torch.no_grad():
                z = self.model.features(batch.x)
            group_bar = self.mine.draw(batch.group)
            self.mine.update(z, batch.group, group_bar)
            if with_original:
                self.mine_original.update(self.tuning_features(batch, z), batch.group, group_bar)

    def tuning_features(self, batch: Batch, z: Tensor) -> Tensor:
        """Return the features to which `mine_original` is fitted, those of the original model.

        Args:
            batch: A training batch.
            z: The unlearned model's features of this batch.
        """
        return self.original.features(batch.x) if self.z_original is None else self.z_original[batch.index]

    def measure(self, part: GroupedDataset, most: int = 500) -> float:
        """Measure M on the unlearned model's features, in nats, for the curves.

        Args:
            part: The samples.
            most: Number of samples to use, from the first.
        """
        group_bar = self.mine.draw(part.group)[:most]  # type: ignore[index]  # never None: it is drawn
        z = predict(self.model.features, self.model, part.x[:most])
        return dv_bound(self.mine.network, z, part.group[:most], group_bar).item()

    def forget_loss(self, batch: Batch) -> Tensor:
        group_bar = self.mine.draw(batch.group)  # uniform over the declared groups
        return self.mine.bound(self.model.features(batch.x), batch.group, group_bar)

    def retain_loss(self, batch: Batch) -> Tensor:
        z = self.model.features(batch.x)
        zero = torch.zeros((), device=z.device)
        loss = nn.functional.cross_entropy(self.model.head(z), batch.y) if self.retaining else zero
        if self.calibrates:
            group_bar = self.mine.draw(batch.group)  # one draw for both estimates
            gap = self.mine.bound(z, batch.group, group_bar) - self.target(batch, group_bar).detach()
            loss = loss + self.lam * gap**2
        return loss

    def target(self, batch: Batch, group_bar: Tensor | None) -> Tensor:
        """Return M_original of the original model's features on a retain batch, a scalar."""
        if self.z_original is None:
            return self.mine_original.bound(self.original.features(batch.x), batch.group, group_bar)
        if self.t_original is None:  # T(z, g) of all training samples and groups
            network = self.mine_original.network
            self.t_original = predict(network.all_groups, network, self.z_original)
        rows = self.context.retain_index[batch.index]
        joint, log_partition = table_terms(self.t_original[rows], batch.group, group_bar)
        return joint - log_partition
