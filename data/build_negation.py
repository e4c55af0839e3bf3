"""Build data/negation.json.xz: pairs of sentences from a small grammar, labelled by rules of meaning.

    python data/build_negation.py [--check]

A premise describes one event: who did what to what, and perhaps when or where. A hypothesis makes a claim
about it. `truth` decides whether the claim is true, false or unknown given the premise, and a negation word
swaps true and false; the result is the label. How often negations occur with each label follows MultiNLI.
--check compares the result with the shipped file and writes nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import random
from pathlib import Path

HERE = Path(__file__).parent
OUTPUT = HERE / "negation.json.xz"
XZ_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
SEED = 7
CLASSES, ATTRIBUTES = ("contradiction", "entailment", "neutral"), ("without negation", "with negation")
MULTINLI = (57498, 11158, 67376, 1521, 66630, 1992)  # its training pairs per group, y * 2 + a
SHARES = (80, 30)  # MultiNLI has this many times as many pairs, without and with negation
COUNTS = {"train": [round(n / SHARES[group % 2]) for group, n in enumerate(MULTINLI)], "val": [300] * 6,
          "test": [300] * 6}
HOMES = ("train", "train", "train", "val", "test")  # a premise occurs in only one split
MAX_TOKENS = 12  # per pair, including [CLS] and two [SEP]

NEGATIONS = ("no", "never", "nobody", "nothing")  # the words that define MultiNLI's attribute
PEOPLE = ("anna", "david", "emma", "john", "laura", "maria", "paul", "peter")
KINDS = {"dogs": "animals", "horses": "animals", "cars": "vehicles", "boats": "vehicles", "shirts": "clothes",
         "hats": "clothes"}
OPPOSITES = {"found": "lost", "lost": "found", "bought": "sold", "sold": "bought", "pushed": "pulled",
             "pulled": "pushed", "loved": "hated", "hated": "loved"}
SYNONYMS = {"found": "discovered", "bought": "purchased"}  # used in one of five cases
ADJUNCTS = ("today", "yesterday", "here", "outside")

IDS = {  # each word's index in the vocabulary of bert-base-uncased
    "animals": 4176, "anna": 4698, "boats": 6242, "bought": 4149, "cars": 3765, "clothes": 4253,
    "david": 2585, "discovered": 3603, "dogs": 6077, "emma": 5616, "found": 2179, "hated": 6283,
    "hats": 16717, "here": 2182, "horses": 5194, "john": 2198, "laura": 6874, "lost": 2439, "loved": 3866,
    "maria": 3814, "never": 2196, "no": 2053, "nobody": 6343, "nothing": 2498, "outside": 2648,
    "paul": 2703, "peter": 2848, "pulled": 2766, "purchased": 4156, "pushed": 3724, "shirts": 11344,
    "sold": 2853, "someone": 2619, "something": 2242, "today": 2651, "vehicles": 4683, "yesterday": 7483}


class Dice:
    """Make random choices only from `random()`, whose sequence Python guarantees."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def chance(self, p: float) -> bool:
        return self._random() < p

    def pick(self, options):
        return options[int(self._random() * len(options))]

    def other(self, options, than):
        return self.pick([o for o in options if o not in than])

    def shuffled(self, items) -> list:
        return [item for _, item in sorted((self._random(), item) for item in items)]


# Meaning: events and claims are dicts with some of the keys who, act, thing and adjunct.

def truth(claim: dict, event: dict) -> str:
    """Return whether a claim is true, given the premise's event.

    Returns:
        "true" if the premise states the whole claim, "false" if it states the claim with the opposite act,
        "unknown" if it leaves a part open and contradicts none, otherwise "unclear". Unclear claims are not
        used.
    """
    opposite = claim["act"] == OPPOSITES[event["act"]]
    if opposite and claim.get("who") == event["who"] and claim.get("thing") == event["thing"]:
        return "false" if claim.get("adjunct") in (None, event.get("adjunct")) else "unclear"
    told = all(value == event.get(name) or (name == "thing" and value == KINDS[event["thing"]])
               for name, value in claim.items())
    return "true" if told else "unclear" if opposite else "unknown"


def label(claim: dict, negation: str, event: dict) -> str:
    """Return the class of a claim or, with a negation word, of its denial; "" if it is unclear."""
    value = truth(claim, event)
    if negation:
        value = {"true": "false", "false": "true"}.get(value, value)
    return {"true": "entailment", "false": "contradiction", "unknown": "neutral"}.get(value, "")


# Sentences

def draw_event(dice: Dice) -> dict:
    """Return the event of a premise, which has an adjunct in half of the cases."""
    event = {"who": dice.pick(PEOPLE), "act": dice.pick(tuple(OPPOSITES)), "thing": dice.pick(tuple(KINDS))}
    return event | ({"adjunct": dice.pick(ADJUNCTS)} if dice.chance(0.5) else {})


def draw_claim(dice: Dice, event: dict, aim: str) -> dict:
    """Return a claim about the event that is meant to be true, false or unknown (`aim`); `truth` decides.

    In nine of ten unknown claims, the act differs; in the others, the person differs.
    """
    claim = dict(event)
    if dice.chance(0.5):
        claim.pop("adjunct", None)
    if aim == "false":
        claim["act"] = OPPOSITES[event["act"]]
        return claim
    if dice.chance(0.2):
        claim["thing"] = KINDS[event["thing"]]
    if aim == "unknown" and dice.chance(0.9):
        claim["act"] = dice.other(tuple(OPPOSITES), (event["act"], OPPOSITES[event["act"]]))
    elif aim == "unknown":
        claim["who"] = dice.other(PEOPLE, (event["who"],))
    if dice.chance(0.15):  # use "someone" or "something", to match "nobody" and "nothing"
        del claim[dice.pick(("who", "thing"))]
    return claim


def say(dice: Dice, claim: dict, negation: str = "") -> str:
    """Return a claim as a sentence, or its denial with a negation word."""
    act = SYNONYMS[claim["act"]] if claim["act"] in SYNONYMS and dice.chance(0.2) else claim["act"]
    who = "nobody" if negation == "nobody" else claim.get("who", "someone")
    thing = "nothing" if negation == "nothing" else claim.get("thing", "something")
    words = [who, "never" * (negation == "never"), act, "no" * (negation == "no"), thing,
             claim.get("adjunct")]
    return " ".join(filter(None, words))


def draw_pair(dice: Dice, y: int, a: int) -> tuple[str, str, int, int] | None:
    """Return a premise and a hypothesis of class y, with a negation word if a is 1.

    The result is None if the draw does not give such a pair.
    """
    event = draw_event(dice)
    aim = "unknown" if y == 2 else "true" if (y == 1) != (a == 1) else "false"
    claim, negation = draw_claim(dice, event, aim), dice.pick(NEGATIONS) if a else ""
    if a:
        if "who" not in claim or ("thing" not in claim and negation == "no"):
            return None  # "someone never did" does not deny that someone did
        claim.pop({"nobody": "who", "nothing": "thing"}.get(negation), None)  # the negation word says it
    if label(claim, negation, event) != CLASSES[y]:
        return None
    return say(dice, event), say(dice, claim, negation), y, a


def pairs(seed: int = SEED) -> dict[str, list[tuple[str, str, int, int]]]:
    """Return the pairs (premise, hypothesis, y, a) of each split, shuffled.

    No pair occurs twice, and no premise occurs in two splits.
    """
    dice, home, splits = Dice(seed), {}, {}
    for part, counts in COUNTS.items():
        rows = {}
        for group, count in enumerate(counts):
            wanted = len(rows) + count
            while len(rows) < wanted:
                pair = draw_pair(dice, *divmod(group, 2))
                if pair and home.setdefault(pair[0], dice.pick(HOMES)) == part:
                    rows[pair] = None
        splits[part] = dice.shuffled(rows)
    return splits


def build() -> bytes:
    """Return the content of the shipped file: names, the vocabulary, and the pairs of each split."""
    content = {"class_names": CLASSES, "attribute_names": ATTRIBUTES, "forget_group": (2, 1),
               "length": MAX_TOKENS, "words": IDS, "pairs": pairs()}
    packed = json.dumps(content, separators=(",", ":")).encode()
    return lzma.compress(packed, format=lzma.FORMAT_XZ, check=lzma.CHECK_SHA256, filters=XZ_FILTERS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the shipped file, write nothing")
    options = parser.parse_args()
    packed = build()
    digest = hashlib.sha256(packed).hexdigest()
    if options.check:
        same = OUTPUT.read_bytes() == packed
        raise SystemExit(0 if same else f"{OUTPUT.name} differs from what this script builds "
                                        f"(SHA-256 {digest}).")
    OUTPUT.write_bytes(packed)
    (HERE / "negation.sha256").write_text(f"{digest}  {OUTPUT.name}\n")
    print(f"{OUTPUT.name}: {len(packed) / 2**10:.0f} KiB, SHA-256 {digest}")


if __name__ == "__main__":
    main()
