"""The store: a record is there whole or not at all, whatever happens while it is written."""

import json
import os
import signal
import time

import pytest
import torch
from conftest import same_state, start_python
from safetensors.torch import load_file

from grmu import Experiment, run
from grmu.runs.store import FORMAT, STALE_SECONDS, Store, StoreError

WEIGHTS = {"w": torch.arange(20_000, dtype=torch.float32)}


def test_a_record_comes_back_with_its_weights(tmp_path):
    store = Store(tmp_path / "deep" / "runs")
    assert store.read("models", "k") is None
    store.write("models", "k", {"curves": [1.5, None]}, WEIGHTS)
    assert store.read("models", "k") == {"curves": [1.5, None]}
    assert same_state(load_file(store.folder("models", "k") / "model.safetensors"), WEIGHTS)
    assert Store(tmp_path / "deep" / "runs").read("models", "k") is not None


def test_a_record_holds_json_and_safetensors_only(tmp_path):
    Store(tmp_path).write("models", "k", {"a": 1}, WEIGHTS)
    files = {p.name for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {"store.json", "record.json", "model.safetensors"}


def test_writing_again_replaces_the_record_and_leaves_nothing_else(tmp_path):
    store = Store(tmp_path)
    store.write("models", "k", {"a": 1}, WEIGHTS)
    store.write("models", "k", {"a": 2})
    assert store.read("models", "k") == {"a": 2}
    assert [p.name for p in (tmp_path / "models").iterdir()] == ["k"]
    assert [p.name for p in (tmp_path / "models" / "k").iterdir()] == ["record.json"]


def test_weights_that_are_not_contiguous_or_not_on_the_cpu_are_stored_as_they_read(tmp_path):
    transposed = torch.arange(6.0).reshape(2, 3).T
    Store(tmp_path).write("models", "k", {}, {"w": transposed})
    assert torch.equal(load_file(tmp_path / "models" / "k" / "model.safetensors")["w"], transposed)


# --- what cannot be used ------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_is_said_with_a_way_out(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "runs"):
        with pytest.raises(StoreError, match=r"cannot write runs to .*file.*store=.*GRMU_STORE"):
            Store(folder)


@pytest.fixture
def full_disk():
    """From here on no file of this process may grow beyond 4 KiB, as if the disk were full."""
    resource = pytest.importorskip("resource", reason="limits on file sizes are a matter of Unix")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))

    yield fill
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("what", ["record", "weights"])
def test_a_full_disk_is_said_and_the_older_record_stays(tmp_path, full_disk, what):
    store = Store(tmp_path)
    store.write("models", "k", {"a": "old"}, WEIGHTS)
    full_disk()
    new = ({"a": "new" * 5000}, None) if what == "record" else ({"a": "new"}, WEIGHTS)
    with pytest.raises(StoreError, match="Free some space"):
        store.write("models", "k", *new)
    assert store.read("models", "k") == {"a": "old"}
    assert [p.name for p in (tmp_path / "models").iterdir()] == ["k"]


@pytest.mark.parametrize("stamp", ['{"format": 99}', '{"other": 1}', "[]", "1", "not json", "",
                                   b"\xff\xfe\x00"])
def test_a_store_of_another_format_is_not_touched(tmp_path, stamp):
    (tmp_path / "store.json").write_bytes(stamp if isinstance(stamp, bytes) else stamp.encode())
    with pytest.raises(StoreError, match=f"another version.*this one writes {FORMAT}.*delete that folder"):
        Store(tmp_path)


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe"])
def test_a_damaged_record_is_named(tmp_path, content):
    store = Store(tmp_path)
    store.write("models", "k", {"a": 1})
    (tmp_path / "models" / "k" / "record.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"damaged.*delete that folder") as caught:
        store.read("models", "k")
    assert str(tmp_path / "models" / "k") in str(caught.value)


@pytest.mark.parametrize("kind", ["models", "locks"])
def test_a_file_where_a_folder_should_be_is_a_store_error(tmp_path, kind):
    store = Store(tmp_path)
    (tmp_path / kind).write_text("in the way")
    with pytest.raises(StoreError):
        store.lock("k") if kind == "locks" else store.read(kind, "k")


@pytest.mark.usefixtures("few_pictures")
@pytest.mark.parametrize("damage", ["cut short", "gone"])
def test_damaged_weights_are_named_with_what_to_do(tmp_path, damage):
    e = Experiment(method="retrain", overrides={"epochs": 1, "warmup_epochs": 0})
    path = run(e, tmp_path).folder / "model.safetensors"
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:1000])
    (tmp_path / "results" / e.key / "record.json").unlink()
    with pytest.raises(StoreError, match="delete") as caught:
        run(e, tmp_path)
    assert str(path.parent) in str(caught.value)


# --- what killed runs leave ---------------------------------------------------------------------------------


def test_stale_temporary_folders_are_swept_and_young_ones_are_not(tmp_path):
    store = Store(tmp_path)
    store.write("models", "first", {})
    for name, age in ((".tmp-old", STALE_SECONDS + 60), (".tmp-young", STALE_SECONDS - 60)):
        (tmp_path / "models" / name).mkdir()
        (tmp_path / "models" / name / "record.json").write_text("{}")
        os.utime(tmp_path / "models" / name, (time.time() - age,) * 2)
    store.write("models", "second", {})
    assert {p.name for p in (tmp_path / "models").iterdir()} == {"first", "second", ".tmp-young"}


def test_a_temporary_folder_that_goes_away_while_the_store_is_swept_is_no_error(tmp_path):
    store = Store(tmp_path)
    store.write("models", "first", {})
    # a name that is listed but not there when looked at, as when another process renames its folder in
    # between
    (tmp_path / "models" / ".tmp-gone").symlink_to(tmp_path / "nowhere")
    store.write("models", "second", {})
    assert store.read("models", "second") == {}


KILLED = """
import os, sys, time
from grmu import Experiment, run
where = sys.argv[2]

def stop(*_):
    print("here", flush=True)
    time.sleep(600)

if where == "before the rename":
    os.replace, real = (lambda a, b: stop() if "models" in str(b) else real(a, b)), os.replace
run(Experiment(method="retrain", overrides={"epochs": 2, "warmup_epochs": 0}), sys.argv[1],
    on_epoch=stop if where == "between epochs" else None)
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, few_pictures):
    e = Experiment(method="retrain", overrides={"epochs": 2, "warmup_epochs": 0})
    return run(e, tmp_path_factory.mktemp("whole"))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 is a matter of Unix")
@pytest.mark.parametrize("where", ["between epochs", "before the rename"])
def test_a_run_killed_at_any_point_is_done_again_as_if_nothing_had_been(tmp_path, undisturbed, where):
    process = start_python(KILLED, tmp_path, where)
    assert process.stdout.readline().strip() == "here", process.communicate()[1][-600:]
    process.kill()
    process.communicate()
    e = undisturbed.experiment
    assert Store(tmp_path).read("models", e.training_key) is None
    left = {p.name.split("-")[0] for p in tmp_path.glob("models/*")}
    assert left == (set() if where == "between epochs" else {".tmp"})
    again = run(e, tmp_path)
    assert again.metrics == undisturbed.metrics
    assert again.curves.equals(undisturbed.curves)
    assert same_state(again.model.state_dict(), undisturbed.model.state_dict())


def test_records_are_plain_json_that_other_programs_can_read(tmp_path):
    Store(tmp_path).write("results", "k", {"a": 0.1})
    assert json.loads((tmp_path / "results" / "k" / "record.json").read_text()) == {"a": 0.1}
    assert json.loads((tmp_path / "store.json").read_text()) == {"format": FORMAT}
