"""What numbers depend on besides their inputs, fixed: threads, kernels, PyTorch's global random state."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Sums of floats depend on how many threads share them, so their number is fixed and a run gives the same bits
# on any load.
# Two bring 1.3 times the speed, two runs beside each other 1.9 times.
THREADS = 1


@contextmanager
def fixed_threads() -> Iterator[None]:
    """Run with THREADS threads, whatever the machine has, and with kernels that repeat themselves;
    restore both after."""
    threads, kernels = torch.get_num_threads(), torch.backends.cudnn.deterministic
    torch.set_num_threads(THREADS)
    torch.backends.cudnn.deterministic = True
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.deterministic = kernels


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """What draws from PyTorch's global generators inside (initialisation, dropout) depends on `seed` alone.

    Their states, the CPU's and that of the GPU `device`, are as they were after.
    """
    gpus = [device.index or 0] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(gpus):
        torch.default_generator.manual_seed(seed)
        if gpus:
            torch.cuda.manual_seed(seed)
        yield
