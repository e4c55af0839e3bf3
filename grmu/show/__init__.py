"""show: what one looks at: figures, the explorer, what changed inside a model, widgets.

Not here: numbers (study computes them), sentences for students (teach).
May import: data, the core, experiments, study.
"""
