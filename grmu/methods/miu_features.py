"""How features reach MIU's two estimators, as its form says (`grmu.methods.miu_forms`)."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import count, islice
from typing import Any, ClassVar

import torch
from torch import Tensor

from grmu.methods.miu_forms import FORMS, Form, choose
from grmu.mine import MINE, Estimator, table_terms
from grmu.settings import one_of, within
from grmu.training import Batch, Context, Method, batches, predict


@dataclass(kw_only=True)
class Estimated(Method):
    """A method with psi of the unlearned model, `mi`, and psi_o for a target, `mi_o`, tuned before epochs.

    Args:
        mine_lr, mine_hidden, first_updates, later_updates: MINE's tuning before the first and before each
            later epoch.
        form: names one.  The others: choices in place of the form's, see `Form`; None is what the form says.
    """

    later: ClassVar[Mapping[str, Any]] = {"form": "steady"} | {
        f.name: f.default for f in fields(Form) if f.name not in ("group_bar", "calibrate_to")}

    mine_lr: float = within(0, 10, default=1e-3)
    mine_hidden: int = within(1, 100_000, default=512)
    first_updates: int = within(0, 1_000_000, default=100)
    later_updates: int = within(0, 1_000_000, default=10)
    form: str = one_of(*FORMS)
    group_bar: str | None = None
    calibrate_to: str | None = None
    mine_optimizer: str | None = None
    mine_momentum: float | None = None
    mine_ema: float | None = None
    ema_in_passes: bool | None = None
    tune_on: str | None = None
    target_on: str | None = None
    retune_target: bool | None = None
    extra_update: bool | None = None
    own_start: bool | None = None

    @cached_property
    def chosen(self) -> Form:
        """The form, with those choices in place of its own that are not None; errors as of `choose`."""
        return choose(self.form, vars(self))

    def meant(self) -> Mapping[str, Any]:
        return vars(self.chosen)

    @property
    def calibrates(self) -> bool:
        """Is there a target, and so a use for psi_o?"""
        return True

    def setup(self, context: Context) -> None:
        super().setup(context)
        form, sizes = self.chosen, (self.model.n_features, context.train.n_groups, self.mine_hidden)
        self.mi, self.mi_o = (
            Estimator(MINE(*sizes, seed=seed).to(context.device), self.mine_lr, context.rng, form.group_bar,
                      ema=form.mine_ema, optimizer=form.mine_optimizer, momentum=form.mine_momentum,
                      corrected=form.ema_in_passes) for seed in (0, int(form.own_start)))
        if self.calibrates and "stored" in (form.tune_on, form.target_on):
            # the original does not change: features once, from images as they are
            self.z_o_train = predict(self.original.features, self.original, context.train.x)
            self.z_o = self.z_o_train[context.retain_index]

    def before_epoch(self, epoch: int) -> dict[str, float]:
        train, forget, form = self.context.train, self.context.forget, self.chosen
        steps = (self.first_updates if epoch == 0 else self.later_updates) + form.extra_update
        tunes_o = self.calibrates and (epoch == 0 or form.retune_target)
        seen = torch.randperm(len(train), generator=self.context.rng)[: max(steps, 1) * self.mi.batch_size]
        drawn = train.subset(seen.to(self.context.device))
        if form.tune_on == "batches":
            self.tune_on_batches(steps, tunes_o)
        if epoch == 0 and self.calibrates and form.tune_on == "stored":
            z, group = self.z_o_train[seen], drawn.group  # the model is the original still
        else:
            z, group = predict(self.model.features, self.model, drawn.x), drawn.group
        if form.tune_on == "stored":
            self.mi.fit(z, group, steps)
            if tunes_o:
                self.mi_o.fit(z if form.calibrate_to == "unlearned" else self.z_o_train[seen], group, steps)
        if self.calibrates and form.target_on == "stored":
            self.t_o = predict(self.mi_o.mine.all_groups, self.mi_o.mine, self.z_o)
        z_f = predict(self.model.features, self.model, forget.x)
        return {"mi_train": self.mi.read(z, group), "mi_forget": self.mi.read(z_f, forget.group)}

    def tune_on_batches(self, steps: int, tunes_o: bool) -> None:
        """Tune on features that the model in train mode has of a loader's batches."""
        context = self.context
        self.model.train()
        loader = (b for _ in count() for b in batches(context.train, context.recipe, context.rng, None))
        for batch in islice(loader, steps):
            with torch.no_grad():
                z = self.model.features(batch.x)
            group_bar = self.mi.draw(batch.group)
            self.mi.update(z, batch.group, group_bar)
            if tunes_o:
                z_o = z if self.chosen.calibrate_to == "unlearned" else self.original.features(batch.x)
                self.mi_o.update(z_o, batch.group, group_bar)

    def state(self) -> dict[str, Estimator]:
        return {"mi": self.mi, "mi_o": self.mi_o}

    def target(self, batch: Batch, group_bar: Tensor | None) -> Tensor:
        """M(w(D_r); psi_o, theta_o) on a retain batch."""
        if self.chosen.target_on == "batch":
            return self.mi_o.bound(self.original.features(batch.x), batch.group, group_bar)
        joint, log_partition = table_terms(self.t_o[batch.index], batch.group, group_bar)
        return joint - log_partition
