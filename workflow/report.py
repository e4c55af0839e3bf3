"""Report on a sweep, finished or not, as tables.csv, runs.csv and index.html: python report.py FOLDER."""

from __future__ import annotations

import json
import sys
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from grmu.analysis import reproduced, tables
from grmu.data.files import write_whole

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Sweep: {done} of {n} runs</title>
<style>body {{ font: 16px sans-serif; margin: 2rem }} table {{ border-collapse: collapse }}</style>
<h1>Sweep: {done} of {n} runs are done</h1>
<p><a href="runs.csv">runs.csv</a> and <a href="tables.csv">tables.csv</a> have all numbers. The tables below
show percentages: mean ± standard deviation over seeds. Closer to the gold standard is better.</p>
{unfinished}
{sections}
<h2>Notebooks</h2>
<ul>
{notebooks}
</ul>
</html>
"""
KEYS = ["dataset", "method", "reweight", "ratio", "groups", "seed", "protocol", "overrides"]


class Sweep:
    """The folder of a sweep.

    Args:
        folder: Folder with plan.json.

    Raises:
        FileNotFoundError: The folder has no plan.json.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "plan.json").is_file():
            raise FileNotFoundError(f"{folder} has no plan.json: name the output folder of a sweep.")
        self.folder, self.homes = folder, {}
        for job in json.loads((folder / "plan.json").read_text()):
            path = "/".join(f"{name}~{value}" for name, value in job["names"].items())
            self.homes[folder / "runs" / path] = job
        self.done = [home for home, job in self.homes.items() if self.is_done(home, job)]

    def is_done(self, home: Path, job: dict[str, Any]) -> bool:
        """Return whether a job is finished with the settings and the code of the current plan."""
        files = [home / name for name in ("key", "metrics.json", "notebook.ipynb")]
        return all(file.is_file() for file in files) and files[0].read_text().strip() == job["key"]

    def rows(self, homes: list[Path]) -> pd.DataFrame:
        """Return the runs of the finished jobs among these, each run once."""
        found = {}
        for home in homes:
            runs = json.loads((home / "metrics.json").read_text())["runs"] if home in self.done else []
            for run in runs:
                run |= {"overrides": json.dumps(run["overrides"]), "protocol": run.get("protocol", "ours")}
                found.setdefault(tuple(run[name] for name in KEYS), run)
        return pd.DataFrame(found.values())

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the rows of each table: the methods of one data set, split and setting, and references."""
        homes: dict[str, list[Path]] = {}
        for home, job in self.homes.items():
            if job["after"]:
                names, settings = job["names"], job["parameters"]["overrides"]
                title = f"{names['dataset']}, split {names['split']}, protocol {names['protocol']}"
                title += tables.changed(settings)
                homes.setdefault(title, []).append(home)
        found = {title: self.rows(of_table) for title, of_table in homes.items()}
        return {title: rows for title, rows in found.items() if len(rows)}

    def unfinished(self) -> dict[Path, str]:
        """Return the reason for each job that is not done."""
        return {home: why(home) for home in self.homes if home not in self.done}


def why(home: Path) -> str:
    """Return why a job is not done."""
    notebook, log = home / "unfinished.ipynb", home / "run.log"
    text = notebook.read_text() if notebook.is_file() else ""
    try:
        cells = json.loads(text)["cells"] if text else []
    except ValueError:
        return "stopped while the notebook was being saved"
    for output in [output for cell in cells for output in cell.get("outputs", [])]:
        if output["output_type"] == "error":
            return f"failed: {output['ename']}: {output['evalue']}"
    lines = [line for line in log.read_text().splitlines() if "rror" in line] if log.is_file() else []
    if lines:
        return f"failed: {lines[-1].strip()}"
    return "stopped before the end" if cells else "not started"


def beside_the_paper(rows: pd.DataFrame) -> str:
    """Return a table beside the paper's as HTML, or "" if the paper prints no such table."""
    beside = reproduced.beside_paper(rows) if set(rows.overrides) == {"{}"} else rows[:0]
    return f"<p>Our mean ± sd (Δ) | the paper's:</p>{beside.to_html(index=False)}" if len(beside) else ""


def write(folder: Path) -> str:
    """Write the three files about the finished jobs, and return a summary that lists the others."""
    sweep = Sweep(folder)
    unfinished, found = sweep.unfinished(), sweep.tables()
    summaries = {title: tables.summary(rows) for title, rows in found.items()}
    runs = sweep.rows(list(sweep.homes)).drop(columns=["accuracy", "settings"], errors="ignore")
    write_whole(folder / "runs.csv", runs.to_csv(index=False))
    write_whole(folder / "tables.csv", pd.concat(summaries).to_csv() if summaries else "method\n")

    def item(home: Path, text: str = "") -> str:
        name = "notebook.ipynb" if home in sweep.done else "unfinished.ipynb"
        path = escape(str((home / name).relative_to(folder)).replace("=", "%3D"))
        return f'<li><a href="{path}">{escape(str(home.relative_to(folder / "runs")))}</a>{escape(text)}</li>'

    sections = [f"<h2>{escape(title)}</h2>{tables.show(summary).to_html()}"
                f"<p>{escape(tables.verdict(found[title]))}</p>{beside_the_paper(found[title])}"
                for title, summary in summaries.items()]
    listed = "\n".join(item(home, f": {reason}") for home, reason in unfinished.items())
    write_whole(folder / "index.html", PAGE.format(
        done=len(sweep.done), n=len(sweep.homes), sections="\n".join(sections),
        unfinished=f'<h2>Not done</h2><ul>{listed}</ul>' if listed else "",
        notebooks="\n".join(item(home) for home in sweep.done)))
    lines = [f"{len(sweep.done)} of {len(sweep.homes)} runs are done. "
             f"Report: {(folder / 'index.html').resolve().as_uri()}"]
    if unfinished:
        lines.append("These are not; repeat the command to continue with them:")
    for home, reason in unfinished.items():
        lines.append(f"  {home.relative_to(folder / 'runs')}: {reason}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(write(Path(sys.argv[1])))
