"""Negation: the embedded pairs of sentences,
a natural-language-inference set with a planted shortcut (see data/README.md).

Every word is one token of BERT's vocabulary, and the shipped file has the table, so that no tokenizer is
needed: a pair becomes [CLS] premise [SEP] hypothesis [SEP], as BERT and MiniLM expect it.
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
CLS, SEP = 101, 102  # BERT's numbers for what marks the beginning, and the end of each sentence
NEGATIONS = ("no", "never", "nobody", "nothing")  # one of them in the hypothesis is the attribute


def _shipped(root: str | Path | None = None) -> dict[str, Any]:
    return json.loads(SHIPPED.content(root))


def encode(pairs: Sequence[tuple[str, str]]) -> torch.Tensor:
    """Pairs (premise, hypothesis) of known words -> int16 (N, 2, 12): token ids,
    and segments (1 for hypothesis and its [SEP]).

    Raises:
        ValueError: a word that the table lacks, or a pair longer than 12 tokens.
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
    """The inverse of `encode`: (N, 2, 12) -> pairs (premise, hypothesis)."""
    word = {number: w for w, number in _shipped()["words"].items()}
    premises, hypotheses = ([" ".join(word[i] for i in ids[segments == s].tolist() if i in word)
                             for ids, segments in x]
                            for s in (0, 1))
    return list(zip(premises, hypotheses, strict=True))


def load(name: str, root: str | Path | None = None, protocol: str = "ours") -> Splits:
    """Train, val, test: x is int16 (N, 2, 12), y one of contradiction, entailment, neutral,
    a is "with negation".

    Raises:
        FileNotFoundError: the data file is not there.
        ValueError: it is not, bit for bit, the one that this version ships.
    """
    shipped = _shipped(root)

    def split(part: str) -> GroupedDataset:
        premises, hypotheses, y, a = zip(*shipped["pairs"][part], strict=True)
        x = encode(list(zip(premises, hypotheses, strict=True)))
        return GroupedDataset(x, torch.tensor(y), torch.tensor(a), shipped["class_names"],
                              shipped["attribute_names"], name)

    return Splits(split("train"), split("val"), split("test"), tuple(shipped["forget_group"]))


def fingerprint(name: str, root: str | Path | None = None, protocol: str = "ours") -> str:
    """SHA-256 of the shipped file; `load` takes no other."""
    return SHIPPED.sha256
