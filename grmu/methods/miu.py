"""MIU (Sec. 3.4, Algorithm 1): unlearn by lowering the mutual information of forget features and groups.

    forget pass:  M(D_f; psi, theta)                                                             (Eq. 3)
    retain pass:  CE + lambda * |M(w(D_r); psi, theta) - M(w(D_r); psi_o, theta_o)|^2         (Eqs. 7, 6)

psi is tuned before each epoch on features of the model as it then is; psi_o on those of the original model,
once.
"""

from dataclasses import dataclass

import torch

from grmu.data import require
from grmu.mine import GROUP_BARS, MINE, Estimator, dv_bound, table_terms
from grmu.training import Batch, Context, Method, one_of, predict, within


@dataclass
class MIU(Method):
    """Mutual Information-aware Machine Unlearning.

    Args:
        lam: weight of the calibration term.  forget_epochs: epochs that begin with a forget pass.
        retaining, unlearning, calibration: switches for the terms, Eqs. 7, 3, 6 (Table 4).
        mine_lr, mine_hidden, first_updates, later_updates: MINE's tuning before the first and before each
        later epoch.
        group_bar: how the group marginal is taken, see `grmu.mine`.
        calibrate_to: features that psi_o is fitted to: "original" (the paper's text) or "unlearned" (its
            released code).
    """

    lam: float = within(0, 1e6, default=1.0)
    forget_epochs: int = within(0, 10_000, default=5)
    retaining: bool = True
    unlearning: bool = True
    calibration: bool = True
    mine_lr: float = within(0, 10, default=1e-3)
    mine_hidden: int = within(1, 100_000, default=512)
    first_updates: int = within(0, 1_000_000, default=100)
    later_updates: int = within(0, 1_000_000, default=10)
    group_bar: str = one_of(*GROUP_BARS)
    calibrate_to: str = one_of("original", "unlearned")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.retaining or self.calibrates,
                "retaining and calibration are both off: the retain pass would have nothing to train on.")

    @property
    def calibrates(self) -> bool:
        """Is there a calibration term?"""
        return self.calibration and self.lam > 0

    def forgets(self, epoch: int) -> bool:
        return self.unlearning and super().forgets(epoch)

    def setup(self, context: Context) -> None:
        super().setup(context)
        self.mi, self.mi_o = (
            Estimator(MINE(self.model.n_features, context.train.n_groups, self.mine_hidden,
                           seed=0).to(context.device),
                      self.mine_lr, context.rng, self.group_bar) for _ in range(2))
        if self.calibrates:  # the original does not change: features once, from images as they are
            self.z_o_train = predict(self.original.features, self.original, context.train.x)
            self.z_o = self.z_o_train[context.retain_index]

    def before_epoch(self, epoch: int) -> dict[str, float]:
        train, forget = self.context.train, self.context.forget
        steps = self.first_updates if epoch == 0 else self.later_updates
        seen = torch.randperm(len(train), generator=self.context.rng)[: max(steps, 1) * self.mi.batch_size]
        drawn = train.subset(seen.to(self.context.device))
        z, group = predict(self.model.features, self.model, drawn.x), drawn.group
        self.mi.fit(z, group, steps)
        if self.calibrates:
            self.mi_o.fit(z if self.calibrate_to == "unlearned" else self.z_o_train[seen], group, steps)
            self.t_o = predict(self.mi_o.mine.all_groups, self.mi_o.mine, self.z_o)
        z_f = predict(self.model.features, self.model, forget.x)
        return {"mi_train": self.mi.bound(z, group).item(),
                "mi_forget": self.mi.bound(z_f, forget.group).item()}

    def state(self) -> dict[str, Estimator]:
        return {"mi": self.mi, "mi_o": self.mi_o}

    def forget_loss(self, batch: Batch) -> torch.Tensor:
        return self.mi.bound(self.model.features(batch.x), batch.group)  # Eq. 3

    def retain_loss(self, batch: Batch) -> torch.Tensor:
        z = self.model.features(batch.x)
        loss = torch.zeros((), device=z.device)
        if self.retaining:
            loss = loss + torch.nn.functional.cross_entropy(self.model.head(z), batch.y)  # Eq. 7
        if self.calibrates:
            group_bar = self.mi.draw(batch.group)  # the same draw for both, as in Algorithm 1
            joint, log_partition = table_terms(self.t_o[batch.index], batch.group, group_bar)
            mi = dv_bound(self.mi.mine, z, batch.group, group_bar)
            loss = loss + self.lam * (mi - (joint - log_partition).detach()) ** 2  # Eq. 6
        return loss
