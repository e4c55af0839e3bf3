"""Behind run_experiment.ipynb: what is refused, which runs are meant, what is written down; and one real call
of papermill."""

import json
import os
import re

import nbformat
import pandas as pd
import papermill
import pytest
import torch
import trees

from grmu.data.originals.registry import ORIGINALS
from grmu.experiments import load_split
from grmu.experiments.store import default_folder
from grmu.metrics import METRICS
from grmu.scale import batch
from grmu.scale.batch import Parameters
from grmu.scale.demo import NOTEBOOK
from grmu.show import plots

BEFORE = {"batch", "display"}


def read(**parameters):
    """The parameters of a notebook with these names beside its defaults."""
    return batch.read_parameters({"batch": batch, "display": print, "_i1": "", "before": BEFORE,
                                  **parameters}, BEFORE)


def test_parameters_are_read_and_the_notebooks_own_names_are_not():
    assert read(ratio=0.9, n_seeds=2, groups=[[0, 1]]) == Parameters(ratio=0.9, n_seeds=2, groups=[[0, 1]])


@pytest.mark.parametrize(("name", "sentence"), [
    ("raito", "unknown parameter 'raito': did you mean ratio?"),
    ("n_seed", "unknown parameter 'n_seed': did you mean n_seeds?"),
    ("recipe", "unknown parameter 'recipe': it is called protocol now"),
    ("xyz", "unknown parameter 'xyz': known are dataset, device, ")])
def test_a_misspelt_name_is_refused_with_the_one_that_was_meant(name, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        read(**{name: 0.9})


def test_a_second_pass_through_a_live_notebook_reads_the_new_values():
    left_behind = {"parameters": Parameters(), "splits": None, "ratio": 0.9}
    everything = {"batch": batch, **left_behind}
    assert batch.read_parameters(everything, BEFORE).ratio == 0.9  # from the parameters on
    assert batch.read_parameters(everything,
                                 set(everything)).ratio == 0.9  # from the top: `before` holds them all


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu_is_refused():
    with pytest.raises(ValueError, match="device is 'cuda', but PyTorch sees no GPU"):
        Parameters(device="cuda")


def names(parameters):
    return [(e.method, e.reweight, e.seed) for e in parameters.experiments()]


def test_the_references_come_before_the_method_for_every_seed():
    assert names(Parameters(seed=3, n_seeds=2)) == [
        (*run, seed) for seed in (3, 4)
        for run in (("pretrain", False), ("retrain", False), ("retrain", True), ("miu", False),
                    ("miu", True))]


@pytest.mark.parametrize(("given", "runs"), [
    ({"reweight": False}, [("miu", False, 0)]),
    ({"reweight": True}, [("miu", True, 0)]),
    ({"method": "retrain"}, []),
    ({"method": "pretrain"}, []),
    ({"method": "group_dro"}, [("group_dro", False,
                                0)]),  # it samples by itself: "both" is the one that there is
    ({"method": "gradient_ascent", "overrides": {"retains": False}}, [("gradient_ascent", False, 0)]),
    ({"method": "gradient_ascent"}, [("gradient_ascent", False, 0), ("gradient_ascent", True, 0)]),
])
def test_no_run_is_meant_twice_and_none_that_is_impossible(given, runs):
    assert names(Parameters(**given))[3:] == runs


def test_settings_change_the_method_and_not_the_references():
    experiments = Parameters(lam=3, overrides={"epochs": 2}).experiments()
    assert [e.overrides for e in experiments] == [{}, {}, {}, *[{"epochs": 2, "lam": 3}] * 2]


def test_without_references_only_the_method_runs():
    assert names(Parameters(references=False)) == [("miu", False, 0), ("miu", True, 0)]
    assert names(Parameters(method="retrain", references=False)) == [("retrain", False, 0),
                                                                     ("retrain", True, 0)]


OTHER = {"resnet18": "bert", "bert": "resnet18", "bf16": "fp32", "sgd": "adamw", "adamw": "sgd",
         "cosine": "constant", "warmup_by": "step",
         "constant": "cosine", True: False, False: True}


@pytest.mark.parametrize("dataset", ORIGINALS)
@pytest.mark.parametrize("method", ["finetune", "l1_sparse", "salun", "scrub", "miu"])
def test_every_setting_of_a_preset_can_be_overridden(dataset, method):
    preset = Parameters(dataset, method, references=False).experiments()[0].settings
    assert {"model", "pretrained", "precision", "epochs", "lr", "batch_size", "weight_decay",
            "schedule"} <= set(preset)
    for name, value in preset.items():
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        other = (value + 1 if isinstance(value, int) else value / 2 + 0.01) if numeric else OTHER[
            name if name in OTHER else value]
        *references, changed = Parameters(dataset, method, reweight=False,
                                          overrides={name: other}).experiments()
        assert changed.settings[name] == other
        network = name in ("model", "pretrained",
                           "precision")  # then PRETRAIN and RETRAIN are of that network, too
        assert [e.overrides for e in references] == 3 * [{name: other} if network else {}], name


def test_all_runs_of_a_seed_share_the_split():
    splits = [load_split(e)[1] for e in Parameters(groups=[[0, 1]], ratio=0.1).experiments()]
    assert all(torch.equal(splits[0].forget.x, split.forget.x) for split in splits)


def test_published_numbers_only_where_the_paper_has_them(monkeypatch):
    assert batch.published(Parameters()) is None
    monkeypatch.setattr(batch.paper, "results", lambda dataset, ratio: pd.DataFrame(
        {"GA": [44.0]}, index=pd.MultiIndex.from_tuples([("retrain", True)], names=["method", "reweight"])))
    assert batch.published(Parameters()).GA.to_dict() == {"RETRAIN + REWEIGHT": 44.0}
    assert batch.published(Parameters(groups="uniform")) is None


def test_an_output_folder_that_cannot_be_is_said_before_the_first_run(tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "run", lambda *_, **__: pytest.fail("something ran"))
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"output '.*file/out' cannot be written"):
        batch.run_parameters(Parameters(output=str(tmp_path / "file" / "out")))


def test_a_folder_without_the_files_is_named_before_the_first_run(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path))):
        batch.run_parameters(Parameters("waterbirds", overrides={"model": "cnn", "pretrained": False},
                                        root=str(tmp_path)))


def test_runs_are_told_tabled_and_written_down(few_pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GRMU_STORE", str(tmp_path / "store"))
    parameters = Parameters(ratio=0.5, overrides={"epochs": 1}, output=str(tmp_path / "new" / "out"))
    results = batch.run_parameters(parameters)
    progress = capsys.readouterr().out.splitlines()
    assert len(progress) == 5
    assert progress[4].startswith("[5/5] MIU + REWEIGHT, seed 0: accuracy ")
    assert batch.rows(results).epochs.isna().tolist() == [True, True, True, False, False]
    results[0].accuracy.loc[0, "se"] = float("nan")

    path = batch.write(parameters, results)
    assert [p.name for p in path.parent.iterdir()] == ["metrics.json"]
    record = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert record["parameters"] == {**vars(parameters)}
    assert set(record) == {"parameters", "runs", "summary", "versions", "machine"}
    assert record["runs"][0]["accuracy"][0]["se"] is None
    for run, result in zip(record["runs"], results, strict=True):
        assert {k: run[k] for k in METRICS} == {k: result.metrics[k] for k in METRICS}
        assert run["settings"] == result.experiment.settings
        assert run["by_group"] == result.by_group()
        assert {row["group"] for row in run["accuracy"]} >= {"RA", "UA", "TA", "GA", "sneaker on brick"}
    assert [row["method"] for row in record["summary"]] == [
        plots.label(r.experiment.method, r.experiment.reweight) for r in results]


def test_nothing_is_written_without_an_output_folder():
    assert batch.write(Parameters(), []) is None


def test_an_interrupted_write_leaves_the_old_file(few_pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("GRMU_STORE", str(tmp_path / "store"))
    parameters = Parameters(method="retrain", reweight=False, output=str(tmp_path / "out"))
    results = batch.run_parameters(parameters)
    path = batch.write(parameters, results)
    first = path.read_text()
    monkeypatch.setattr(batch, "_without_nan", lambda _: {"not": {"JSON"}})
    with pytest.raises(TypeError):
        batch.write(parameters, results)
    assert path.read_text() == first
    assert [p.name for p in path.parent.iterdir()] == ["metrics.json"]


@pytest.fixture(scope="module")
def execute():
    """A call of papermill as users make it, on real data; the references are the lessons' runs."""
    before = dict(os.environ)
    os.environ["GRMU_STORE"] = str(default_folder())
    os.environ.pop("MPLBACKEND", None)

    def execute(path, **parameters):
        return papermill.execute_notebook(str(NOTEBOOK), str(path), parameters, kernel_name="python3",
                                          progress_bar=False,
                                          cwd=str(path.parent))

    yield execute
    os.environ.clear()
    os.environ.update(before)


def shown(cell):
    return [kind for output in cell.outputs for kind in output.get("data", ())]


def test_papermill_runs_the_notebook(execute, tmp_path):
    executed = execute(tmp_path / "out.ipynb", overrides={"epochs": 1}, reweight=True, output="out")
    record = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert [(run["method"], run["reweight"]) for run in record["runs"]] == [
        ("pretrain", False), ("retrain", False), ("retrain", True), ("miu", True)]
    assert [run["settings"]["epochs"] for run in record["runs"]] == [15, 15, 15, 1]
    assert (tmp_path / "out" / "comparison.png").stat().st_size > 10_000
    code = [cell for cell in executed.cells if cell.cell_type == "code"]
    assert sum("image/png" in shown(cell) for cell in code) == 3
    (table,) = (cell for cell in code if "tables.show" in cell.source)
    assert {"text/html", "text/markdown"} <= set(shown(table))
    assert "seed(s)" not in nbformat.writes(executed)


def test_papermill_runs_the_papers_data_from_their_files(execute, tmp_path):
    few = {"train": (2,) * 4, "val": (1,) * 4, "test": (1,) * 4}  # three references train for 30 epochs
    root = trees.waterbirds(tmp_path / "waterbirds", few)
    small = {"model": "cnn", "pretrained": False, "precision": "fp32", "epochs": 1, "first_updates": 2}
    executed = execute(tmp_path / "out.ipynb", dataset="waterbirds", root=str(root), lam=10, overrides=small,
                       reweight=False,
                       output="out")
    record = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert [(run["method"], run["reweight"]) for run in record["runs"]] == [
        ("pretrain", False), ("retrain", False), ("retrain", True), ("miu", False)]
    assert [run["settings"]["epochs"] for run in record["runs"]] == [30, 30, 30, 1]
    assert {run["settings"]["model"] for run in record["runs"]} == {"cnn"}
    text = nbformat.writes(executed)
    assert re.search(r"8 training samples, \d to forget \(seed 0\), of waterbird on land", text)
    assert "RETRAIN + GROUP-DRO" in text  # the paper's numbers


def test_papermill_ends_at_a_misspelt_parameter_with_the_sentence(execute, tmp_path):
    with pytest.raises(papermill.PapermillExecutionError) as error:
        execute(tmp_path / "out.ipynb", raito=0.9)
    assert (error.value.ename, error.value.evalue) == ("ValueError",
                                                       "unknown parameter 'raito': did you mean ratio?")
    assert str(error.value).strip().endswith("ValueError: unknown parameter 'raito': did you mean ratio?")
