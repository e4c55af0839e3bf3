"""Analysis: answer questions about many runs.

It contains the grids, the shipped results, searches, comparisons, claims, audits and the paper's numbers.
Not here: training (the core, experiments) and figures (plots).
May import: data, the core, experiments.
"""
