"""analysis: questions over many runs: grids, the shipped table, searches, comparisons, claims, audits, the
paper's numbers.

Not here: training (the core, experiments) and figures (show). May import: data, the core, experiments.
"""
