"""course: what belongs to learning: the lessons' checks, labs, grading, notebooks as they are committed.

Not here: what a researcher needs as well (runs, analysis, show). May import: all but scale.
"""
