"""MIU's forms: what Algorithm 1 leaves open, as the paper has it, as its code was released, and as ours is.

The losses are the same in all of them; a form says how features reach the two estimators. psi is the
statistics network of the unlearned model's features, psi_o that of the calibration's target (Eq. 6).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from grmu.data import require
from grmu.mine import GROUP_BARS, OPTIMIZERS
from grmu.settings import Settings, one_of, within


@dataclass(frozen=True)
class Form(Settings):
    """The choices. Their defaults are what every run did before there were forms: they change no run's name.

    Args:
        group_bar: how the group marginal is taken, see `grmu.mine`.
        calibrate_to: whose features psi_o is fitted to, the "original" model's or the "unlearned" one's.
        mine_optimizer, mine_momentum: of psi and psi_o; only "sgd" has a momentum.
        mine_ema: rate of the moving average of E exp T.
        ema_in_passes: the bounds of forget and retain pass update that average, and their gradients use it.
        tune_on: "stored": features of samples as they are, taken in eval mode once an epoch. "batches": those
            of a loader as in training, taken in train mode, so that BatchNorm's running statistics move; psi
            and psi_o go in the same steps, with the same g_bar.
        target_on: the target is computed from the original's "stored" features of samples as they are, or
            from those of the same "batch" that the unlearned model is shown.
        retune_target: psi_o is tuned before every epoch, as psi is; else before the first one only.
        extra_update: one update more than `first_updates` and `later_updates` say.
        own_start: psi_o starts from weights of its own; else from psi's.
    """

    group_bar: str = one_of(*GROUP_BARS)
    calibrate_to: str = one_of("original", "unlearned")
    mine_optimizer: str = one_of(*OPTIMIZERS)
    mine_momentum: float = within(0, 0.9999, default=0.0)
    mine_ema: float = within(1e-6, 1, default=0.05)
    ema_in_passes: bool = False
    tune_on: str = one_of("stored", "batches")
    target_on: str = one_of("stored", "batch")
    retune_target: bool = True
    extra_update: bool = False
    own_start: bool = False


STEADY = Form(
    group_bar="exact",  # the sum has the sampled draw's mean and none of its noise (lessons 03 and 05)
    calibrate_to="original",  # the text, at Eq. 6
    mine_optimizer="adam",  # the text leaves it open
    mine_momentum=0.0,
    mine_ema=0.05,
    ema_in_passes=False,  # the losses are Eqs. 3 and 6 as they stand, and no set's average meets another's
    tune_on="stored",  # MINE's tuning shows BatchNorm nothing of the forget set
    target_on="stored",  # the original does not change: one forward pass of it in all
    retune_target=True,
    extra_update=False,
    own_start=False,  # the two bounds differ by features, not by luck
)
"""Ours: what every run does that names no form."""

RELEASED = Form(
    group_bar="uniform",
    calibrate_to="unlearned",  # in tuning, both networks see the unlearned model's features
    mine_optimizer="sgd",
    mine_momentum=0.9,
    mine_ema=0.01,
    ema_in_passes=True,  # every evaluation moves the average, and every gradient has it
    tune_on="batches",
    target_on="batch",
    retune_target=True,
    extra_update=True,  # 101 and 11 updates, where the settings say 100 and 10
    own_start=True,  # two networks with weights of their own
)
"""The released code, to the letter; a run of it, written down draw by draw, is in the tests."""

PAPER = replace(
    RELEASED,  # where the text is silent: the optimizer, the average, the features' mode
    group_bar="uniform",  # Algorithm 1: randint_like(group, num_groups)
    calibrate_to="original",  # the text at Eq. 6: features by the original backbone
    target_on="batch",  # Algorithm 1: mine_original(model(image)), of the same images
    retune_target=False,  # Algorithm 1 is handed mine_original, and its loop tunes mine alone
    extra_update=False,  # the text, Sec. 3.4: 100 updates, then 10
)
"""The paper: its text and Algorithm 1, and the released code where these are silent."""

FORMS = {"steady": STEADY, "paper": PAPER, "released": RELEASED}


def choose(form: str, asked: Mapping[str, Any]) -> Form:
    """The form with those choices replaced that are asked for, which are not None.

    Raises:
        ValueError: a value that is not allowed, or one that contradicts the form's others.
    """
    given = {f.name: asked[f.name] for f in fields(Form) if asked.get(f.name) is not None}
    chosen = replace(FORMS[form], **given)
    require(chosen.mine_momentum == 0 or chosen.mine_optimizer == "sgd",
            f"mine_momentum must be 0 where mine_optimizer is {chosen.mine_optimizer!r}, but form {form!r} "
            f"has {chosen.mine_momentum!r} here: set it to 0, or mine_optimizer to 'sgd'.")
    return chosen
