"""Batch: unattended runs, which are the papermill entry, the demo, sweeps and the commands.

Not here: a single run (experiments), and the report of a sweep (workflow/).
May import: everything except course.
"""
