"""Negation: the shipped file is what its script builds, labels follow the rules, pairs become the tokens that
BERT expects."""

import importlib.util
import shutil
import sys

import pytest
import torch
from conftest import REPOSITORY

from grmu import data
from grmu.analysis import results
from grmu.data import negation
from grmu.data.files import FOLDER
from grmu.data.originals import multinli
from grmu.data.originals.registry import ORIGINALS
from grmu.experiments import Experiment, run

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
    """An independent reader: the class of a pair, from its words alone; None where the rules do not say."""
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


def test_another_seed_makes_other_pairs_of_the_same_counts(builder):
    ours, others = builder.pairs(), builder.pairs(seed=8)
    assert {k: len(v) for k, v in ours.items()} == {k: len(v) for k, v in others.items()}
    assert ours["test"] != others["test"]


def test_a_damaged_file_is_named_with_the_way_to_restore_it(tmp_path):
    shutil.copy(FOLDER / negation.SHIPPED.name, tmp_path / negation.SHIPPED.name)
    packed = bytearray((tmp_path / negation.SHIPPED.name).read_bytes())
    packed[len(packed) // 2] ^= 1
    (tmp_path / negation.SHIPPED.name).write_bytes(packed)
    with pytest.raises(ValueError, match="damaged or altered") as caught:
        data.load("negation", tmp_path)
    assert str(tmp_path / negation.SHIPPED.name) in str(caught.value)


def test_a_missing_file_is_named_with_the_way_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"python data/build_negation\.py"):
        data.load("negation", tmp_path)


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


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_the_attribute_is_a_negation_word_in_the_hypothesis_and_premises_have_none(part, splits, sentences):
    def has_one(sentence):
        return not set(negation.NEGATIONS).isdisjoint(sentence.split())

    assert [has_one(h) for _, h in sentences[part]] == getattr(splits, part).a.bool().tolist()
    assert not any(has_one(p) for p, _ in sentences[part])


def test_no_premise_is_in_two_splits_and_no_pair_comes_twice(sentences):
    premises = [{p for p, _ in pairs} for pairs in sentences.values()]
    assert sum(map(len, premises)) == len(set.union(*premises))
    assert all(len(set(pairs)) == len(pairs) for pairs in sentences.values())


@pytest.mark.parametrize(("premise", "hypothesis", "expected"), [
    ("anna found dogs", "anna discovered animals", "entailment"),
    ("anna found dogs", "nobody found dogs", "contradiction"),
    ("anna found dogs", "anna never lost dogs", "entailment"),
    ("anna found dogs", "anna found nothing", "contradiction"),
    ("anna found dogs", "anna sold no dogs", "neutral"), ("anna found dogs", "paul found dogs", "neutral"),
    ("anna found dogs", "anna found dogs today", "neutral"), ("anna found dogs", "nobody lost dogs", None),
    ("anna found dogs", "anna lost animals", None)])
def test_the_rules_on_pairs_that_one_can_check_by_hand(builder, premise, hypothesis, expected):
    assert judge(premise, hypothesis) == expected
    words = hypothesis.split()
    word = next((w for w in words if w in builder.NEGATIONS), "")
    back = {v: k for k, v in builder.SYNONYMS.items()}
    who, act, thing = [w for w in words if w not in ("never", "no", "today")]
    claim = {"who": who, "act": back.get(act, act),
             "thing": thing} | ({"adjunct": "today"} if "today" in words else {})
    claim.pop({"nobody": "who", "nothing": "thing"}.get(word), None)
    actual = builder.label(claim, word, {"who": "anna", "act": "found", "thing": "dogs"})
    assert actual == (expected or "")


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


def test_the_ids_are_those_of_the_real_tokenizer(sentences):
    tokenizers = pytest.importorskip("tokenizers")

    try:
        path = multinli.tokenizer_file()
    except FileNotFoundError:
        pytest.skip("no tokenizer is installed")
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.enable_padding(length=12, pad_id=0)
    for part in ("train", "test"):
        pairs = sentences[part][:600]
        encoded = tokenizer.encode_batch(pairs)
        assert [[one.ids, one.type_ids] for one in encoded] == negation.encode(pairs).tolist()
    every_word = " ".join(negation._shipped()["words"])
    assert tokenizer.encode(every_word, add_special_tokens=False).ids == list(
        negation._shipped()["words"].values()
    )


# --- results ------------------------------------------------------------------------------------------------


def test_a_shipped_run_comes_out_alike_when_it_is_done_again():
    """Only the same machine and versions give the same bits; what is far from any decision must agree
    anywhere. The run is lesson 08's: whoever comes first does it."""
    experiment = Experiment("negation", "retrain", ratio=0.9, seed=0)
    again, shipped = run(experiment).metrics, results.load(
        dataset="negation", method="retrain", reweight=False, ratio=0.9, seed=0).iloc[0]
    assert again["RA"] == pytest.approx(shipped.RA, abs=0.03)
    assert again["TA"] == pytest.approx(shipped.TA, abs=0.06)
    assert again["GA"] == pytest.approx(shipped.GA, abs=0.2)


def test_the_pretrained_variant_is_the_same_data_with_a_pretrained_network(splits):
    for ours, other in zip(splits[:3], data.load("negation-pretrained")[:3], strict=True):
        assert ours.x.equal(other.x)
        assert ours.group.equal(other.group)
    assert Experiment("negation", "pretrain").network.model == "text"
    network = Experiment("negation-pretrained", "pretrain").network
    assert (network.model, network.pretrained) == ("minilm", True)
