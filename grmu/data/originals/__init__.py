"""originals: the paper's data sets as people have them (CelebA, Waterbirds, FairFace, MultiNLI); their cache.

Not here: sets that ship with the project. May import: data.
"""
