"""Fix what results depend on besides their inputs: threads, kernels and PyTorch's global random state."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

# Sums of floats depend on the number of threads, so it is fixed and a run gives the same bits everywhere.
# With one thread, it does not matter whether torch was imported before grmu could set GOMP_SPINCOUNT. Two
# threads are 1.3 times as fast at best; two runs in parallel are 1.9 times as fast as one after the other.
THREADS = 1


@contextmanager
def fixed_threads() -> Iterator[None]:
    """Run with `THREADS` threads and deterministic kernels, and restore the old settings afterwards."""
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
    """Seed PyTorch's global generators, and restore their states afterwards.

    Args:
        seed: Seed of the CPU's generator, and of the GPU's if `device` is one.
        device: Device on which numbers are drawn.
    """
    gpus = [device.index or 0] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(gpus):
        torch.default_generator.manual_seed(seed)
        if gpus:
            torch.cuda.manual_seed(seed)
        yield


def made_by(device: str) -> dict[str, str]:
    """Return the versions and the machine, on which numbers may depend besides code and settings."""
    cpuinfo = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    names = [s.split(": ")[1] for s in cpuinfo.splitlines() if s.startswith("model name")]
    return {"torch": torch.__version__, "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}, {device}",
            "processor": f"{[*names, platform.processor()][0]}, {torch.backends.cpu.get_cpu_capability()}"}
