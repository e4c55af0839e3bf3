"""All data sets that are read from their original files, by name."""

from __future__ import annotations

from grmu.data.originals import celeba, fairface, multinli, waterbirds
from grmu.data.originals.original import Original, Protocols

PROTOCOLS: dict[str, Protocols] = {module.PROTOCOLS.ours.name: module.PROTOCOLS
                               for module in (celeba, waterbirds, fairface, multinli)}
ORIGINALS: dict[str, Original] = {name: protocols.ours for name, protocols in PROTOCOLS.items()}
