"""Influence unlearning (Koh & Liang 2017; Izzo et al. 2021; Jia et al. 2023): take one Newton step.

    theta = theta_o + step * H^-1 (grad L(D) - grad L(D_r))
    H = Fisher information on D_r + damping * identity

For an original model that was trained to convergence, grad L(D) is nearly 0. H approximates the Hessian by
the average of outer products of single samples' gradients, as in WoodFisher (Singh & Alistarh 2020).
Woodbury's identity inverts it exactly for `n_fisher` gradients. There are no epochs, because `setup` does all
the work. With REWEIGHT, D_r is weighted in both formulas.
"""

from dataclasses import dataclass

import torch

from grmu.data import require
from grmu.data.checks import within
from grmu.gradients import mean_gradient, sample_gradients, unflatten
from grmu.reweight import draw_epoch
from grmu.training import Context, Method

MOST = 2**33  # largest number of elements of all gradients: 32 GB


def inverse_fisher_product(gradients: torch.Tensor, vector: torch.Tensor, damping: float) -> torch.Tensor:
    """Multiply a vector by the inverse of a damped Fisher information by solving an n x n system.

        (G^T G / n + damping I)^-1 v

    Args:
        gradients: G, (n, P), the gradients of n samples.
        vector: v, (P,).
        damping: Value added to the diagonal.

    Returns:
        (P,) the product.
    """
    n = len(gradients)
    inner = gradients @ gradients.T + n * damping * torch.eye(n, device=vector.device)
    return (vector - gradients.T @ torch.linalg.solve(inner, gradients @ vector)) / damping


@dataclass
class Influence(Method):
    """Influence-function unlearning.

    Args:
        damping: Value added to the diagonal of the Fisher information.
        step: Multiple of the Newton step.
        n_fisher: Number of retained samples over which the Fisher information is averaged.

    Raises:
        ValueError: The gradients would not fit into memory (in `setup`).
    """

    damping: float = within(1e-9, 1e9, default=0.1)
    step: float = within(0, 1e6, default=1.0)
    n_fisher: int = within(1, 1_000_000, default=1000)

    def setup(self, context: Context) -> None:
        super().setup(context)
        retain, n_parameters = context.retain, sum(p.numel() for p in self.model.parameters())
        n = min(self.n_fisher, len(retain))
        require(n * n_parameters <= MOST,
                f"n_fisher is {self.n_fisher}, but {n:,} gradients of {n_parameters:,} parameters take "
                f"{n * n_parameters / 2**28:,.0f} GB: lower it to {MOST // n_parameters} or less.")
        rows = draw_epoch(len(retain), context.weights, context.rng)[: self.n_fisher].to(context.device)
        gradients = torch.cat(list(sample_gradients(self.model, retain.x[rows], retain.y[rows])))
        away = mean_gradient(self.model, context.train) - mean_gradient(self.model, retain, context.weights)
        step = self.step * inverse_fisher_product(gradients, away, self.damping)
        for p, part in zip(self.model.parameters(), unflatten(step, self.model), strict=True):
            p.data.add_(part)
