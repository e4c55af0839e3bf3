"""show: what one looks at: figures, the explorer, what changed inside a model, widgets.

Not here: numbers (analysis computes them), sentences for students (course).
May import: data, the core, experiments, analysis.
"""
