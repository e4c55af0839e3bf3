"""Test Negation: the shipped file matches its script, labels follow the rules, and tokens suit BERT."""

import importlib.util
import sys

import pytest
import torch
from conftest import REPOSITORY

from grmu import data
from grmu.data import negation
from grmu.data.files import FOLDER
from grmu.data.originals.registry import ORIGINALS

LABELS = ("contradiction", "entailment", "neutral")
SAME = {"discovered": "found", "purchased": "bought"}
PAIRS = [{"found", "lost"}, {"bought", "sold"}, {"pushed", "pulled"}, {"loved", "hated"}]
KIND = {"dogs": "animals", "horses": "animals", "cars": "vehicles", "boats": "vehicles", "shirts": "clothes",
        "hats": "clothes"}


@pytest.fixture(scope="module")
def builder():
    spec = importlib.util.spec_from_file_location("build_negation", REPOSITORY / "data" / "build_negation.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def splits():
    return data.load("negation")


@pytest.fixture(scope="module")
def sentences(splits):
    return {name: negation.decode(part.x) for name, part in zip(("train", "val", "test"), splits[:3],
                                                                strict=True)}


def judge(premise, hypothesis):
    """Classify a pair independently from its words, or return None where the rules are silent."""
    who, act, thing, *rest = premise.split()
    words = hypothesis.split()
    place = [w for w in words if w in ("today", "yesterday", "here", "outside")]
    denied = bool({"no", "never", "nobody", "nothing"} & set(words))
    subject, verb, thing2 = [w for w in words if w not in ("never", "no", *place)]
    act, verb = SAME.get(act, act), SAME.get(verb, verb)
    whole = subject == who and thing2 == thing and place in ([], rest)
    fits = [subject in (who, "someone", "nobody"), thing2 in (thing, KIND[thing], "something", "nothing"),
            place in ([], rest)]
    if {act, verb} in PAIRS and not whole:
        return None
    if {act, verb} not in PAIRS and not (all(fits) and act == verb):
        return "neutral"
    return "entailment" if (act == verb) != denied else "contradiction"


# --- the file -----------------------------------------------------------------------------------------------


def test_the_builder_makes_the_shipped_file_bit_for_bit(builder):
    packed = builder.build()
    assert packed == (FOLDER / negation.SHIPPED.name).read_bytes()
    assert (
        REPOSITORY / "data" / "negation.sha256"
    ).read_text() == f"{negation.SHIPPED.sha256}  {negation.SHIPPED.name}\n"


# --- what is in it ------------------------------------------------------------------------------------------


def test_counts_follow_multinli_in_training_and_are_even_elsewhere(splits):
    published = ORIGINALS["multinli"].published["train"]
    assert splits.train.group_counts().tolist() == [
        round(n / (30 if group % 2 else 80)) for group, n in enumerate(published)]
    assert splits.val.group_counts().tolist() == splits.test.group_counts().tolist() == [300] * 6
    assert splits.forget_group == ORIGINALS["multinli"].forget_group == (2, 1)
    assert splits.train.group_names[splits.train.group_id(splits.forget_group)] == "neutral with negation"


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_labels_agree_with_an_independent_reading_of_the_rules(part, splits, sentences):
    read = [judge(*pair) for pair in sentences[part]]
    assert read == [LABELS[y] for y in getattr(splits, part).y.tolist()]


# --- tokens -------------------------------------------------------------------------------------------------


def test_pairs_become_ids_segments_and_padding():
    (ids, segments), = negation.encode([("anna found dogs", "anna found no dogs")]).tolist()
    anna, actual, no, dogs = 4698, 2179, 2053, 6077
    assert ids == [101, anna, actual, dogs, 102, anna, actual, no, dogs, 102, 0, 0]
    assert segments == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0]


def test_decoding_undoes_encoding(splits, sentences):
    assert negation.encode(sentences["test"]).equal(splits.test.x)
    assert splits.test.x.dtype == torch.int16
    assert splits.test.x.shape == (1800, 2, 12)


def test_an_unknown_word_and_a_pair_that_is_too_long_are_named():
    with pytest.raises(ValueError, match=r"'cat' is not among the \d+ words .*anna"):
        negation.encode([("anna found cat", "anna found dogs")])
    with pytest.raises(ValueError, match=r"has 15 tokens .* but 12 fit: shorten it"):
        negation.encode([("anna found dogs " * 2, "anna found dogs " * 2)])


# --- results ------------------------------------------------------------------------------------------------


