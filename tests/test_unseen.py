"""The project's behaviour: what earns its points on a task that no method has seen, and what does not."""

import numpy as np
import pytest
import torch
from lab_cells import Lab, Run, known_answers

from grmu import data, methods
from grmu.course import marking, unseen
from grmu.course.asking import encode

ANSWERS = known_answers("project")
CHECKS = marking.load("project").checks
BEHAVIOUR = ("test_forgets", "test_keeps")
QUICK = ("empty methods", "the original's weights")  # of ATTACKS
NOTHING = '    """A method that does not unlearn."""\n'
ATTACKS = {
    "empty methods": ("", "at least"),
    "losses that are zero": ("""
    forget_epochs = 5

    def forget_loss(self, batch):
        return 0 * self.model(batch.x).sum()

    def retain_loss(self, batch):
        return 0 * self.model(batch.x).sum()
""", "at least"),
    "the original's weights": ("""
    def after_step(self):
        self.model.load_state_dict(self.original.state_dict())

    def retain_loss(self, batch):
        return self.model.eval()(batch.x).sum()
""", "unchanged"),
    "the original's weights, a little moved": ("""
    def after_step(self):
        self.model.load_state_dict(self.original.state_dict())
        for p in self.model.parameters():
            p.data.mul_(1.001)
""", "at least"),
    "a network from the store": ("""
    def setup(self, context):
        super().setup(context)
        import grmu
        stored = grmu.run(grmu.Experiment(method="retrain", dataset="groundwear-many", tiny=True)).model
        self.kept = {k: v.clone() for k, v in stored.backbone.state_dict().items()}

    def after_step(self):
        self.model.backbone.load_state_dict(self.kept)
""", "nothing in common"),
    "training from scratch": ("""
    def setup(self, context):
        super().setup(context)
        from grmu import models
        from grmu.training import TrainConfig, train
        from dataclasses import replace
        from grmu.course.unseen import FromScratch, PRETRAINING
        fresh = models.build(models.Network(), context.train, 5)
        train(FromScratch(), replace(context, model=fresh, config=replace(PRETRAINING, epochs=4,
                                                                          warmup_epochs=1)))
        context.model.load_state_dict(fresh.state_dict())
""", "nothing in common"),
    "the test set": ("""
    forget_epochs = 2

    def setup(self, context):
        super().setup(context)
        from grmu import data
        from grmu.course.unseen import CLASSES
        test = data.load("groundwear-many").test
        names = [test.class_names.index(name) for name in CLASSES]
        rows = torch.isin(test.y, torch.tensor(names)).nonzero().squeeze(1)
        self.x, self.y = test.x[rows], torch.bucketize(test.y[rows], torch.tensor(names))

    def forget_loss(self, batch):
        return -nn.functional.cross_entropy(self.model(batch.x), batch.y)

    def retain_loss(self, batch):
        rows = torch.randint(len(self.y), (128,), generator=self.context.rng)
        seen = nn.functional.cross_entropy(self.model(self.x[rows]), self.y[rows])
        return super().retain_loss(batch) + seen
""", "knows more about the test pictures"),
    "a probe that answers by itself": ("""

import grmu.course.unseen
grmu.course.unseen.unlearn = lambda method, inputs: inputs["pretrain"]
""", "unchanged"),
    "weights that are no numbers": ("""

import grmu.course.unseen
grmu.course.unseen.unlearn = lambda method, inputs: {
    k: v * float("nan") for k, v in inputs["pretrain"].items()}
""", "NaN or infinite"),
}


@pytest.fixture(scope="module")
def lab():
    return Lab("project")


def verdicts(run, checks=BEHAVIOUR, secret="public"):
    return {name: marking.verdict(CHECKS[name], run.ask, marking.generator(secret, "project", name))
            for name in checks}


def known(check):
    """The seed of a check's task, in public: its reference is trained once for all tests."""
    return int(marking.generator("public", "project", check).integers(2**31))


def submission(lab, body):
    source = ANSWERS.FILE + "\n@dataclass\nclass MyMethod(Method):\n" + NOTHING + body + ANSWERS.TAIL
    return Run(lab, {"method": source, "memorised_settings": "memorised_settings = {}"})


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.all_labs)
                                  for name in ATTACKS])
def test_an_attack_gets_nothing_for_behaviour_and_is_told_why(lab, name, tmp_path, monkeypatch):
    body, why = ATTACKS[name]
    monkeypatch.setenv("GRMU_STORE", str(tmp_path))
    kept = unseen.unlearn
    monkeypatch.setattr(unseen, "unlearn", kept)  # put back after an attack has changed it
    for check in BEHAVIOUR:
        unseen.reference(known(check))  # in another process, an attack does not reach this one's
    run = submission(lab, body)
    messages = verdicts(run)
    assert all(why in message for message in messages.values()), messages


def test_the_store_holds_nothing_of_a_task(lab, tmp_path, monkeypatch):
    monkeypatch.setenv("GRMU_STORE", str(tmp_path))
    assert verdicts(Run(lab, ANSWERS.SECOND), ["test_forgets"]) == {"test_forgets": ""}
    assert not list(tmp_path.iterdir())


@pytest.mark.all_labs
@pytest.mark.parametrize(("name", "settings"), [
    ("miu", {"mine_lr": 0.01, "first_updates": 500, "later_updates": 100}), ("scrub", {"forget_epochs": 1})])
def test_shipped_methods_pass(lab, name, settings):
    run = Run(lab)
    run.names.update(MyMethod=methods.get(name), memorised_settings=settings)
    run.done |= {run.place["method"], run.place["memorised_settings"]}
    assert verdicts(run) == dict.fromkeys(BEHAVIOUR, "")


def test_what_a_method_is_given_holds_no_test_picture_and_no_number_of_the_task():
    task, _ = unseen.reference(known("test_forgets"))
    inputs = unseen.inputs_of(task)
    encode(inputs)
    pictures = {tuple(x.flatten().tolist()) for x in inputs["x"]}
    assert not pictures & {tuple(x.flatten().tolist()) for x in task.test.x}
    assert inputs["seed"] != task.seeds[0]
    assert set(inputs["forget"].tolist()) <= set(range(len(inputs["x"])))
    assert len(inputs["forget"]) == round(unseen.RATIO * unseen.EACH)


def test_tasks_of_other_seeds_differ_and_all_are_memorised():
    (one, _), (other, _) = (unseen.reference(known(check)) for check in BEHAVIOUR)
    tasks = one, unseen.draw(np.random.default_rng(known(BEHAVIOUR[0]))), other
    assert torch.equal(tasks[0].train.x, tasks[1].train.x)
    assert not torch.equal(tasks[0].train.x, tasks[2].train.x)
    assert all(torch.equal(tasks[0].pretrain[k], tasks[1].pretrain[k]) for k in tasks[0].pretrain)
    for task in tasks[1:]:
        assert len(task.train) == 6 * unseen.EACH
        measured = unseen.measure(task, task.pretrain)
        assert measured["RA"] == measured["UA"] == 100
        assert 50 < measured["TA"] < 80
        assert set(task.train.attribute_names) < set(data.load(unseen.DATASET).train.attribute_names)
