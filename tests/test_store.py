"""Test that the store keeps complete records only and rejects records that were changed."""

import io
import json
import os
import shutil
import signal

import pytest
import torch
from conftest import same_state, start_python

from grmu import Experiment, models, run
from grmu.__main__ import explanation
from grmu.data.files import default_store
from grmu.experiments.run import run_keys
from grmu.experiments.store import Checkpoint, Store, StoreError

PAYLOAD = bytes(range(256)) * 40
SHORT = Experiment(method="retrain", overrides={"epochs": 2, "warmup_epochs": 0})


def test_a_record_comes_back_with_its_payload_and_writing_again_leaves_nothing_else(tmp_path):
    store, folder = Store(tmp_path / "runs"), tmp_path / "runs" / "models" / "k"
    assert store.read("models", "k") is None
    store.write("models", "k", {"curves": [1.5, None, float("inf")]}, PAYLOAD)
    assert store.read("models", "k")["curves"] == [1.5, None, float("inf")]
    assert store.payload("models", "k") == PAYLOAD
    assert json.loads((folder / "record.json").read_text())["curves"][0] == 1.5  # plain JSON
    (folder / ".record.json-77.tmp").write_text("of a killed process")
    store.write("models", "k", {"a": 2}, PAYLOAD[::-1])
    assert (store.read("models", "k")["a"], store.payload("models", "k")) == (2, PAYLOAD[::-1])
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".safetensors"]


def test_the_store_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GRMU_STORE", "~/runs")
    assert Store().root == Store("~/runs").root == tmp_path / "runs"
    monkeypatch.delenv("GRMU_STORE")
    assert Store().root == default_store()


# --- disks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["models", "locks", "checkpoints", "models/k"])
def test_a_file_in_the_way_of_a_folder_is_named(tmp_path, where):
    store = Store(tmp_path)
    (tmp_path / where).parent.mkdir(exist_ok=True)
    (tmp_path / where).write_text("in the way")
    with pytest.raises(OSError, match=f"{tmp_path}/{where}"):
        store.get_or_compute("models", "k", lambda: (Checkpoint(store, "k").save({}), ({}, PAYLOAD))[1])


@pytest.mark.parametrize("what", ["record", "payload", "checkpoint"])
def test_a_full_disk_is_said_and_what_was_there_stays(tmp_path, what):
    resource, store = pytest.importorskip("resource"), Store(tmp_path)
    store.write("models", "k", {"a": "old"}, PAYLOAD)
    Checkpoint(store, "k").save({"a": "old"})
    new = {"record": lambda: store.write("models", "k", {"a": "new" * 5000}),
           "payload": lambda: store.write("models", "k", {"a": "new"}, PAYLOAD[::-1]),
           "checkpoint": lambda: Checkpoint(store, "k").save({"a": torch.zeros(5000)})}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))  # no file may grow beyond
    try:
        with pytest.raises(OSError, match=f"File too large: '{tmp_path}") as caught:
            new[what]()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "space" in explanation(caught.value)
    assert store.read("models", "k")["a"] == Checkpoint(store, "k").load()["a"] == "old"
    assert store.payload("models", "k") == PAYLOAD
    assert not list(tmp_path.rglob("*.tmp"))


# --- files that are not what was written --------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, few_pictures):
    return run(SHORT, tmp_path_factory.mktemp("whole"))


def file_of(store, what):
    """Return a file of a finished run or of its checkpoint, and remove files that would replace it."""
    keys = run_keys(SHORT)
    model, result = store.folder("models", keys.weights), store.folder("results", keys.result)
    if what == "result":
        return result / "record.json"
    shutil.rmtree(result)
    if what == "checkpoint":
        shutil.rmtree(model)
        Checkpoint(store, keys.weights).save({"rows": []})
        return next(store.folder("checkpoints", keys.weights).glob("*.state"))
    return model / "record.json" if what == "model" else next(model.glob("*.safetensors"))


@pytest.mark.parametrize("what", ["result", "model", "weights", "checkpoint"])
@pytest.mark.parametrize("damage", ["first byte", "middle byte", "cut short", "empty", "of another run"])
def test_a_file_that_was_changed_is_rejected_and_named(tmp_path, undisturbed, what, damage):
    shutil.copytree(undisturbed.folder.parents[1], tmp_path, dirs_exist_ok=True)
    path = file_of(Store(tmp_path), what)
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes({"first byte": bytes([content[0] ^ 4]) + content[1:], "cut short": content[:middle],
                      "middle byte": content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1:],
                      "empty": b"", "of another run": content.replace(b"e", b"f")}[damage])
    with pytest.raises(StoreError, match="is damaged or was changed: delete") as caught:
        run(SHORT, tmp_path)
    assert str(path) in str(caught.value)
    shutil.rmtree(path.parent)  # as it says
    assert run(SHORT, tmp_path).metrics == undisturbed.metrics


@pytest.mark.parametrize("content", ["[]", "1", "null", "{}", '{"metrics": {}}', '{"sha256": "0", "a": 1}'])
def test_a_record_that_is_something_else_is_damaged(tmp_path, content):
    Store(tmp_path).write("results", "k", {"a": 1})
    (tmp_path / "results" / "k" / "record.json").write_text(content)
    with pytest.raises(StoreError, match=r"record\.json is damaged"):
        Store(tmp_path).read("results", "k")


def test_a_record_of_another_key_is_damaged(tmp_path):
    Store(tmp_path).write("results", "k", {"a": 1})
    shutil.copytree(tmp_path / "results" / "k", tmp_path / "results" / "other")
    with pytest.raises(StoreError, match=r"record\.json is damaged"):
        Store(tmp_path).read("results", "other")


def test_a_checkpoint_is_never_code(tmp_path):
    torch.save(models.Network(), content := io.BytesIO())  # a pickled object of some class
    Store(tmp_path).write("checkpoints", "k", {"seconds": 0.0}, content.getvalue())
    with pytest.raises(Exception, match="Weights only load failed"):
        Checkpoint(Store(tmp_path), "k").load()


# --- several processes, and killed ones ---------------------------------------------------------------------

TOGETHER = """
import os
from grmu.experiments.store import Store
store, children, made = Store(sys.argv[1]), [], []

def make():
    made.append(1)
    return {"by": os.getpid()}, os.urandom(20_000)

while len(children) < 3 and (child := os.fork()):
    children.append(child)
store.get_or_compute("models", "once", make)
os.write(1, f"made once: {len(made)}\\n".encode())  # in one piece, whatever is buffered
for _ in range(60):
    assert store.get_or_compute("models", "k", make, fresh=True)["by"] > 0
if len(children) == 3:
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    assert len(store.payload("models", "k")) == 20_000
"""


def test_processes_that_ask_for_or_replace_the_same_run_at_once_all_get_it_whole(tmp_path):
    process = start_python(TOGETHER, tmp_path)
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert sorted(line[-1] for line in out.splitlines()) == ["0", "0", "0", "1"]
    assert not list(tmp_path.rglob("*.tmp"))


KILLED = """
import os, signal
from grmu import Experiment, run
folder, where, fresh = sys.argv[1], sys.argv[2], sys.argv[3] == "True"

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

os.replace, real = (lambda a, b: die() if where in str(b) else real(a, b)), os.replace
run(Experiment(method="retrain", overrides={"epochs": 2, "warmup_epochs": 0}), folder,
    fresh=fresh)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is a matter of Unix")
@pytest.mark.parametrize(("where", "fresh"), [(".safetensors", False), ("record.json", True),
                                              pytest.param("record.json", False, marks=pytest.mark.slow)])
def test_a_killed_run_is_done_again_as_if_nothing_had_been_and_leaves_an_older_one(tmp_path, undisturbed,
                                                                                   where, fresh):
    if fresh:
        shutil.copytree(undisturbed.folder.parents[1], tmp_path, dirs_exist_ok=True)
    process = start_python(KILLED, tmp_path, where, fresh)
    assert process.wait(600) == -signal.SIGKILL, process.stderr.read()
    assert (Store(tmp_path).read("models", run_keys(SHORT).weights) is not None) == fresh
    again = run(SHORT, tmp_path)
    assert again.metrics == undisturbed.metrics
    assert again.curves.equals(undisturbed.curves)
    assert same_state(again.model.state_dict(), undisturbed.model.state_dict())
