"""Reproduce the tables and figures of the paper, with your results beside the printed ones.

This is the command `python -m grmu paper`. The sweep (workflow/Snakefile) computes the missing runs. It
resumes after a kill, keeps the executed notebooks, and can use Slurm. All tables share the store in the
output folder.
"""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Mapping
from functools import partial
from html import escape
from itertools import chain
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import yaml

from grmu.analysis import claims, reproduced, results
from grmu.analysis.printed import ITEMS, TITLES, Item, Row
from grmu.analysis.released import membership_of
from grmu.batch import cost, sweep
from grmu.data import known, require
from grmu.data.files import write_whole
from grmu.experiments import Experiment, load_split, run
from grmu.experiments.run import run_keys
from grmu.experiments.store import Store

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>body {{ font: 16px sans-serif; margin: 2rem; color: #222; background: white }}
table {{ border-collapse: collapse }} th, td {{ text-align: left; padding: 0.2em 0.8em; white-space: nowrap }}
img {{ max-width: 100% }}</style>
<h1>{title}</h1>
<p>{words}</p>
<div style="overflow-x: auto">{table}</div>
<p><img alt="{caption}" src="data:image/png;base64,{figure}"></p>
<p>{caption}</p>
</html>
"""
WORDS = ("Percentages: our mean ± standard deviation over seeds (Δ: mean distance from RETRAIN + REWEIGHT of "
         "the same seed) | the paper's value. Bold: the smallest Δ of a column, or largest avg. gap, among "
         "the original model and methods that start from it. -: not printed. ≈: from printed means.")
SPEEDS = (5000.0, 1000.0)  # assumed pictures and texts per second of one GPU; `make bench` measures them
HOURS = f"""
GPU hours assume one GPU that trains on {SPEEDS[0]:,.0f} pictures or {SPEEDS[1]:,.0f} texts per second.
Some tables share runs. With --on embedded, a table needs no runs: its results come with the course."""


def paper(name: str | None, root: str | None, device: str, seeds: int, protocol: str, on: str | None,
          metrics: str, methods: list[str] | None, tiny: bool, output: str, rows: str | None,
          profile: str | None) -> int:
    """List the paper's tables and figures, reproduce one of them, or check the paper's claims.

    Args:
        name: A table or figure, "claims", or None to list them all.
        root: Folder of the data sets' files.
        device: "cpu" or "cuda".
        seeds: Number of seeds.
        protocol: As in `Experiment`.
        on: None for the paper's data sets, "embedded", or an embedded data set, whose results are shipped.
        metrics: "paper" computes MIA and EO as the released code does.
        methods: Methods to include besides the references. None includes all.
        tiny: Try one seed on a few generated pictures.
        output: Folder for the tables, the store and the notebooks.
        rows: Path of the runs.csv of a sweep, for the claims. None uses the shipped runs.
        profile: A Snakemake profile.

    Returns:
        1 if cells are missing at the end, else 0.

    Raises:
        ValueError: The name is unknown, there are too few seeds, or the rows cannot share a table.
        FileNotFoundError: Files of the data set are missing.
    """
    if name is None:
        print(listing(output, root, protocol, seeds).to_string(index=False))
        print(HOURS)
        return 0
    if name == "claims":
        judged = claims.all_claims(None if rows is None else claims.read_rows(rows))
        print(claims.claims_table(judged).to_markdown(), f"\n{claims.RULE}", sep="\n")
        return 0
    known("table or figure", name, (*ITEMS, "claims"))
    require(seeds > 1 or tiny, f"seeds must be at least 2, because ± needs two, got {seeds}.")
    item, folder = ITEMS[name].of_methods(methods), Path(output).resolve()
    if on is not None:
        table, missing = reproduced.shipped(item, on, metrics=metrics)
    else:
        if tiny:
            root, device, seeds, folder = str(folder / "tiny-celeba"), "cpu", 1, folder / "tiny"
            from grmu.data.originals.tiny import make_celeba

            make_celeba(Path(root))
        shared: dict[str, Any] = {"root": root, "protocol": protocol, "tiny": tiny}
        of_row = item.runs(range(seeds), **shared)
        check_files(of_row)
        compute(item, folder, device, seeds, profile, shared)
        find = partial(stored, folder=folder, device=device, metrics=metrics)
        table, missing = reproduced.gather(of_row, find, metrics)
    show(item, table, folder / "-".join(filter(None, [name, on, "" if metrics == "ours" else metrics])), on)
    if missing:
        print("Missing cells:", *reproduced.names_of(missing), sep="\n  ")
    return int(bool(missing))


def listing(output: str, root: str | None, protocol: str, seeds: int) -> pd.DataFrame:
    """Return a row for each table and figure: its data, what it costs, and how much is already computed."""
    store, lines = Store(Path(output) / "store"), []
    for item in ITEMS.values():
        runs = list(chain(*item.runs(range(seeds), root=root, protocol=protocol).values()))
        shipped = list(chain(*item.runs(range(5), "embedded").values()))
        jobs = {sweep.job_name(e): e for e in runs}
        amounts = cost.amounts(cost.runs(jobs, *SPEEDS))
        there = sum(is_stored(e, store) for e in runs)
        lines.append({"name": item.name, "shows": item.title,
                      "data": ", ".join(TITLES[name] for name in item.datasets), "runs": amounts["runs"],
                      "GPU hours": f"{amounts['GPU hours']:.1f}", "GB": f"{amounts['GB']:.0f}",
                      "computed": f"{there} of {len(runs)}",
                      "on embedded data": f"{len(results.find(shipped))} of {len(shipped)}"})
    return pd.DataFrame(lines)


def is_stored(e: Experiment, store: Store) -> bool:
    """Return whether the store has a finished run. If the data set's files are missing, it has none."""
    try:
        return (store.folder("results", run_keys(e).result) / "record.json").is_file()
    except (OSError, ValueError):
        return False


def check_files(of_row: Mapping[Row, list[Experiment]]) -> None:
    """Load each data set that a table needs.

    Raises:
        FileNotFoundError: Files are missing. The message says which, and where to get them.
    """
    for e in {e.dataset: e for e in chain(*of_row.values())}.values():
        try:
            load_split(e)
        except (FileNotFoundError, ValueError) as error:
            raise FileNotFoundError(f"{error} With --on embedded, the table needs no files.") from error


def compute(item: Item, folder: Path, device: str, seeds: int, profile: str | None,
            shared: Mapping[str, object]) -> None:
    """Compute the missing runs of an item with a sweep. If a run fails, its cells stay missing.

    Args:
        item: A table or a figure.
        folder: Output folder of the sweep.
        device: "cpu" or "cuda".
        seeds: Number of seeds.
        profile: A Snakemake profile, or None.
        shared: Fields that all experiments share.
    """
    grid = {"output": str(folder), "device": device, **shared,
            "blocks": [{"paper": [item.name], "seeds": list(range(seeds)), "methods": item.methods}]}
    path = folder / f"{item.name}.yaml"
    write_whole(path, yaml.safe_dump(grid))
    repository = sweep.REPOSITORY
    require((repository / "workflow").is_dir(), "only a checkout of the project can compute runs: clone it.")
    subprocess.run(["make", "--silent", "workflow/.venv/.installed"], cwd=repository, check=True)
    command = [str(repository / "workflow" / "sweep"), "--configfile", str(path), "--keep-going"]
    command += ["--profile", profile] if profile else []
    subprocess.run(command, cwd=repository, check=False)


def stored(experiments: list[Experiment], folder: Path, device: str, metrics: str) -> pd.DataFrame:
    """Return one row for each finished run among the experiments.

    Args:
        experiments: The experiments.
        folder: Folder that contains the store.
        device: "cpu" or "cuda".
        metrics: "paper" adds the MIA of the released code.
    """
    store, rows = Store(folder / "store"), []
    for e in experiments:
        if is_stored(e, store):
            row = run(e, store.root, device).row() | {"overrides": dict(e.overrides), "protocol": e.protocol}
            if metrics == "paper":
                row["MIA_released"] = membership_of(e, store.root, device)
            rows.append(row)
    return pd.DataFrame(rows)


def show(item: Item, rows: reproduced.Rows, stem: Path, on: str | None = None) -> None:
    """Print an item, and write it as Markdown, CSV and an HTML page with a figure.

    Args:
        item: A table or a figure.
        rows: The finished runs of each row.
        stem: Path of the files, without the suffix.
        on: As in `paper`.
    """
    matplotlib.use("agg")
    from grmu import plots

    table = reproduced.cells(item, rows)
    if table.empty:
        print(f"{item.words} is empty, because no runs have finished yet.")
        return
    shown, title = reproduced.layout(item, table), f"{item.words}: {item.title}"
    if on:
        title += f", on {'; '.join(table.panel.unique())}" if item.kind != "ratio" else ", on embedded data"
    print(f"{title}\n\n{shown.to_string(index=False)}\n\n{WORDS}")
    plots.use_style()
    figure = plots.paper_item(item, table)
    png, _ = plots.png_of(figure)
    html = shown.to_html(index=False, border=0)
    html = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", html)
    page = PAGE.format(title=escape(title), words=escape(WORDS), table=html,
                       figure=base64.b64encode(png).decode(), caption=escape(plots.caption_of(figure)))
    markdown = shown.map(lambda text: str(text).replace("|", "\\|")).to_markdown(index=False)
    for suffix, text in {"csv": table.to_csv(index=False), "md": f"# {title}\n\n{WORDS}\n\n{markdown}\n",
                         "html": page}.items():
        write_whole(Path(f"{stem}.{suffix}"), text)
    print(f"\nWrote {stem}.md, .csv and .html.")
