"""Negation: embedded pairs of sentences for natural-language inference, with a planted shortcut.

Every word is one token of BERT's vocabulary, and the shipped file contains the table, so no tokenizer is
needed. As BERT and MiniLM expect, a pair is encoded as

    [CLS] premise [SEP] hypothesis [SEP]

See data/README.md for how the data set was built.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from grmu.data.checks import require
from grmu.data.core import GroupedDataset, Splits
from grmu.data.files import ShippedFile

SHIPPED = ShippedFile("negation.json.xz", "254cfab3715e8772be32d615169239ba6e05beee03645fe53fe7e00de642afc0",
                      "build_negation.py")
CLS, SEP = 101, 102  # BERT's ids for the beginning, and for the end of each sentence
NEGATIONS = ("no", "never", "nobody", "nothing")  # the attribute: does the hypothesis contain one of them?


def _shipped(root: str | Path | None = None) -> dict[str, Any]:
    return json.loads(SHIPPED.content(root))


def encode(pairs: Sequence[tuple[str, str]]) -> torch.Tensor:
    """Encode pairs of sentences as token ids and segments.

    Args:
        pairs: Pairs (premise, hypothesis).

    Returns:
        (N, 2, 12) int16: token ids, and segments, which are 1 for the hypothesis and its [SEP].

    Raises:
        ValueError: A word is not in the vocabulary, or a pair is longer than 12 tokens.
    """
    shipped = _shipped()
    words, length = shipped["words"], shipped["length"]
    x = torch.zeros(len(pairs), 2, length, dtype=torch.int16)
    for row, pair in zip(x, pairs, strict=True):
        unknown = [w for w in " ".join(pair).split() if w not in words]
        require(not unknown, f"{', '.join(map(repr, unknown[:1]))} is not among the {len(words)} words of "
                             f"this data set: {', '.join(words)}.")
        first, second = ([words[w] for w in sentence.split()] + [SEP] for sentence in pair)
        ids = [CLS, *first, *second]
        require(len(ids) <= length,
                f"{pair} has {len(ids)} tokens with [CLS] and [SEP], but {length} fit: shorten it.")
        row[0, : len(ids)] = torch.tensor(ids)
        row[1, len(ids) - len(second) : len(ids)] = 1
    return x


def decode(x: torch.Tensor) -> list[tuple[str, str]]:
    """Decode (N, 2, 12) token ids and segments to pairs (premise, hypothesis)."""
    word = {number: w for w, number in _shipped()["words"].items()}
    premises, hypotheses = ([" ".join(word[i] for i in ids[segments == s].tolist() if i in word)
                             for ids, segments in x]
                            for s in (0, 1))
    return list(zip(premises, hypotheses, strict=True))


def load(name: str, root: str | Path | None = None, protocol: str = "ours") -> Splits:
    """Load the data set.

    The samples x are int16 (N, 2, 12), y is contradiction, entailment or neutral, and a says whether the
    hypothesis contains a negation.

    Args:
        name: Name of the data set.
        root: Folder of the shipped file; None for the project's own.
        protocol: Ignored, because both protocols use the same data.

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: The file is not the one that this version ships.
    """
    shipped = _shipped(root)

    def split(part: str) -> GroupedDataset:
        premises, hypotheses, y, a = zip(*shipped["pairs"][part], strict=True)
        x = encode(list(zip(premises, hypotheses, strict=True)))
        return GroupedDataset(x, torch.tensor(y), torch.tensor(a), shipped["class_names"],
                              shipped["attribute_names"], name)

    return Splits(split("train"), split("val"), split("test"), tuple(shipped["forget_group"]))


def fingerprint(name: str, root: str | Path | None = None, protocol: str = "ours") -> str:
    """Return the SHA-256 of the shipped file, the only one that `load` accepts."""
    return SHIPPED.sha256
