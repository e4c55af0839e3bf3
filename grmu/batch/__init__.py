"""batch: runs without a person watching: the papermill entry, the demo, sweeps, the command line.

Not here: one run (experiments), and what a sweep costs or found (workflow/). May import: all but course.
"""
