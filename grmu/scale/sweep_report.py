"""What a sweep found, finished or not: tables of the runs that are done, the others' names, and a report.

Everything is read from the sweep's folder: plan.json, and what the executed notebooks wrote under runs/.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from grmu.analysis import tables
from grmu.analysis.names import label
from grmu.analysis.results import KEYS, select
from grmu.data.files import write_whole
from grmu.metrics import METRICS
from grmu.scale.batch import rank
from grmu.scale.demo import write_page
from grmu.scale.sweep import is_done

TEMPLATE = Path(__file__).with_name("sweep_report.html")


@dataclass(frozen=True)
class Section:
    """One table: the runs of a data set, ratio, choice of groups and settings, beside their references.

    jobs: names.  rows: as `grmu.run_all` gives, of the jobs that are done.
    """

    title: str
    jobs: list[str]
    rows: pd.DataFrame

    @property
    def comparable(self) -> pd.DataFrame:
        """The rows of the seeds that have the gold standard."""
        if self.rows.empty:
            return self.rows
        gold = select(self.rows, method=tables.GOLD[0], reweight=tables.GOLD[1])
        return self.rows[self.rows.seed.isin(gold.seed)]

    def summary(self) -> pd.DataFrame | None:
        """`tables.summary` of these rows; None without a gold standard."""
        return None if self.comparable.empty else tables.summary(self.comparable)

    def verdict(self) -> str:
        """`tables.verdict` of these rows; empty while a reference is missing."""
        rows = self.comparable
        done = set() if rows.empty else set(zip(rows.method, rows.reweight, strict=True))
        return tables.verdict(rows) if done >= {("pretrain", False), ("retrain", False), tables.GOLD} else ""


def read_plan(folder: Path) -> dict[str, dict[str, Any]]:
    """The jobs of a sweep by name: "after" and "parameters"; FileNotFoundError if the folder holds none."""
    if not (folder / "plan.json").is_file():
        raise FileNotFoundError(f"{folder} holds no plan.json: it is not the folder of a sweep.")
    try:
        jobs: dict[str, dict[str, Any]] = json.loads((folder / "plan.json").read_text())["jobs"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / 'plan.json'} is damaged ({error}): write it again with `python -m grmu "
                         "sweep plan`.") from error
    return jobs


def unfinished(folder: Path) -> dict[str, str]:
    """The jobs that are not done, each with the reason, in one sentence."""
    plan, reasons = read_plan(folder), {}
    for job, content in plan.items():
        if not is_done(folder, job):
            missing = [first for first in content["after"] if not is_done(folder, first)]
            own = _error(folder / "runs" / job)
            reasons[job] = own or (f"not begun, for {missing[0]} is not done" if missing else "not begun")
    return reasons


def _error(home: Path) -> str:
    """Why a job's notebook ended before its end; empty if it was never begun."""
    notebook, log = home / "unfinished.ipynb", home / "run.log"
    if notebook.is_file():
        try:
            cells = json.loads(notebook.read_text())["cells"]
        except ValueError:
            return "stopped while its notebook was being written"
        for output in (output for cell in cells for output in cell.get("outputs", ())):
            if output["output_type"] == "error":
                return f"failed: {output['ename']}: {output['evalue']}"
    lines = log.read_text(errors="replace").split("\n") if log.is_file() else []
    errors = [line.strip() for line in lines if "Error" in line or "error" in line]
    return f"failed: {errors[-1]}" if errors else "stopped before its end" if notebook.is_file() else ""


def sections(folder: Path) -> list[Section]:
    """The tables of a sweep, in the order of its plan."""
    keys: dict[tuple[str, float, str, str], list[str]] = {}
    plan = read_plan(folder)
    for job, content in plan.items():
        p = content["parameters"]
        if p["method"] != "pretrain":
            keys.setdefault((p["dataset"], p["ratio"], str(p["groups"]), json.dumps(p["overrides"])),
                            []).append(job)
    parts = []
    for (dataset, ratio, groups, overrides), jobs in keys.items():
        if not any(plan[job]["after"] for job in jobs) and sum(key[:3] == (dataset, ratio, groups)
                                                               for key in keys) > 1:
            continue  # references alone: they are in the tables of the changed methods
        title = f"{dataset}, ratio {ratio:g}"
        if groups != "default":
            n = groups.count("[") - 1
            title += f", {groups}" if groups == "uniform" or n == 1 else f", {n} groups"
        title += "".join(f", {name}={value}" for name, value in json.loads(overrides).items())
        needed = list(dict.fromkeys(first for job in jobs for first in (*plan[job]["after"], job)))
        parts.append(Section(title, needed, _rows(folder, needed)))
    return parts


def _rows(folder: Path, jobs: list[str]) -> pd.DataFrame:
    """Every run that these jobs' notebooks hold, once, references first: a method's job holds them, too."""
    runs: dict[str, dict[str, Any]] = {}
    for job in jobs:
        if is_done(folder, job):
            for run in json.loads((folder / "runs" / job / "metrics.json").read_text())["runs"]:
                runs.setdefault(json.dumps([run[name] for name in KEYS]), {"job": job} | run)
    ordered = sorted(runs.values(), key=lambda run: rank(run["method"]))
    return pd.DataFrame(ordered).astype(dict.fromkeys(METRICS, float)) if ordered else pd.DataFrame()


def write(folder: Path) -> str:
    """Of what is done: runs.csv (a row a run), tables.csv (summaries), index.html; says what is missing.

    Raises:
        FileNotFoundError: the folder holds no sweep.
    """
    parts, missing = sections(folder), unfinished(folder)
    summaries = [s.summary() for s in parts]
    _write_tables(folder, parts, summaries)
    _write_page(folder, parts, summaries, missing)
    n = len(read_plan(folder))
    lines = [f"{n - len(missing)} of {n} runs are done. Report: {(folder / 'index.html').resolve().as_uri()}"]
    if missing:
        lines += ["These are not; the same command goes on with them:",
                  *(f"  {job}: {why}" for job, why in missing.items())]
    return "\n".join(lines)


def _write_tables(folder: Path, parts: list[Section], summaries: list[pd.DataFrame | None]) -> None:
    done = [s.rows.drop(columns=["accuracy", "settings", "job"]) for s in parts if len(s.rows)]
    runs = pd.concat(done) if done else pd.DataFrame(columns=KEYS)
    for column in runs.columns.intersection(["overrides", "by_group"]):
        runs[column] = runs[column].map(json.dumps)
    runs = runs.drop_duplicates(KEYS)
    by_title = {s.title: table for s, table in zip(parts, summaries, strict=True) if table is not None}
    whole = pd.concat(by_title, names=["table"]) if by_title else pd.DataFrame(columns=["table", "method"])
    write_whole(folder / "runs.csv", runs.to_csv(index=False))
    write_whole(folder / "tables.csv", whole.to_csv())


def _write_page(folder: Path, parts: list[Section], summaries: list[pd.DataFrame | None],
                missing: dict[str, str]) -> None:
    plan = read_plan(folder)
    shown = [{"title": s.title, "jobs": s.jobs, "verdict": s.verdict(),
              "missing": [job for job in s.jobs if job in missing],
              "table": "" if table is None else tables.show(table).to_html()}
             for s, table in zip(parts, summaries, strict=True)]
    parameters = {job: content["parameters"] for job, content in plan.items()}
    names = {job: f"{label(p['method'], p['reweight'])}, seed {p['seed']}" for job, p in parameters.items()}
    pages = {job: _page(folder, job) for job in plan}
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True,
                                     undefined=jinja2.StrictUndefined)
    write_whole(folder / "index.html", environment.from_string(TEMPLATE.read_text()).render(
        folder=folder.name, n=len(plan), missing=missing, parts=shown, names=names, pages=pages))


def _page(folder: Path, job: str) -> str:
    """The path in the folder of the job's notebook as a web page, made if it is older; empty without one."""
    home = folder / "runs" / job
    notebook = home / ("notebook.ipynb" if is_done(folder, job) else "unfinished.ipynb")
    page = notebook.with_suffix(".html")
    if not notebook.is_file():
        return ""
    if not page.is_file() or page.stat().st_mtime_ns <= notebook.stat().st_mtime_ns:
        try:
            write_page(notebook, page)
        except ValueError:  # cut off while it was written
            return ""
    return str(page.relative_to(folder))
