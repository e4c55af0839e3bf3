"""Provide what the tests share: small data sets, a small network and a shrunken Groundwear."""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import kernels
import pytest
import torch
from safetensors.torch import load_file
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from grmu import data, methods, metrics, training
from grmu.data import GroupedDataset, Splits, groundwear
from grmu.experiments import Experiment, Result
from grmu.models import Classifier

# these problems are tiny: threads that wait for each other cost more than they bring
torch.set_num_threads(1)

# what is imported while tests are collected stays: the garbage collector need not go through all of it, ever
gc.disable()

TESTS = Path(__file__).parent
REPOSITORY = TESTS.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-labs", action="store_true",
                     help="run every lab through the real autograder, not only one")
    parser.addoption("--kills", action="store_true", help="run the tests that kill sweeps for minutes")
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes")


def forks_kernels(config: pytest.Config) -> bool:
    """Return whether to fork kernels, which is useful for the lessons but safe only on Linux."""
    return bool(config.getoption("nbval", False)) and sys.platform == "linux"


def pytest_configure(config: pytest.Config) -> None:
    if forks_kernels(config) and not hasattr(config, "workerinput"):
        folder = Path(tempfile.mkdtemp())
        server = kernels.serve(folder)
        config.add_cleanup(server.communicate)  # closes its standard input
        config.add_cleanup(lambda: shutil.rmtree(folder))
    config.addinivalue_line("markers", "kills: kills sweeps for minutes, only with --kills")
    config.addinivalue_line("markers", "slow: takes minutes, only with --slow")
    config.addinivalue_line("markers", "all_labs: trains for minutes, only with --all-labs")


# The slowest files come first, so that both workers end at about the same time. Lessons come before the tests
# that load the lessons' runs from the store.
LONG = ("07_is_it_forgotten", "06_the_papers_tables", "test_labs", "03_mine", "08_sentences",
        "01_uneven_forgetting", "05_miu", "04_features_and_groups", "02_reweight", "09_unknown_groups",
        "12_who_leaves_next", "10_why_the_group_loses", "13_certified_removal", "00_start_here",
        "11_a_request_arrives", "test_unlearning", "test_paper", "test_checks", "test_guides",
        "test_real_data",
        "test_wheel", "test_workflow", "test_experiment", "test_structure", "test_batch", "test_checkpoints",
        "test_bench", "test_papermill", "test_audit", "test_results", "test_run_size")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the slow files first, and skip the tests that only other make targets run."""
    for mark in ("kills", "slow", "all_labs"):
        if not config.getoption(f"--{mark.replace('_', '-')}"):
            items[:] = [item for item in items if not item.get_closest_marker(mark)]
    place = {name: i for i, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONG)))


def pytest_collection_finish() -> None:
    """Collect only the garbage that tests create from now on."""
    gc.freeze()
    gc.enable()


def toy(counts: list[list[int]], n_features: int = 4, spread: float = 1.0, seed: int = 0) -> GroupedDataset:
    """Draw one Gaussian blob per group, with counts[y][a] samples in shuffled order."""
    rng = torch.Generator().manual_seed(seed)
    n_attributes = len(counts[0])
    y = torch.tensor([k for k, row in enumerate(counts) for a, n in enumerate(row) for _ in range(n)])
    a = torch.tensor([a for row in counts for a, n in enumerate(row) for _ in range(n)])
    centres = 3 * torch.randn(len(counts) * n_attributes, n_features,
                              generator=torch.Generator().manual_seed(99))
    x = centres[y * n_attributes + a] + spread * torch.randn(len(y), n_features, generator=rng)
    order = torch.randperm(len(y), generator=rng)
    names = [f"class {k}" for k in range(len(counts))], [f"place {k}" for k in range(n_attributes)]
    return GroupedDataset(x[order], y[order], a[order], *names, name="toy")


@pytest.fixture
def train() -> GroupedDataset:
    """Four groups of blobs, of which the last is the smallest."""
    return toy([[40, 20], [20, 12]])


@pytest.fixture
def split(train: GroupedDataset) -> data.ForgetSplit:
    """A split that forgets half of the smallest group."""
    return data.split_forget(train, 0.5, [(1, 1)])


def small_network(n_features: int = 4, n_classes: int = 2, width: int = 6, seed: int = 0) -> Classifier:
    """Return a classifier of float vectors with a BatchNorm, to make leaks into its statistics visible."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        backbone = nn.Sequential(nn.Linear(n_features, width), nn.BatchNorm1d(width), nn.ReLU())
        return Classifier(backbone, width, n_classes)


def context_of(train: GroupedDataset, split: data.ForgetSplit, config: training.TrainConfig, seed: int = 5,
               original: Classifier | None = None, model: Classifier | None = None,
               weights: Tensor | None = None, val: GroupedDataset | None = None) -> training.Context:
    """Return a training context with a small network."""
    if model is None:
        model = small_network(train.x.shape[1], train.n_classes)
    if original is not None:
        original.eval().requires_grad_(False)
    rng = torch.Generator().manual_seed(seed)
    return training.Context(model, original, train, split.retain, split.forget, rng, config, weights,
                            split.retain_index, val)


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Copy all weights and buffers."""
    return {k: v.clone() for k, v in model.state_dict().items()}


def weights_of(result: Result) -> dict[str, Tensor]:
    """Return the weights of a run in the store."""
    (path,) = result.folder.glob("*.safetensors")
    return load_file(path)


def same_state(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Return whether two states are equal to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def shrink_groundwear() -> None:
    """Load only Groundwear's first pictures and use a small forest, so that runs take milliseconds."""

    def few(name: str, root: str | Path | None) -> Splits:
        whole = groundwear.load(name, root)

        def head(part: GroupedDataset, sizes: tuple[int, ...]) -> GroupedDataset:
            return part.subset(torch.cat([(part.group == g).nonzero().squeeze(1)[:n]
                                          for g, n in enumerate(sizes)]))

        return Splits(head(whole.train, (70, 60, 40, 24)), head(whole.val, (20,) * 4),
                      head(whole.test, (25,) * 4),
                      whole.forget_group)

    def small(seed: int) -> BaseEstimator:
        return attacker(seed).set_params(n_estimators=5)

    attacker = metrics.membership_attacker
    data.LOADERS["groundwear"], metrics.membership_attacker = few, small


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """The store for the tests of this file."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def few_pictures():
    """Let experiments on "groundwear" load only its first few pictures."""
    loader, attacker = data.LOADERS["groundwear"], metrics.membership_attacker
    shrink_groundwear()
    yield
    data.LOADERS["groundwear"], metrics.membership_attacker = loader, attacker


@contextmanager
def few_epochs() -> Iterator[None]:
    """Train all models for two epochs, in tests that do not depend on accuracy."""
    from grmu.analysis import shadows

    preset = Experiment.preset.func
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Experiment, "preset", property(lambda e: preset(e) | {"epochs": 2}))
        patch.setattr(shadows, "OVERFITTING_STEPS", 5)
        yield


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> Path:
    """A folder of finished runs that all tests may share."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def build_script() -> ModuleType:
    """The script data/build_groundwear.py as a module."""
    spec = importlib.util.spec_from_file_location("build_groundwear",
                                                  REPOSITORY / "data" / "build_groundwear.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SHRUNKEN = f"import sys; sys.path.insert(0, {str(TESTS)!r}); import conftest; conftest.shrink_groundwear()\n"


def start_python(code: str, *arguments: object, before: Sequence[str] = (),
                 prelude: str = SHRUNKEN) -> subprocess.Popen:
    """Start a fresh interpreter that runs `code` on the shrunken Groundwear.

    Args:
        code: The program.
        arguments: The values of sys.argv[1:].
        before: The start of the command line, such as `unshare`.
        prelude: Code that runs before `code`.
    """
    environment = {k: v for k, v in os.environ.items() if k != "GRMU_STORE"}
    return subprocess.Popen([*before, sys.executable, "-c", prelude + code, *map(str, arguments)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, cwd=REPOSITORY, env=environment)


@pytest.fixture(autouse=True)
def registry_stays() -> Iterator[None]:
    """Forget the methods that a test registers."""
    before = dict(methods.registry)
    yield
    methods.registry.clear()
    methods.registry.update(before)
