"""Notebooks as something to run: where the lessons are, and what their kernels need."""

from __future__ import annotations

import os
from pathlib import Path

from grmu.data.files import PACKAGE

NOTEBOOKS = PACKAGE.parent / "notebooks"


def lessons() -> list[Path]:
    """notebooks/NN_*.ipynb, in order; empty where there is no checkout."""
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def kernel_environment() -> dict[str, str]:
    """The environment variables for a kernel: without a chosen backend, which would draw nothing inline."""
    return {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
