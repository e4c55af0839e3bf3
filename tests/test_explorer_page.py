"""The explorer without a kernel: the committed module holds the shipped tables, its logic shows their
numbers, and it is what its sources give, bit for bit."""

import json
import re
import shutil
import subprocess
import zlib
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY

from grmu import data
from grmu.analysis import results
from grmu.analysis.compare import distance_by_seed, half_width
from grmu.experiments import Experiment
from grmu.metrics import METRICS
from grmu.show import explorer, explorer_data, explorer_page
from grmu.show.widgets.explorer import ExplorerView

HASHES = {"": None, "#section": None, "#v=1&who=smallest": "version “1”", "#v=2&who=nobody": "who “nobody”",
          "#v=2&ratio=much": "ratio “much”", "#v=2&ratio=7": "ratio “7”", "#v=2&seed=99": "seed “99”",
          "#v=2&method=magic&lam=-1": "method “magic”", "#v=2&other=%F0%9F&reweight=2": "reweight “2”"}
SAMPLED = {  # what is asked, among it what was not computed; what is shown, and what the page says of it
    "ratio 0.5 (nearest to 0.45 that was computed), λ = 10 (nearest to 8 that was computed here), mean of 5":
        ({"who": "smallest", "method": "miu", "reweight": True, "ratio": 0.45, "lam": 8.0}, 0.5, 10),
    "ratio 0.3 (nearest to 0.4 that was computed), λ = 1, seed 3":  # of two as near the lower
        ({"who": "smallest", "method": "miu", "reweight": True, "ratio": 0.4, "lam": 1.0, "seed": 3}, 0.3, 1),
    "ratio 0.9 (nearest to 0.95 that was computed), λ = 3 (nearest to 1 that was computed here), mean of 5":
        ({"who": "memorised", "method": "miu", "reweight": False, "ratio": 0.95}, 0.9, 3),
    "ratio 0.7, λ = 1 (nearest to 8 that was computed here)":  # at 0.7 only the preset's was
        ({"who": "smallest", "method": "miu", "reweight": True, "ratio": 0.7, "lam": 8.0}, 0.7, 1),
    "ratio 0.1 (nearest to 0.2 that was computed), mean of 5 seeds":
        ({"who": "smallest", "method": "salun", "reweight": False, "ratio": 0.2}, 0.1, None),
    "ratio 0.9 (nearest to 0.95 that was computed), mean of 5 seeds":
        ({"who": "largest", "method": "scrub", "reweight": True, "ratio": 0.95}, 0.9, None),
    "ratio 0.7, mean of 5 seeds":
        ({"who": "alike", "method": "retrain", "reweight": False, "ratio": 0.7}, 0.7, None),
    "ratio 0.5 (nearest to 0.05 that was computed), λ = 10, mean of 5 seeds":
        ({"who": "nine", "method": "miu", "reweight": False, "ratio": 0.05, "lam": 10.0}, 0.5, 10),
    "ratio 0.5 (nearest to 0.3 that was computed), seed 0":
        ({"who": "sentences", "method": "finetune", "reweight": True, "ratio": 0.3, "seed": 0}, 0.5, None)}


def embedded() -> str:
    """The packed data, as the committed module has them."""
    (found,) = re.findall(r"[A-Za-z0-9+/]{10000,}={0,2}", explorer_page.MODULE.read_text())
    return found


def every_setting() -> list[dict]:
    """Each setting that was run, of all its seeds and of each."""
    rows = explorer_data.rows()
    keys = rows.loc[rows.method != "theory", list(explorer_data.SETTINGS)].to_dict("records")
    one = [{name: value for name, value in key.items() if not pd.isna(value)} for key in keys]
    one = [key | {"reweight": bool(key["reweight"])} for key in one]
    return list({str(every): every for every in (key | {"seed": None} for key in one)}.values()) + one


def node(packed: Path, choices: list[dict], hashes: Sequence[str] = ()) -> dict:
    """What the module's logic says of choices and links."""
    if shutil.which("node") is None:
        pytest.skip("Node.js is not there: the module's logic is not tried")
    command = ["node", REPOSITORY / "tests/explorer_settings.mjs", explorer_page.SOURCES / "src", packed]
    done = subprocess.run(command, input=json.dumps({"choices": choices, "hashes": hashes}), text=True,
                          capture_output=True)
    if "DecompressionStream" in done.stderr:
        pytest.skip("this Node.js is too old: it cannot inflate (20.12 can)")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """Every setting with what node says of it; what it says of the sampled ones; and of the links."""
    packed = tmp_path_factory.mktemp("explorer") / "packed.txt"
    packed.write_text(embedded())
    every = every_setting()
    said = node(packed, every + [asked for asked, _, _ in SAMPLED.values()], list(HASHES))
    return (list(zip(every, said["shown"], strict=False)),
            list(zip(SAMPLED.items(), said["shown"][len(every):], strict=True)), said["read"])


def number(value) -> float:
    return np.nan if value is None else value


def test_the_module_holds_the_shipped_tables():
    found = json.loads(zlib.decompress(b64decode(embedded()), -15))
    now = json.loads(json.dumps(explorer_data.contents(), default=explorer_data.plain))
    assert found.keys() == now.keys()
    for name in now:
        assert found[name] == now[name], f"explorer.js has other {name}: make explorer"


def test_the_module_and_the_page_are_small_and_ask_nobody():
    module = explorer_page.MODULE.read_text()
    page = explorer_page.page(module)
    assert len(page.encode()) <= 400_000
    assert len(embedded()) <= 150_000
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML"}
    assert not re.search(r"\bfetch\(|XMLHttpRequest|import\(|localStorage", module)
    assert "JavaScript is off" in page
    shown = explorer.printed(explorer.Choice("retrain", False))
    assert shown.sentence in page
    assert f'alt="{shown.picture()[1]}"' in page


def test_a_module_that_would_end_its_script_is_refused():
    with pytest.raises(ValueError, match="would end it inside the page"):
        explorer_page.page("let a = '</script>'")


def test_who_is_too_old_is_told_the_same_everywhere():
    source = (explorer_page.SOURCES / "src/data.js").read_text()
    said = re.sub(r'" \+\s+"', "", source[source.index('"This browser'):])
    assert said.startswith(f'"{explorer_page.TOO_OLD}"')


def test_packing_the_same_gives_the_same():
    found = explorer_data.contents()
    assert explorer_data.packed(found) == explorer_data.packed(explorer_data.contents())


def test_the_module_is_what_its_sources_give_bit_for_bit(tmp_path):
    try:
        built = explorer_page.build(tmp_path / "explorer", embedded(), offline=True)
    except (FileNotFoundError, RuntimeError) as error:
        pytest.skip(f"the module cannot be built here without a network: {str(error)[:200]}")
    assert built == explorer_page.MODULE.read_text(), "not what grmu/show/js gives: make explorer"


def key_of(setting, *without: str) -> tuple:
    """What tells a setting from others, for a dictionary."""
    names = [name for name in explorer_data.SETTINGS if name not in without]
    values = [setting.get(name) for name in names]
    return tuple(None if pd.isna(value) else value for value in values)


def by_setting() -> dict[tuple, pd.DataFrame]:
    """The rows of each of `every_setting`."""
    found = {}
    for who, name in explorer_data.WHO.items():
        rows = explorer.rows_of(name).assign(who=who)
        keys = pd.DataFrame({"one": [key_of(row) for row in rows.to_dict("records")],
                             "all": [key_of(row | {"seed": None}) for row in rows.to_dict("records")]})
        for column in keys:
            places = keys.groupby(column, sort=False).indices
            found |= {key: rows.iloc[index] for key, index in places.items()}
    return found


def test_every_setting_shows_the_numbers_of_the_table(answered):
    every, _, _ = answered
    assert len(every) > 1700
    rows = by_setting()
    for choice, shown in every:
        mine = rows[key_of(choice)]
        gold = rows[key_of({"who": choice["who"], "ratio": choice["ratio"], "seed": choice["seed"],
                            "method": "retrain", "reweight": True})]
        assert shown["said"] == []
        assert (shown["n"], shown["ratio"]) == (len(mine), choice["ratio"])
        for metric in METRICS:
            found = shown["mine"]["metrics"][metric]
            assert found["mean"] == pytest.approx(mine[metric].mean(), abs=1e-9)
            half = half_width(mine[metric]) if choice["seed"] is None else np.nan
            assert number(found["half"]) == pytest.approx(half, abs=1e-9, nan_ok=True)
        if choice["seed"] is not None:
            continue
        far = distance_by_seed(mine, gold).mean()
        assert shown["mine"]["distance"]["mean"] == pytest.approx(far, abs=1e-9)
        panel = np.mean([explorer.by_row(explorer_data.WHO[choice["who"]], v) for v in mine.by_group], axis=0)
        assert [g["after"]["mean"] for g in shown["groups"]] == pytest.approx(panel.tolist(), abs=6e-6)


def test_the_theory_is_that_of_the_shipped_table(answered):
    every, _, _ = answered
    table = results.load("shift")
    table = table[(table.dataset == "groundwear") & (table.asks == 3)]
    seen = 0
    for choice, shown in every:
        if (choice["who"], choice["method"], choice["seed"]) == ("smallest", "retrain", None):
            said = table[np.isclose(table.ratio, choice["ratio"])].groupby("group").visible.mean()
            found = [g["theory"]["mean"] for g in shown["groups"]]
            assert found == pytest.approx(said.tolist(), abs=6e-6)
            seen += 1
    assert seen == 10


def test_what_was_not_computed_is_snapped_to_and_said(answered):
    for (words, (asked, ratio, lam)), shown in answered[1]:
        assert words in shown["note"]
        assert shown["ratio"] == ratio
        assert lam is None or shown["lam"] == lam
        rows = explorer.rows_of(explorer_data.WHO[asked["who"]])
        rows = results.select(rows, method=asked["method"], reweight=asked["reweight"])
        if asked["method"] == "miu":
            rows = rows[rows.lam == shown["lam"]]
        if "seed" in asked:
            rows = rows[rows.seed == asked["seed"]]
        here = rows[rows.ratio == ratio]
        assert shown["n"] == len(here)
        assert shown["mine"]["metrics"]["GA"]["mean"] == pytest.approx(here.GA.mean(), abs=1e-9)
        (drawn,) = [s for s in shown["byRatio"]["series"]
                    if (s["method"], s["reweight"]) == (asked["method"], asked["reweight"])]
        by_ratio = rows.groupby("ratio").GA.mean()
        assert [p["at"] for p in drawn["points"]] == pytest.approx(by_ratio.index.tolist())
        assert [p["mean"] for p in drawn["points"]] == pytest.approx(by_ratio.tolist(), abs=1e-9)


def test_titles_say_what_their_numbers_say(answered):
    for choice, shown in answered[0]:
        before, after, gold = (100 * shown[arm]["metrics"]["GA"]["mean"] for arm in ("idle", "mine", "gold"))
        if choice["method"] == "pretrain":
            assert "nobody was forgotten" in shown["title"]
        elif abs(after - gold) >= 1:
            side = "above" if after > gold else "below"
            assert re.search(rf"from {before:.0f} to \d+ %, {abs(after - gold):.1f} points {side} the gold",
                             shown["title"]), (choice, shown["title"])


def test_copied_python_is_the_run_that_is_shown(answered):
    every, _, _ = answered
    whole = [pair for pair in every if pair[0]["seed"] is None]
    for choice, shown in [*whole, *every[len(whole)::40]]:
        names = {"Experiment": Experiment, "run": lambda e: e}
        exec("\n".join(shown["python"].splitlines()[1:]), names)
        runs = names.get("results") or [names["result"]]
        assert len(runs) == (5 if choice["seed"] is None else 1)
        keys = [results.key_of(e) for e in runs]
        assert [key for key in keys if key not in results._runs().index] == [], shown["python"]
        ga = results._runs().GA[keys].mean()
        assert shown["mine"]["metrics"]["GA"]["mean"] == pytest.approx(ga)


def test_a_link_holds_the_whole_setting(answered):
    every, sampled, _ = answered
    for _, shown in [*every, *sampled]:
        assert shown["read"] == shown["choice"]


def test_a_link_that_cannot_be_read_is_told_so(answered):
    for found, (hash_, sentence) in zip(answered[2], HASHES.items(), strict=True):
        if sentence is None:
            assert found is None
        else:
            assert sentence in " ".join(found["said"]), hash_
            assert found["choice"]["who"] == "smallest"


@pytest.mark.parametrize(("asked", "said"), [
    ({"who": "alike", "method": "miu"}, "MIU was not run for as many samples of all 4 groups alike: RETRAIN"),
    ({"who": "smallest", "method": "group_dro", "reweight": True}, "was not run with REWEIGHT")])
def test_a_setting_without_a_run_is_replaced_and_said(asked, said, tmp_path):
    (tmp_path / "packed.txt").write_text(embedded())
    (shown,) = node(tmp_path / "packed.txt", [asked])["shown"]
    assert said in " ".join(shown["said"])
    assert shown["n"] == 5


def test_the_runs_are_those_of_the_preset_but_for_the_weight_of_miu_s_calibration():
    rows = explorer.rows()
    assert not rows[rows.method != "miu"].overrides.map(bool).any()
    miu = rows[rows.method == "miu"]
    assert set(miu.overrides.map(tuple)) == {(), ("lam",)}
    preset = miu.dataset.map(lambda name: Experiment(name, "miu").settings["lam"])
    assert (miu.lam == miu.overrides.map(lambda o: o.get("lam")).fillna(preset)).all()


def test_pictures_and_what_was_right_of_them_are_packed_once_they_ship(monkeypatch, tmp_path):
    rows = [{"method": method, "reweight": reweight, "ratio": ratio, "seed": seed, "group": g,
             "right": "+" * (24 - wrong * (g == 3)) + "-" * wrong * (g == 3)}
            for method, reweight, ratio, wrong in (("pretrain", False, 0.1, 4), ("retrain", False, 0.5, 12))
            for seed in range(5) for g in range(4)]
    rows[-1]["right"] = "-" * 24  # of the last seed
    monkeypatch.setattr(results, "load", lambda name: pd.DataFrame(rows))
    found = explorer_data.pictures()
    assert [len(group) for group in found["shades"]] == [24 * 28 * 28] * 4
    test = data.load("groundwear").test
    first = test.x[int((test.group == 3).nonzero()[0, 0])].flatten()
    assert found["shades"][3][:784] == "".join(f"{v // 16:x}" for v in first.tolist())
    monkeypatch.undo()
    (tmp_path / "packed.txt").write_text(explorer_data.packed(explorer_data.contents() | {"pictures": found}))
    asked = {"who": "smallest", "method": "retrain", "reweight": False, "ratio": 0.5}
    several = [asked, asked | {"seed": 4}, asked | {"ratio": 0.9}, asked | {"who": "largest"}]
    everyone, one, unknown, others = (shown["pictures"] for shown in node(tmp_path / "packed.txt",
                                                                        several)["shown"])
    assert everyone["before"][3] == [1] * 20 + [0] * 4
    assert everyone["after"][3] == [0.8] * 12 + [0] * 12
    assert one["after"][3] == [0] * 24
    assert unknown is None
    assert others is None


def test_beside_a_kernel_the_choice_is_what_the_module_reads(answered):
    view = ExplorerView(method="retrain", reweight=False, ratio=0.9)
    read = answered[0][0][1]["choice"]
    assert view.choice.keys() == read.keys()
    assert view.chosen == explorer.Choice("retrain", False, ratio=0.9)
    view.choice = view.choice | {"who": "largest", "seed": 3, "lam": 1}  # JavaScript's 1.0
    assert view.chosen == explorer.Choice("retrain", False, ratio=0.9, seed=3,
                                          groups=explorer_data.WHO["largest"])
    assert view.chosen.experiment() == explorer.Choice(
        "retrain", False, ratio=0.9, seed=3, groups=explorer_data.WHO["largest"]).experiment()
