"""What numbers depend on besides their inputs, fixed: threads, kernels, PyTorch's global random state."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


def made_by(device: str) -> dict[str, str]:
    """Return what numbers may depend on besides code and settings: versions and machine."""
    cpuinfo = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    names = [s.split(": ")[1] for s in cpuinfo.splitlines() if s.startswith("model name")]
    return {"torch": torch.__version__, "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}, {device}",
            "processor": f"{[*names, platform.processor()][0]}, {torch.backends.cpu.get_cpu_capability()}"}
