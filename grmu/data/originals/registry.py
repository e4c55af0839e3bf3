"""All data sets that are read from their original files, by name."""

from __future__ import annotations

from grmu.data.originals.celeba import CELEBA
from grmu.data.originals.fairface import FAIRFACE
from grmu.data.originals.multinli import MULTINLI
from grmu.data.originals.original import Original
from grmu.data.originals.waterbirds import WATERBIRDS

ORIGINALS: dict[str, Original] = {original.name: original
                                  for original in (CELEBA, WATERBIRDS, FAIRFACE, MULTINLI)}
