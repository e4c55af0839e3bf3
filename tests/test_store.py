"""The store: a record is there whole or not at all, whatever happens while it is written, and who reads what
was not written there is told so."""

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile

import pytest
import torch
import trees
from conftest import as_nobody, same_state, start_python

from grmu import Experiment, run
from grmu.experiments.run import run_keys
from grmu.experiments.store import FORMAT, Checkpoint, Store, StoreError, default_folder

WEIGHTS = {"weight": torch.arange(20_000, dtype=torch.float32).reshape(100, 200)}


def loaded(store: Store, key: str = "k") -> dict:
    return store.weights(key)


def test_a_record_comes_back_with_its_weights(tmp_path):
    store = Store(tmp_path / "deep" / "runs")
    assert store.read("models", "k") is None
    store.write("models", "k", {"curves": [1.5, None, float("inf")]}, WEIGHTS)
    assert store.read("models", "k")["curves"] == [1.5, None, float("inf")]
    assert same_state(loaded(store), WEIGHTS)
    assert Store(tmp_path / "deep" / "runs").read("models", "k") is not None


def test_a_record_holds_json_and_safetensors_only(tmp_path):
    Store(tmp_path).write("models", "k", {"a": 1}, WEIGHTS)
    files = [p.suffix for p in tmp_path.rglob("*") if p.is_file()]
    assert sorted(files) == [".json", ".json", ".safetensors"]


def test_writing_again_replaces_the_record_and_leaves_nothing_else(tmp_path):
    store, folder = Store(tmp_path), tmp_path / "models" / "k"
    store.write("models", "k", {"a": 1}, WEIGHTS)
    (folder / ".record.json-77.tmp").write_text("of a killed process")
    store.write("models", "k", {"a": 2}, {"weight": -WEIGHTS["weight"]})
    assert store.read("models", "k")["a"] == 2
    assert same_state(loaded(store), {"weight": -WEIGHTS["weight"]})
    assert sorted(p.suffix for p in folder.iterdir()) == [".json", ".safetensors"]
    store.write("models", "k", {"a": 3})
    assert [p.name for p in folder.iterdir()] == ["record.json"]


def test_weights_that_are_not_contiguous_are_stored_as_they_read(tmp_path):
    transposed = torch.arange(20_000.0).reshape(200, 100).T
    Store(tmp_path).write("models", "k", {}, {"weight": transposed})
    assert torch.equal(loaded(Store(tmp_path))["weight"], transposed)


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GRMU_STORE", "~/runs")
    assert Store().root == Store("~/runs").root == tmp_path / "runs"
    monkeypatch.delenv("GRMU_STORE")
    assert Store().root == default_folder()


# --- what cannot be used ------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_is_said_with_a_way_out(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "runs"):
        with pytest.raises(StoreError, match=r"cannot write runs to .*file.*store=.*GRMU_STORE"):
            Store(folder)


@pytest.mark.parametrize("stamp", ['{"format": 2}', '{"format": 99}', '{"other": 1}', "[]", "1", "not json",
                                   "", b"\xff\xfe\x00"])
def test_a_store_of_another_format_is_not_touched(tmp_path, stamp):
    (tmp_path / "store.json").write_bytes(stamp if isinstance(stamp, bytes) else stamp.encode())
    with pytest.raises(StoreError, match=f"of another format.*tart a new one.*rm -r {tmp_path}"):
        Store(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["store.json"]


def a_file(path):
    path.parent.mkdir(exist_ok=True)
    path.write_text("in the way")


@pytest.mark.parametrize(("where", "put"), [
    ("models", a_file), ("locks", a_file), ("checkpoints", a_file), ("models/k", a_file),
    ("locks/k.lock", lambda path: path.mkdir(parents=True)),
    ("models/k/record.json", lambda path: path.mkdir(parents=True)),
    ("checkpoints/k.state", lambda path: path.mkdir(parents=True))])
def test_files_in_the_way_of_folders_and_folders_in_the_way_of_files(tmp_path, where, put):
    store = Store(tmp_path)
    put(tmp_path / where)

    def use():
        Checkpoint(store, "k").save({})
        Checkpoint(store, "k").load()
        store.get_or_compute("models", "k", lambda: ({"a": 1}, WEIGHTS))

    with pytest.raises(StoreError, match=f"{tmp_path}.*(delete|choose a)"):
        use()


def test_a_shared_store_can_be_read_by_others_and_says_what_it_cannot_take():
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    open_to_all = tempfile.mkdtemp()  # others cannot enter tmp_path
    before = os.umask(0o022)
    os.chmod(open_to_all, 0o755)
    try:
        store = Store(open_to_all)
        store.get_or_compute("models", "k", lambda: ({"a": 1}, WEIGHTS))
        assert stat.S_IMODE((store.root / "models" / "k").stat().st_mode) == 0o755
        with as_nobody():
            others = Store(open_to_all)
            assert others.get_or_compute("models", "k", lambda: pytest.fail("made again"))["a"] == 1
            assert same_state(loaded(Store(open_to_all)), WEIGHTS)
            with pytest.raises(StoreError, match=r"Permission denied \(.*other.lock"):
                Store(open_to_all).get_or_compute("models", "other", lambda: ({}, None))
    finally:
        os.umask(before)
        shutil.rmtree(open_to_all)


# --- disks that are full ------------------------------------------------------------------------------------


@pytest.fixture
def full_disk():
    """From here on no file of this process may grow beyond 4 KiB, as if the disk were full."""
    resource = pytest.importorskip("resource", reason="limits on file sizes are a matter of Unix")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))

    yield fill
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("what", ["record", "weights", "checkpoint"])
def test_a_full_disk_is_said_and_what_was_there_stays(tmp_path, full_disk, what):
    store = Store(tmp_path)
    Checkpoint(store, "k").save({"a": "old"})
    store.write("models", "k", {"a": "old"}, WEIGHTS)
    Checkpoint(store, "k").save({"a": "old"})
    full_disk()
    new = {"record": lambda: store.write("models", "k", {"a": "new" * 5000}),
           "weights": lambda: store.write("models", "k", {"a": "new"}, {"weight": -WEIGHTS["weight"]}),
           "checkpoint": lambda: Checkpoint(store, "k").save({"a": WEIGHTS["weight"]})}
    with pytest.raises(StoreError, match="Free space"):
        new[what]()
    assert store.read("models", "k")["a"] == Checkpoint(store, "k").load()["a"] == "old"
    assert same_state(loaded(store), WEIGHTS)
    assert not list(tmp_path.rglob("*.tmp"))


FILLING = """
from grmu.experiments import Experiment, run
from grmu.experiments.store import StoreError
import shutil
e = Experiment(method="retrain", overrides={"epochs": 2, "warmup_epochs": 0})
for full in (True, False):
    try:
        print(run(e, sys.argv[1]).metrics["TA"])
    except StoreError as error:
        print(error)
        (Path(sys.argv[1]) / "ballast").unlink()
"""


def test_a_run_on_a_disk_that_fills_goes_on_when_there_is_space(tmp_path, undisturbed):
    code = ("from pathlib import Path\nfolder = Path(sys.argv[1]); folder.mkdir()\n"
            "import subprocess\n"
            "subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=600k', 'none', folder], check=True)\n"
            "(folder / 'ballast').write_bytes(bytes(400_000))\n" + FILLING)
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("no mount of one's own can be made here")
    process = start_python(code, tmp_path / "small", before=["unshare", "-rm"])
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    message, accuracy = out.splitlines()
    assert "No space left on device" in message
    assert "Free space" in message
    assert float(accuracy) == undisturbed.metrics["TA"]


UNWRITABLE = """
import os, subprocess
os.environ["TQDM_DISABLE"] = "1"
from grmu.__main__ import main

def mount(folder, *options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "none", folder], check=True)

def fill(folder):
    with open(folder + "/ballast", "wb", 0) as file:
        while file.write(bytes(4096)):
            pass

for folder, end in ((sys.argv[1], fill), (sys.argv[2], lambda folder: mount(folder, "remount", "ro"))):
    os.mkdir(folder)
    mount(folder, "size=40k")
    try:
        end(folder)
    except OSError:  # full
        pass
    os.environ |= {"GRMU_STORE": folder + "/runs", "GRMU_CACHE": folder + "/cache"}
    for command in sys.argv[3:]:
        assert main(command.split()) != 0, command
"""


def test_commands_on_a_disk_that_takes_nothing_end_in_a_sentence(tmp_path):
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("no mount of one's own can be made here")
    birds, small, disks = trees.waterbirds(tmp_path / "birds"), tmp_path / "grid.yaml", (
        tmp_path / "full", tmp_path / "read-only")
    small.write_text(f"output: {disks[0]}/sweep\n"
                     "blocks: [{datasets: [groundwear], methods: [miu], seeds: [0]}]")
    commands = ["demo --seeds 1", "audit --shadows 4 --jobs 1", f"sweep plan {small}",
                f"data waterbirds --root {birds} --cache"]
    process = start_python(UNWRITABLE, *disks, *commands, before=["unshare", "-rm"])
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    for disk, why, n in zip(disks, ("No space left|GB free", "Read-only file system"), (5, 3), strict=True):
        message = [line for line in (errors + out).splitlines() if str(disk) in line and re.search(why, line)]
        assert len(message) == n, errors + out  # the sweep's output is on the full disk in both rounds


# --- files that are not what was written --------------------------------------------------------------------


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


@pytest.fixture
def finished(tmp_path, undisturbed):
    """A store with a finished run; (store, experiment, its files, and where its checkpoint was)."""
    shutil.copytree(undisturbed.folder.parents[1], tmp_path, dirs_exist_ok=True)
    store, e = Store(tmp_path), undisturbed.experiment
    keys = run_keys(e)
    (weights,) = (tmp_path / "models" / keys.weights).glob("*.safetensors")
    return store, e, {"record": tmp_path / "results" / keys.result / "record.json", "weights": weights,
                      "trained": weights.parent / "record.json",
                      "checkpoint": Checkpoint(store, keys.weights).path}


def ask_for(store, e, what):
    """Have that file read: metrics, weights, or the state that a run begins with."""
    if what in ("weights", "trained", "checkpoint"):
        shutil.rmtree(store.folder("results", run_keys(e).result))
    if what == "checkpoint":
        shutil.rmtree(store.folder("models", run_keys(e).weights))
    return run(e, store.root)


@pytest.mark.parametrize("what", ["record", "weights", "trained", "checkpoint"])
@pytest.mark.parametrize("damage", ["first byte", "a byte in the middle", "last byte", "cut short", "empty"])
def test_a_byte_that_changed_is_noticed_and_the_file_named(finished, what, damage):
    store, e, files = finished
    path = files[what]
    if what == "checkpoint":
        Checkpoint(store, run_keys(e).weights).save({"rows": []})
    size = path.stat().st_size
    if damage in ("cut short", "empty"):
        os.truncate(path, size // 2 if damage == "cut short" else 0)
    else:
        flip(path, {"first byte": 0, "a byte in the middle": size // 2, "last byte": size - 1}[damage])
    with pytest.raises(StoreError, match="is damaged, or not what was written there: delete") as caught:
        ask_for(store, e, what)
    assert str(path) in str(caught.value)
    (path if what == "checkpoint" else path.parent / "record.json").unlink()  # as it says
    assert run(e, store.root).metrics["TA"] > 0


@pytest.mark.parametrize("content", ["[]", "[1]", "1", "null", '"text"', "{}", '{"metrics": {}}',
                                     '{"sha256": 7}', '{"sha256": "0", "metrics": {"TA": 1}}'])
def test_a_record_that_is_something_else_is_damaged(finished, content):
    store, e, files = finished
    files["record"].write_text(content)
    with pytest.raises(StoreError, match=r"record\.json is damaged"):
        run(e, store.root)


def test_a_number_in_a_record_cannot_be_edited(finished):
    store, e, files = finished
    record = json.loads(files["record"].read_text())
    record["metrics"]["TA"] = 0.999
    files["record"].write_text(json.dumps(record, indent=1))
    with pytest.raises(StoreError, match="is damaged, or not what was written there"):
        run(e, store.root)


def test_records_weights_and_checkpoints_of_another_run_are_rejected(finished, undisturbed):
    store, e, files = finished
    other = run(Experiment(method="retrain", seed=1, overrides=dict(e.overrides)), store.root)
    (weights,) = other.folder.glob("*.safetensors")
    theirs_keys = run_keys(other.experiment)
    for what, theirs in (("record", store.folder("results", theirs_keys.result) / "record.json"),
                         ("weights", weights), ("trained", other.folder / "record.json"),
                         ("checkpoint", Checkpoint(store, theirs_keys.weights).path)):
        for key in run_keys(e).weights, theirs_keys.weights:
            Checkpoint(store, key).save({"rows": []})
        before = files[what].read_bytes()
        shutil.copy(theirs, files[what])
        with pytest.raises(StoreError, match="not what was written there"):
            ask_for(store, e, what)
        shutil.copytree(undisturbed.folder.parents[1], store.root, dirs_exist_ok=True)
        files[what].write_bytes(before)


# --- several hands ------------------------------------------------------------------------------------------

TOGETHER = """
import os
import torch
from grmu.experiments.store import Store
store, children = Store(sys.argv[1]), []

def make():
    made.append(1)
    return {"by": os.getpid()}, {"weight": torch.rand(100, 200)}

while len(children) < 3 and (child := os.fork()):
    children.append(child)
made = []
store.get_or_compute("models", "once", make)
print("made once:", len(made), flush=True)
for _ in range(60):
    assert store.get_or_compute("models", "k", make, fresh=True)["by"] > 0
    assert torch.isfinite(store.weights("k")["weight"]).all()
if len(children) == 3:
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
"""


def test_processes_that_ask_for_or_replace_the_same_run_at_once_all_get_it_whole(tmp_path):
    process = start_python(TOGETHER, tmp_path)
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert sorted(line[-1] for line in out.splitlines()) == ["0", "0", "0", "1"]
    assert not list(tmp_path.rglob("*.tmp"))


# --- what killed runs leave ---------------------------------------------------------------------------------


KILLED = """
import json, os, time
from grmu import Experiment, run
import torch._dynamo  # which every fork would import
for line in sys.stdin:
    if os.fork() == 0:
        break
    os.wait()
    print("gone", flush=True)
else:
    sys.exit()
folder, where, fresh = json.loads(line)

def stop(*_):
    print(os.getpid(), flush=True)
    time.sleep(600)

os.replace, real = (lambda a, b: stop() if where in str(b) else real(a, b)), os.replace
run(Experiment(method="retrain", overrides={"epochs": 2, "warmup_epochs": 0}), folder,
    on_epoch=stop if where == "between epochs" else None, fresh=fresh)
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, few_pictures):
    e = Experiment(method="retrain", overrides={"epochs": 2, "warmup_epochs": 0})
    return run(e, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def kill():
    """Kill a process that runs an experiment in a folder, where it replaces such a file."""
    process = start_python(KILLED)

    def kill(folder, where, fresh=False):
        print(json.dumps([str(folder), where, fresh]), file=process.stdin, flush=True)
        at_work = process.stdout.readline().strip()
        assert at_work.isdigit(), process.communicate()[1][-600:]
        os.kill(int(at_work), signal.SIGKILL)
        assert process.stdout.readline() == "gone\n"

    yield kill
    process.communicate()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 is a matter of Unix")
@pytest.mark.parametrize("where", ["between epochs", ".safetensors", "record.json"])
def test_a_run_killed_at_any_point_is_done_again_as_if_nothing_had_been(tmp_path, undisturbed, kill, where):
    kill(tmp_path, where)
    e = undisturbed.experiment
    assert Store(tmp_path).read("models", run_keys(e).weights) is None
    again = run(e, tmp_path)
    assert again.metrics == undisturbed.metrics
    assert again.curves.equals(undisturbed.curves)
    assert same_state(again.model.state_dict(), undisturbed.model.state_dict())
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 is a matter of Unix")
def test_a_run_killed_while_it_replaces_another_leaves_that(finished, undisturbed, kill):
    store, e, _ = finished
    kill(store.root, "record.json", fresh=True)
    there = run(e, store.root)
    assert there.metrics == undisturbed.metrics
    assert same_state(there.model.state_dict(), undisturbed.model.state_dict())


def test_records_are_plain_json_that_other_programs_can_read(tmp_path):
    Store(tmp_path).write("results", "k", {"a": 0.1})
    assert json.loads((tmp_path / "results" / "k" / "record.json").read_text())["a"] == 0.1
    assert json.loads((tmp_path / "store.json").read_text()) == {"format": FORMAT}
