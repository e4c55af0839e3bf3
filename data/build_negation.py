"""Build data/negation.json.xz: pairs of sentences from a small grammar, labelled by rules of meaning instead of annotators.

    python data/build_negation.py [--check]

A premise tells of one event: who did what to how many of what, and perhaps where, when, with whom, to or from whom. A
hypothesis claims something about it. `truth` decides whether the claim is true, false or unknown given the premise; a
negation word swaps true and false; and that is the label. How often each label comes with a negation follows MultiNLI.
--check compares with the shipped file instead of writing.
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
MULTINLI = (57498, 11158, 67376, 1521, 66630, 1992)  # its training counts per group, y * 2 + a
COUNTS = {"train": [round(n / 30) for n in MULTINLI], "val": [300] * 6, "test": [300] * 6}
MAX_TOKENS = 20  # of a pair, with [CLS] and twice [SEP]

NEGATIONS = ("no", "not", "never", "nobody", "nothing")
PEOPLE = ("doctor", "nurse", "teacher", "farmer", "pilot", "lawyer")
THINGS = {"animals": ("dogs", "horses"), "vehicles": ("cars", "boats"), "clothes": ("shirts", "hats")}
KIND_OF = {thing: kind for kind, things in THINGS.items() for thing in things}
VERBS = {  # base form, and past form that is also the participle; the last pair is said once in five times
    "find": (("find", "found"), ("discover", "discovered")), "lose": (("lose", "lost"),), "push": (("push", "pushed"),),
    "pull": (("pull", "pulled"),), "buyer": (("buy", "bought"), ("purchase", "purchased")), "seller": (("sell", "sold"),)}
OPPOSITES = {"find": "lose", "lose": "find", "push": "pull", "pull": "push"}
OTHER_SIDE = {"buyer": "seller", "seller": "buyer"}  # of a trade, which can be told from both sides
NUMBERS = ("two", "three", "four")
ADJUNCTS = {  # "noon" begins with the letters of "no", and is no negation
    "place": ("in the park", "in the garden", "in the market"), "time": ("on monday", "on friday", "at noon"),
    "company": ("with a friend", "with a brother", "with a sister")}

IDS = {  # every word's number in the vocabulary of bert-base-uncased
    "a": 1037, "animals": 4176, "at": 2012, "boats": 6242, "bought": 4149, "brother": 2567, "buy": 4965, "by": 2011, "cars":
    3765, "clothes": 4253, "did": 2106, "discover": 7523, "discovered": 3603, "doctor": 3460, "dogs": 6077, "farmer": 7500,
    "find": 2424, "found": 2179, "four": 2176, "friday": 5958, "friend": 2767, "from": 2013, "garden": 3871, "hats": 16717,
    "horses": 5194, "in": 1999, "lawyer": 5160, "lose": 4558, "lost": 2439, "market": 3006, "monday": 6928, "never": 2196,
    "no": 2053, "nobody": 6343, "noon": 11501, "not": 2025, "nothing": 2498, "nurse": 6821, "on": 2006, "park": 2380,
    "pilot": 4405, "pull": 4139, "pulled": 2766, "purchase": 5309, "purchased": 4156, "push": 5245, "pushed": 3724, "sell":
    5271, "shirts": 11344, "sister": 2905, "sold": 2853, "someone": 2619, "something": 2242, "teacher": 3836, "the": 1996,
    "three": 2093, "to": 2000, "two": 2048, "vehicles": 4683, "were": 2020, "with": 2007}


class Dice:
    """Random choices from `random()` alone, whose numbers Python promises to keep."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def chance(self, p: float) -> bool:
        return self._random() < p

    def pick(self, options):
        return options[int(self._random() * len(options))]

    def other(self, options, than):
        return self.pick([o for o in options if o != than])

    def shuffled(self, items) -> list:
        return [item for _, item in sorted((self._random(), item) for item in items)]


# What is true. Events and claims are dicts of what is told: act, agent (or buyer, seller), thing, number, place, time, company.

def truth(claim: dict, event: dict) -> str:
    """ "true" if the premise tells all of it, "false" if one part is ruled out and the rest told, "unknown" if a part is not
    told and none ruled out; "unclear" otherwise, and such claims are not used."""
    found = {_part(name, value, claim, event) for name, value in claim.items()}
    if found == {"true", "false"}:
        return "false"
    return found.pop() if len(found) == 1 else "unclear" if "false" in found else "unknown"


def _part(name: str, value: str, claim: dict, event: dict) -> str:
    told = event.get(name)
    if value == told or (name == "thing" and value == KIND_OF.get(told)):
        return "true"  # dogs are animals
    ruled_out = (
        (name == "number" and told)  # two are not three
        or (name == "act" and OPPOSITES.get(value) == told and "agent" in claim and claim["agent"] == event.get("agent"))
        or (name in OTHER_SIDE and value == event.get(OTHER_SIDE[name])))  # who bought them did not sell them
    return "false" if ruled_out and "thing" in claim else "unknown"


def label(claim: dict, negation: str, event: dict) -> str:
    """The class of claim or, with a negation word, of its denial; "unclear" ones are not used."""
    value = truth(claim, event)
    if value == "false" and negation in ("nobody", "nothing"):  # that one person did not is not that nobody did
        return "unclear"
    if negation:
        value = {"true": "false", "false": "true"}.get(value, value)
    return {"true": "entailment", "false": "contradiction", "unknown": "neutral"}.get(value, "unclear")


# What is said

def draw_event(dice: Dice) -> dict:
    """What a premise tells: act and thing always, who nearly always, a number often, and one adjunct or a partner."""
    event = {"act": dice.pick((*OPPOSITES, "trade", "trade"))}
    partner = False
    if event["act"] == "trade":
        side = dice.pick(tuple(OTHER_SIDE))
        event[side] = dice.pick(PEOPLE)
        if partner := dice.chance(0.6):
            event[OTHER_SIDE[side]] = dice.other(PEOPLE, event[side])
    elif dice.chance(0.9):
        event["agent"] = dice.pick(PEOPLE)
    thing = dice.pick(tuple(KIND_OF))
    event["thing"] = KIND_OF[thing] if dice.chance(0.15) else thing
    if dice.chance(0.7):
        event["number"] = dice.pick(NUMBERS)
    if not partner:
        name = dice.pick(tuple(ADJUNCTS))
        event[name] = dice.pick(ADJUNCTS[name])
    return event


def draw_claim(dice: Dice, event: dict, aim: str) -> dict:
    """A claim about the event that is to be true, false or unknown (`aim`); `truth` has the last word."""
    keep = dict.fromkeys(event, 1.0) | dict.fromkeys(("agent", "buyer", "seller"), 0.75)
    keep |= dict.fromkeys(("number", *ADJUNCTS), 0.5 if aim == "unknown" else 0.65)
    claim = {name: value for name, value in event.items() if dice.chance(keep[name])}
    if claim["thing"] in KIND_OF and dice.chance(0.2):
        claim["thing"] = KIND_OF[claim["thing"]]
    if aim == "false":
        _deny(dice, claim, event)
    elif aim == "unknown":
        dice.pick((_other_act, _other_act, _other_part, _go_beyond, _go_beyond))(dice, claim, event)
    return claim


def _deny(dice: Dice, claim: dict, event: dict) -> None:
    """The opposite act, or now and then another number."""
    if "number" in claim and dice.chance(0.2):
        claim["number"] = dice.other(NUMBERS, claim["number"])
    elif claim["act"] == "trade":
        sides = {side: claim.pop(side) for side in OTHER_SIDE if side in claim}
        claim |= {OTHER_SIDE[side]: who for side, who in sides.items()}
    else:
        claim["act"] = OPPOSITES[claim["act"]]
        claim |= {"agent": event["agent"]} if "agent" in event else {}


def _other_act(dice: Dice, claim: dict, event: dict) -> None:
    """Another act than the one told and its opposite, by the same person."""
    people = [claim.pop(side) for side in ("agent", "buyer", "seller") if side in claim]
    near = (event["act"], OPPOSITES.get(event["act"]))
    claim["act"] = dice.pick([act for act in (*OPPOSITES, "trade", "trade") if act not in near])
    if people:
        claim[dice.pick(tuple(OTHER_SIDE)) if claim["act"] == "trade" else "agent"] = people[0]


def _other_part(dice: Dice, claim: dict, event: dict) -> None:
    """Another person, thing or adjunct."""
    name = dice.pick([name for name in claim if name not in ("act", "number")])
    claim[name] = dice.other(tuple(KIND_OF) if name == "thing" else ADJUNCTS.get(name, PEOPLE), claim[name])


def _go_beyond(dice: Dice, claim: dict, event: dict) -> None:
    """One thing more than was told."""
    sides = tuple(OTHER_SIDE) if event["act"] == "trade" else ("agent",)
    untold = [name for name in ("number", *ADJUNCTS, *sides) if name not in event]
    name = dice.pick(untold + ["thing"] * (event["thing"] in THINGS))
    options = THINGS[event["thing"]] if name == "thing" else NUMBERS if name == "number" else ADJUNCTS.get(name, PEOPLE)
    claim[name] = dice.pick(options)


def negate(dice: Dice, claim: dict) -> str:
    """Choose a negation word and fit the claim to it: it stands for the subject, the object or the number."""
    word = dice.pick(NEGATIONS)
    if word == "nobody":
        claim.pop(dice.pick(tuple(OTHER_SIDE)) if claim["act"] == "trade" else "agent", None)
    if word in ("no", "nothing"):
        claim.pop("number", None)
    if word == "nothing":
        del claim["thing"]
    return word


def say(dice: Dice, claim: dict, negation: str = "") -> str:
    """The claim as a sentence; "" where its words do not fit."""
    subject, partner = "agent", ""
    if claim["act"] == "trade":
        fits = [side for side in OTHER_SIDE if (side in claim) != (negation == "nobody")]
        subject = dice.pick(fits or tuple(OTHER_SIDE))
        partner = OTHER_SIDE[subject]
    base, past = VERBS[claim["act"] if claim["act"] != "trade" else subject][-1 if dice.chance(0.2) else 0]
    who = f"the {claim[subject]}" if subject in claim else ""
    what = " ".join(claim[name] for name in ("number", "thing") if name in claim)
    with_whom = f"{'from' if subject == 'buyer' else 'to'} the {claim[partner]}" if partner in claim else ""
    if what and negation not in ("nobody", "nothing") and dice.chance(0.3 if who else 0.6):
        be = f"were {negation}" if negation in ("not", "never") else "were"
        words = ["no" * (negation == "no"), what, be, past, f"by {who}" if who else "", with_whom]
    elif not (who or negation in ("", "nobody")):
        return ""  # "someone did not" does not deny that someone did
    else:
        do = f"did {base}" if dice.chance(0.1) else past
        verb = {"": f"{do} {what or 'something'}", "not": f"did not {base} {what}", "nothing": f"{past} nothing",
                "no": f"{past} no {what}"}.get(negation, f"{past} {what}")
        words = ["nobody" if negation == "nobody" else who or "someone", "never" * (negation == "never"), verb, with_whom]
    adjuncts = dice.shuffled(claim[name] for name in ADJUNCTS if name in claim)
    front = adjuncts[:1] if dice.chance(0.25) else []
    return " ".join(filter(None, [*front, *words, *adjuncts[len(front):]]))


def draw_pair(dice: Dice, y: int, a: int) -> tuple[str, str] | None:
    """Premise and hypothesis of class y, with a negation word if a; None if the dice gave none."""
    event = draw_event(dice)
    aim = "unknown" if y == 2 else "true" if (y == 1) != (a == 1) else "false"
    claim = draw_claim(dice, event, aim)
    if not a and dice.chance(0.1):  # "something", as "nothing" is said
        claim = {name: value for name, value in claim.items() if name not in ("thing", "number")}
    negation = negate(dice, claim) if a else ""
    premise, hypothesis = say(dice, event), say(dice, claim, negation)
    fits = hypothesis and len(f"{premise} {hypothesis}".split()) + 3 <= MAX_TOKENS and premise != hypothesis
    return (premise, hypothesis) if fits and label(claim, negation, event) == CLASSES[y] else None


def pairs(seed: int = SEED) -> dict[str, list[tuple[str, str, int, int]]]:
    """Every split's (premise, hypothesis, y, a) in shuffled order. No premise is used twice, in whatever split."""
    dice, seen, splits = Dice(seed), set(), {}
    for part, counts in COUNTS.items():
        rows = []
        for group, count in enumerate(counts):
            y, a = divmod(group, 2)
            wanted = len(rows) + count
            while len(rows) < wanted:
                pair = draw_pair(dice, y, a)
                if pair and pair[0] not in seen:
                    seen.add(pair[0])
                    rows.append((*pair, y, a))
        splits[part] = dice.shuffled(rows)
    return splits


def build() -> bytes:
    """The shipped file: names, the table of words, and every split's pairs."""
    content = {"class_names": CLASSES, "attribute_names": ATTRIBUTES, "forget_group": (2, 1), "length": MAX_TOKENS,
               "words": IDS, "pairs": pairs()}
    packed = json.dumps(content, separators=(",", ":")).encode()
    return lzma.compress(packed, format=lzma.FORMAT_XZ, check=lzma.CHECK_SHA256, filters=XZ_FILTERS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the shipped file, write nothing")
    options = parser.parse_args()
    packed = build()
    digest = hashlib.sha256(packed).hexdigest()
    if options.check:
        same = OUTPUT.read_bytes() == packed
        raise SystemExit(0 if same else f"{OUTPUT.name} differs from what this script builds (SHA-256 {digest}).")
    OUTPUT.write_bytes(packed)
    (HERE / "negation.sha256").write_text(f"{digest}  {OUTPUT.name}\n")
    print(f"{OUTPUT.name}: {len(packed) / 2**10:.0f} KiB, SHA-256 {digest}")


if __name__ == "__main__":
    main()
