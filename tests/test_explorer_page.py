"""Test the explorer without a kernel: it contains and shows the shipped numbers and matches its sources."""

import json
import re
import shutil
import subprocess
import sys
import zlib
from base64 import b64decode
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY

from grmu import widgets
from grmu.analysis import results
from grmu.analysis.compare import LEAST_SEEDS, distance_by_seed, interval
from grmu.experiments import Experiment
from grmu.metrics import METRICS
from grmu.widgets.explorer import on_paper
from grmu.widgets.live import MODULE
from grmu.widgets.settings import WHO, Choice, by_row, rows_of

sys.path.insert(0, str(REPOSITORY / "docs"))
explorer = import_module("build_explorer")
HASHES = {"": None, "#section": None, "#v=1&who=smallest": "version “1”", "#v=2&who=nobody": "who “nobody”",
          "#v=2&ratio=much": "ratio “much”", "#v=2&ratio=7": "ratio “7”", "#v=2&seed=99": "seed “99”",
          "#v=2&method=magic&lam=-1": "method “magic”", "#v=2&other=%F0%9F&reweight=2": "reweight “2”"}
SAMPLED = {  # what is asked, among it what was not computed; what is shown, and what the page says of it
    "ratio 0.5 (nearest to 0.45 that was computed), λ = 10 (nearest to 8 that was computed here), mean of 5":
        ({"who": "smallest", "method": "miu", "reweight": True, "ratio": 0.45, "lam": 8.0}, 0.5),
    "ratio 0.3 (nearest to 0.4 that was computed), λ = 1, seed 3":  # of two as near the lower
        ({"who": "smallest", "method": "miu", "reweight": True, "ratio": 0.4, "lam": 1.0, "seed": 3}, 0.3),
    "ratio 0.7, mean of 5 seeds":
        ({"who": "alike", "method": "retrain", "reweight": False, "ratio": 0.7}, 0.7),
    "ratio 0.5 (nearest to 0.3 that was computed), seed 0":
        ({"who": "sentences", "method": "finetune", "reweight": True, "ratio": 0.3, "seed": 0}, 0.5)}


def embedded() -> str:
    """The packed data in the committed module."""
    (found,) = re.findall(r"[A-Za-z0-9+/]{10000,}={0,2}", MODULE.read_text())
    return found


def every_setting() -> list[dict]:
    """Return each setting that was run, for all seeds and for seed 0."""
    rows = pd.concat([rows_of(who).assign(who=who) for who in WHO])
    keys = rows[["who", "method", "reweight", "lam", "ratio"]].drop_duplicates().to_dict("records")
    known = [{name: value for name, value in key.items() if not pd.isna(value)} for key in keys]
    return [key | {"seed": seed} for seed in (None, 0) for key in known]


def run_node(script: str, packed: Path, asked: Any) -> Any:
    """Return what a script of this folder computes with the module's sources."""
    if shutil.which("node") is None:
        pytest.skip("Node.js is not there: the module's logic is not tried")
    command = ["node", REPOSITORY / "tests" / script, explorer.SOURCES / "src", packed]
    done = subprocess.run(command, input=json.dumps(asked), text=True, capture_output=True)
    if "DecompressionStream" in done.stderr:
        pytest.skip("this Node.js is too old: it cannot inflate (20.12 can)")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """What the module computes for every setting, for the sampled ones, and for the links."""
    packed = tmp_path_factory.mktemp("explorer") / "packed.txt"
    packed.write_text(embedded())
    every = every_setting()
    said = run_node("explorer_settings.mjs", packed, {
        "choices": every + [asked for asked, _ in SAMPLED.values()], "hashes": list(HASHES)})
    return (list(zip(every, said["shown"], strict=False)),
            list(zip(SAMPLED.items(), said["shown"][len(every):], strict=True)), said["read"])


def number(value) -> float:
    return np.nan if value is None else value


def test_the_module_holds_the_shipped_tables():
    text, samples = zlib.decompress(b64decode(embedded()), -15).split(b"\n", 1)
    assert samples == explorer.samples()
    found = json.loads(text)
    now = explorer.contents()
    assert explorer.packed(now) == explorer.packed(explorer.contents())
    now = json.loads(json.dumps(now, default=explorer.plain))
    assert found.keys() == now.keys()
    for name in now:
        assert found[name] == now[name], f"explorer.js has other {name}: make explorer"


def test_the_module_and_the_page_are_small_and_ask_nobody():
    page = explorer.page(MODULE.read_text())
    assert len(page.encode()) <= 700_000
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML"}
    assert not re.search(r"\bfetch\(|XMLHttpRequest|import\(|localStorage", MODULE.read_text())
    shown, metadata = on_paper(Choice(method="retrain", reweight=False))
    assert shown["text/plain"] in page  # what a browser without scripts shows
    assert f'alt="{metadata["image/png"]["alt"]}"' in page


def test_the_module_is_what_its_sources_give_bit_for_bit(tmp_path):
    try:
        built = explorer.build(tmp_path / "explorer", embedded(), offline=True)
    except (FileNotFoundError, RuntimeError) as error:
        pytest.skip(f"the module cannot be built here without a network: {str(error)[:200]}")
    assert built == MODULE.read_text(), "not what docs/explorer gives: make explorer"


def runs_of(choice) -> pd.DataFrame:
    """Return the runs of a setting."""
    rows = results.select(rows_of(choice["who"]), method=choice["method"], reweight=choice["reweight"],
                          ratio=choice["ratio"])
    rows = rows[(rows.lam == choice.get("lam")) | (choice["method"] != "miu")]
    return rows if choice.get("seed") is None else rows[rows.seed == choice["seed"]]


def test_every_setting_shows_the_numbers_of_the_table_and_a_link_holds_it(answered):
    every, sampled, _ = answered
    assert len(every) > 500
    for choice, shown in every:
        mine = runs_of(choice)
        assert shown["said"] == []
        assert shown["n"] == len(mine)
        for metric in METRICS:
            found = shown["mine"]["metrics"][metric]
            assert found["mean"] == pytest.approx(mine[metric].mean(), abs=1e-9)
            ends = interval(mine[metric])
            half = ends.high - ends.mean if ends.n >= LEAST_SEEDS else np.nan
            assert number(found["half"]) == pytest.approx(half, abs=1e-9, nan_ok=True)
        gold = runs_of(choice | {"method": "retrain", "reweight": True})
        far = distance_by_seed(mine, gold).mean()
        assert shown["mine"]["distance"]["mean"] == pytest.approx(far, abs=1e-9)
        panel = np.mean([by_row(choice["who"], v) for v in mine.by_group], axis=0)
        assert [g["after"]["mean"] for g in shown["groups"]] == pytest.approx(panel.tolist(), abs=6e-6)
    for _, shown in [*every, *sampled]:
        assert shown["read"] == shown["choice"]


def test_the_theory_is_that_of_the_shipped_table(answered):
    table = results.load("shift", dataset="groundwear", asks=3)
    shown = [(choice["ratio"], shown["groups"]) for choice, shown in answered[0]
             if (choice["who"], choice["method"], choice["seed"]) == ("smallest", "retrain", None)]
    assert len(shown) == 10
    for ratio, groups in shown:
        predicted = table[np.isclose(table.ratio, ratio)].groupby("group").visible.mean()
        assert [g["theory"]["mean"] for g in groups] == pytest.approx(predicted.tolist(), abs=6e-6)


def test_what_was_not_computed_is_snapped_to_and_said(answered):
    for (words, (asked, ratio)), shown in answered[1]:
        assert words in shown["note"]
        here = runs_of(asked | {"ratio": ratio, "lam": shown["lam"]})
        assert (shown["ratio"], shown["n"]) == (ratio, len(here))
        near = "" if ratio == asked["ratio"] else f" (the nearest to {asked['ratio']} that was computed)"
        assert f" at ratio {ratio}{near}: " in shown["title"]
        assert shown["mine"]["metrics"]["GA"]["mean"] == pytest.approx(here.GA.mean(), abs=1e-9)


def test_ticks_are_at_what_was_computed(answered):
    for choice, shown in answered[0]:
        ran = results.select(rows_of(choice["who"]), method=choice["method"], reweight=choice["reweight"])
        assert shown["ratios"] == sorted(ran.ratio.unique())
        assert shown["lams"] == sorted(ran.lam[ran.ratio == shown["ratio"]].dropna().unique())


def test_copied_python_is_the_run_that_is_shown(answered):
    for choice, shown in answered[0][::7]:
        names = {"Experiment": Experiment, "run": lambda e: e}
        exec("\n".join(shown["python"].splitlines()[1:]), names)
        runs = names.get("results") or [names["result"]]
        for e in runs:
            assert (e.method, e.reweight) == (choice["method"], choice["reweight"])
            assert e == Choice(**choice | {"seed": e.seed}).experiment()
        assert len(runs) == (5 if choice["seed"] is None else 1)


def test_a_link_that_cannot_be_read_is_told_so(answered):
    for found, (hash_, sentence) in zip(answered[2], HASHES.items(), strict=True):
        if sentence is None:
            assert found is None
        else:
            assert sentence in " ".join(found["said"]), hash_
            assert found["choice"]["who"] == "smallest"


def test_pictures_are_pale_where_most_seeds_were_wrong(answered):
    asked = {"who": "smallest", "ratio": 0.5, "seed": None, "reweight": False}
    wrong = {choice["method"]: shown["pictures"]
             for choice, shown in answered[0] if asked.items() <= choice.items()}
    table = results.load("pictures", method="retrain", reweight=False, ratio=0.5, group=3)
    right = np.mean([[mark == "+" for mark in marks] for marks in table.right], axis=0)
    assert wrong["retrain"]["after"][3] == pytest.approx(right.tolist())
    assert wrong["scrub"] is None  # of most methods, no pictures are kept


def test_beside_a_kernel_the_choice_is_what_the_module_reads(answered):
    view = widgets.explore(method="retrain", reweight=False, ratio=0.9).view
    assert view.choice.keys() == answered[0][0][1]["choice"].keys()
    said = view.choice | {"who": "largest", "seed": 3, "lam": 1}  # JavaScript's 1.0
    assert Choice(**said).experiment() == Choice("largest", "retrain", False, 0.9, seed=3).experiment()
