"""MIU, the paper's Algorithm 1: unlearn by lowering the mutual information of features and groups.

Each epoch has three parts. Write w for the backbone, z = w(x) for its features, and M for MINE's estimate of
I(Z; G) in nats (Eq. 2, `grmu.mine`):

    tune_mine      maximise M on features of the training set: 100 updates first, then 10 per epoch
    forget pass    minimise M(unlearned features)                                                    (Eq. 3)
    retain pass    minimise CE + lam * (M(unlearned features) - M_original(original features))^2  (Eqs. 7, 6)
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

    Args:
        lam: Weight of the calibration term, lambda in Eq. 8.
        forget_epochs: Number of epochs, from the first, that begin with a forget pass.
        mine_lr: Learning rate of both MINE networks.
        mine_hidden: Hidden units of both MINE networks.
        first_updates: MINE updates before the first epoch.
        later_updates: MINE updates before each later epoch.
        retaining: Use the cross-entropy term (Eq. 7). Switches are those of Table 4.
        unlearning: Use the forget pass (Eq. 3).
        calibration: Use the calibration term (Eq. 6).

    Raises:
        ValueError: The retain pass has no loss: retaining is off, and so is calibration (or lam is 0).
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
        # The paper leaves MINE's optimiser and averaging rate open. As released: SGD with momentum 0.9, and a
        # moving average (rate 0.01) in the gradient of every evaluation. The two networks start differently.
        self.mine, self.mine_original = (
            Estimator(MINE(*sizes, seed=seed).to(context.device), self.mine_lr, context.rng, "uniform",
                      ema=0.01, optimizer="sgd", momentum=0.9, corrected=True) for seed in (0, 1))
        self.z_original: Tensor | None = None  # without augmentation, the original's features never change
        self.t_original: Tensor | None = None  # and nor do mine_original's answers, once it is tuned
        if self.calibrates and not context.augments:
            self.z_original = predict(self.original.features, self.original, context.train.x)

    def before_epoch(self, epoch: int) -> dict[str, float]:
        updates = self.first_updates if epoch == 0 else self.later_updates
        order = torch.randperm(len(self.context.train), generator=self.context.rng)  # to record M on
        self.tune_mine(updates, with_original=self.calibrates and epoch == 0)
        sample = self.context.train.subset(order[: max(updates, 1) * 128].to(self.context.device))
        return {"mi_train": self.measure(sample), "mi_forget": self.measure(self.context.forget)}

    def tune_mine(self, updates: int, with_original: bool) -> None:
        """Fit `mine` to the unlearned model's features and, if asked, `mine_original` to the original's."""
        context = self.context
        self.model.train()  # the paper leaves the mode open; as released, BatchNorm uses the batch
        epochs = (batches(context.train, context.config, context.rng) for _ in count())
        for batch in islice(chain.from_iterable(epochs), updates):
            with torch.no_grad():
                z = self.model.features(batch.x)
            group_bar = self.mine.draw(batch.group)
            self.mine.update(z, batch.group, group_bar)
            if with_original:
                self.mine_original.update(self.tuning_features(batch, z), batch.group, group_bar)

    def tuning_features(self, batch: Batch, z: Tensor) -> Tensor:
        """What `mine_original` is fitted to: the original model's features of a training batch."""
        return self.original.features(batch.x) if self.z_original is None else self.z_original[batch.index]

    def measure(self, part: GroupedDataset, most: int = 500) -> float:
        """M of the unlearned model's features on the first samples of a set, in nats, for the curves."""
        group_bar = self.mine.draw(part.group)[:most]  # type: ignore[index]  # it is drawn
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
        """M_original of the original model's features on a retain batch, a scalar."""
        if self.z_original is None:
            return self.mine_original.bound(self.original.features(batch.x), batch.group, group_bar)
        if self.t_original is None:  # T(z, g) of every training sample and group
            network = self.mine_original.network
            self.t_original = predict(network.all_groups, network, self.z_original)
        rows = self.context.retain_index[batch.index]
        joint, log_partition = table_terms(self.t_original[rows], batch.group, group_bar)
        return joint - log_partition
