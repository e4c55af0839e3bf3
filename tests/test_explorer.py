"""Test the figure and table that replace the explorer on pages without widgets."""

import nbformat
import numpy as np
import pytest

import notebooks
from grmu import widgets
from grmu.analysis import grids, results
from grmu.widgets.settings import WHO, Choice, printed, rows_of


@pytest.mark.parametrize(("choice", "grid", "ratio"), [
    (Choice("smallest", "retrain", False, 0.7), "references", 0.7),
    (Choice("smallest", "salun", True, 0.9), "unlearning", 0.9),
    (Choice("largest", "miu", False, 0.5), "largest_unlearning", 0.5),
    (Choice("alike", "retrain", False, 0.9), "uniform", round(91.8) / 5692)])  # the ratio is the smallest's
def test_what_is_printed_are_the_numbers_of_the_shipped_rows(choice, grid, ratio):
    shown = printed(choice)
    ga = 100 * results.load(grid, method=choice.method, reweight=choice.reweight, ratio=ratio).GA.mean()
    assert f"to {ga:.0f} %" in shown.sentence
    if len(shown.forgotten) == 1:
        assert shown.groups.loc[shown.forgotten[0], "after"] == pytest.approx(ga, abs=0.01)


def test_of_many_groups_those_who_asked_are_beside_the_others():
    shown = printed(Choice("nine", "miu", True, 0.5, lam=10.0))
    rows = results.load("multi_group", method="miu", reweight=True, groups=WHO["nine"][2])
    by_group = 100 * np.mean(rows.by_group.tolist(), axis=0)
    asked = [y * 7 + a for y, a in grids.NINE_GROUPS]
    others = [g for g in range(63) if g not in asked]
    assert shown.groups.after.to_dict() == pytest.approx(
        {"the 9 that request deletion": by_group[asked].mean(), "the other 54": by_group[others].mean()})


@pytest.mark.parametrize("choice", [Choice(ratio=0.45), Choice(lam=8.0), Choice("alike", "miu", False)])
def test_on_paper_nothing_is_snapped_to(choice):
    with pytest.raises(ValueError, match=r"MIU.* was not run for .* shows the nearest setting that was run"):
        printed(choice)


@pytest.mark.parametrize("who", WHO)
def test_every_offered_setting_can_be_printed_and_run(who):
    ran = rows_of(who)
    for row in ran[ran.seed == 0].drop_duplicates(["method", "reweight"]).itertuples():
        extra = {"lam": row.lam} if row.method == "miu" else {}
        choice = Choice(who, row.method, row.reweight, row.ratio, seed=0, **extra)
        assert printed(choice).groups.notna().all(axis=None)
        assert choice.experiment().method == row.method


def test_where_no_widgets_are_a_figure_and_its_numbers_stand_for_the_explorer(monkeypatch):
    said = []
    monkeypatch.setattr("grmu.widgets.explorer.display", lambda found, **more: said.append((found, more)))
    widgets.explore(method="retrain", reweight=False, ratio=0.9)._ipython_display_()
    widgets.explore(ratio=0.45)._ipython_display_()
    (shown, more), (text, _) = said
    assert "was not run for" in text["text/plain"]
    output = nbformat.v4.new_output("display_data", shown | {notebooks.WIDGET: {"model_id": "x"}},
                                    metadata=more["metadata"])
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("explore()", outputs=[output])])
    picture, table = notebooks.normalise(nb).cells[0].outputs
    for group, after in printed(Choice(method="retrain", reweight=False, ratio=0.9)).groups.after.items():
        assert f"{group} {after:.0f}" in picture.metadata["image/png"]["alt"]
        assert f"{after:.1f}" in table.data["text/html"]
