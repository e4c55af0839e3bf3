"""All data sets that are read from their original files, by name."""

from __future__ import annotations

from grmu.data.originals import celeba, fairface, multinli, waterbirds
from grmu.data.originals.original import Original, Recipes

RECIPES: dict[str, Recipes] = {module.RECIPES.ours.name: module.RECIPES
                               for module in (celeba, waterbirds, fairface, multinli)}
ORIGINALS: dict[str, Original] = {name: recipes.ours for name, recipes in RECIPES.items()}
