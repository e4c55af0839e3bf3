"""originals: the paper's data sets, read from downloaded files (CelebA, Waterbirds, FairFace, MultiNLI).

Not here: data sets that ship with the project. May import: data.
"""
