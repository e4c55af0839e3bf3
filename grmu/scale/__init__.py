"""scale: many machines and measuring: the papermill entry, sweeps, benchmarks, the demo.

Not here: one run on one machine (experiments). May import: all but course.
"""
