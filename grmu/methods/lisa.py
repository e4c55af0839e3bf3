"""LISA, selective mixup (Yao et al. 2022): retraining on mixtures that cancel what goes with the attribute.

    retain pass:  CE(t x + (1 - t) x', t y + (1 - t) y'),   t ~ Beta(2, 2) for each sample
    intra-label:   x' has the same y and another a, so the attribute tells nothing of the label
    intra-domain:  x' has the same a and another y, so the label alone tells them apart

A coin chooses one of the two for each batch. A sample that has no such partner stays as it is. REWEIGHT
draws the samples x; partners are drawn evenly from the whole retain set.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grmu.data import require
from grmu.data.checks import within
from grmu.training import Batch, Context, Method, augment_images


@dataclass
class LISA(Method):
    """Retraining with selective mixup.

    Args:
        intra_label: chance that a batch is mixed intra-label, else intra-domain.

    Raises:
        ValueError: samples that cannot be mixed, such as token ids (in `setup`).
    """

    intra_label: float = within(0, 1, default=0.5)
    init_from = None

    def setup(self, context: Context) -> None:
        super().setup(context)
        retain = context.retain
        kind = retain.x[:1].dtype
        require(kind == torch.uint8 or kind.is_floating_point, f"lisa mixes samples, and {kind} samples such "
                "as token ids cannot be mixed: choose another method.")
        groups = [divmod(g, retain.n_attributes) for g in range(retain.n_groups)]
        self.allowed = {  # rows by kind of mixture and group
            True: [((retain.y == y) & (retain.a != a)).nonzero().flatten() for y, a in groups],
            False: [((retain.y != y) & (retain.a == a)).nonzero().flatten() for y, a in groups]}

    def partners(self, batch: Batch, intra_label: bool) -> Tensor:
        """Rows of the retain set, (B,); a sample's own where none is allowed."""
        partner_rows = batch.index.clone()
        for group in batch.group.unique().tolist():
            rows, own = self.allowed[intra_label][group], batch.group == group
            if len(rows):
                drawn = torch.randint(len(rows), (int(own.sum()),), generator=self.context.rng)
                partner_rows[own] = rows[drawn.to(rows.device)]
        return partner_rows

    def retain_loss(self, batch: Batch) -> Tensor:
        context, rng = self.context, self.context.rng
        rows = self.partners(batch, bool(torch.rand(1, generator=rng) < self.intra_label))
        x, y = context.retain.x[rows], context.retain.y[rows]
        if context.config.augment and x.ndim == 4:
            x = augment_images(x, rng)
        t = torch.rand(3, len(y), generator=rng).median(0).values.to(context.device)  # Beta(2, 2)
        ours, theirs = self.model.scaled(batch.x), self.model.scaled(x)
        share = t.view(-1, *[1] * (ours.ndim - 1))
        logits = self.model(share * ours + (1 - share) * theirs)
        losses = [nn.functional.cross_entropy(logits, label, reduction="none") for label in (batch.y, y)]
        return (t * losses[0] + (1 - t) * losses[1]).mean()
