"""MIU (Sec. 3.4, Algorithm 1): unlearn by lowering the mutual information of forget features and groups.

    forget pass:  M(D_f; psi, theta)                                                             (Eq. 3)
    retain pass:  CE + lambda * |M(w(D_r); psi, theta) - M(w(D_r); psi_o, theta_o)|^2         (Eqs. 7, 6)

Before each epoch psi is tuned on features of the model as it then is, and psi_o for the original's.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from grmu.data import require
from grmu.methods.miu_features import Estimated
from grmu.settings import within
from grmu.training import Batch


@dataclass
class MIU(Estimated):
    """Mutual Information-aware Machine Unlearning.

    Args:
        lam: weight of the calibration term.  forget_epochs: epochs that begin with a forget pass.
        retaining, unlearning, calibration: switches for the terms, Eqs. 7, 3, 6 (Table 4).
        mine_lr, mine_hidden, first_updates, later_updates: MINE's tuning, see `grmu.methods.miu_features`.
        form: "steady" (ours), "paper" or "released"; single choices replace the form's, see
            `grmu.methods.miu_forms`.
    """

    lam: float = within(0, 1e6, default=1.0)
    forget_epochs: int = within(0, 10_000, default=5)
    retaining: bool = True
    unlearning: bool = True
    calibration: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.chosen  # checks its values
        require(self.retaining or self.calibrates,
                "retaining and calibration are both off: the retain pass would have nothing to train on.")
        require(self.form == "steady" or self.calibration or self.lam == 0,  # stored runs of ours have both
                f"lam must be 0 in form {self.form!r} where calibration is off, but is {self.lam!r}.")

    @property
    def calibrates(self) -> bool:
        """Is there a calibration term?"""
        return self.calibration and self.lam > 0

    def forgets(self, epoch: int) -> bool:
        return self.unlearning and super().forgets(epoch)

    def forget_loss(self, batch: Batch) -> Tensor:
        return self.mi.bound(self.model.features(batch.x), batch.group)  # Eq. 3

    def retain_loss(self, batch: Batch) -> Tensor:
        z = self.model.features(batch.x)
        loss = torch.zeros((), device=z.device)
        if self.retaining:
            loss = loss + torch.nn.functional.cross_entropy(self.model.head(z), batch.y)  # Eq. 7
        if self.calibrates:
            group_bar = self.mi.draw(batch.group)  # the same draw for both, as in Algorithm 1
            mi = self.mi.bound(z, batch.group, group_bar)
            loss = loss + self.lam * (mi - self.target(batch, group_bar).detach()) ** 2  # Eq. 6
        return loss
