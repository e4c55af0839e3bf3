"""All data sets that are read from their original files, by name."""

from pathlib import Path

from grmu.data.core import Splits
from grmu.data.originals import celeba, fairface, multinli, waterbirds
from grmu.data.originals.original import Original, Protocols

PROTOCOLS: dict[str, Protocols] = {module.PROTOCOLS.ours.name: module.PROTOCOLS
                                   for module in (celeba, waterbirds, fairface, multinli)}
ORIGINALS: dict[str, Original] = {name: protocols.ours for name, protocols in PROTOCOLS.items()}


def load(name: str, root: str | Path | None, protocol: str = "ours") -> Splits:
    """Load a data set, with the same errors as `Original.load`."""
    return getattr(PROTOCOLS[name], protocol).load(root)


def fingerprint(name: str, root: str | Path | None, protocol: str = "ours") -> str:
    """Return the fingerprint of a data set, with the same errors as `Original.load`."""
    return getattr(PROTOCOLS[name], protocol).fingerprint(root)
