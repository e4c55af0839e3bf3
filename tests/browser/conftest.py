"""A real JupyterLab and a real Chromium, on this machine alone. `make test-browser` runs these."""

import importlib.util
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from grmu.show.kernels import kernel_environment

REPOSITORY = Path(__file__).parents[2]
NOTEBOOKS = REPOSITORY / "notebooks"
SCREENS = REPOSITORY / "runs" / "browser"  # a screenshot a step, to be looked at
WCAG = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
        "preload": False}  # or it fetches what a style sheet imports, from the wrong folder
LOCAL = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")


def pytest_collection_modifyitems(items):
    """Skip all of it, with the reason, where there is no browser."""
    reason = missing()
    for item in items if reason else ():
        item.add_marker(pytest.mark.skip(reason=reason))


def missing() -> str:
    """What is not there; empty if nothing."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed: pip install -e '.[browser]'"
    return "" if shutil.which("chromium") else "there is no chromium here (Debian's package chromium has it)"


@dataclass
class Server:
    """A server in a process group of its own."""

    process: subprocess.Popen
    url: str
    log: Path
    folder: Path | None = None  # of its notebooks

    def stop(self) -> None:
        """End it, and check that nothing of it is left."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        deadline = time.monotonic() + 120
        while (left := group_members(self.process.pid)) and time.monotonic() < deadline:
            time.sleep(0.2)
        if left:
            os.killpg(self.process.pid, signal.SIGKILL)
        assert not left, f"left behind: {left}"


def group_members(group: int) -> list[str]:
    """Command lines of the processes of a group."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True,
                            check=True).stdout.splitlines()
    rows = (line.split(None, 2) for line in listed)
    return [args for pgid, stat, args in rows if int(pgid) == group and not stat.startswith("Z")]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(command: list[str], url: str, log: Path, **environment: str) -> Server:
    """Start a server and wait until it answers."""
    env = kernel_environment() | environment
    with log.open("w") as file:
        process = subprocess.Popen([sys.executable, "-m", *command], cwd=REPOSITORY, env=env, stdout=file,
                                   stderr=file,
                                   start_new_session=True)
    server, deadline = Server(process, url, log), time.monotonic() + 600
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=60):
                return server
        except urllib.error.HTTPError:
            return server  # it answers
        except OSError:
            time.sleep(0.3)
    os.killpg(process.pid, signal.SIGKILL)
    raise AssertionError(f"no answer from {command[0]}:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """JupyterLab over a copy of the lessons, their cells without numbers, with a token."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(NOTEBOOKS, folder / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    for path in folder.glob("notebooks/*.ipynb"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r'"execution_count": \d+', '"execution_count": null', text), encoding="utf-8")
    settings = folder / "settings" / "@jupyterlab"
    for name, values in (("notebook-extension/tracker",
                          {"windowingMode": "none", "autoStartDefaultKernel": True}),
                         ("apputils-extension/notification",
                          {"fetchNews": "false", "checkForUpdates": False})):
        path = settings / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    port, token = free_port(), secrets.token_hex(16)
    command = ["jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}",
               f"--IdentityProvider.token={token}",
               f"--ServerApp.root_dir={folder / 'notebooks'}",
               f"--LabApp.user_settings_dir={folder / 'settings'}",
               f"--LabApp.workspaces_dir={folder / 'workspaces'}", "--LabApp.news_url=None", "--allow-root"]
    server = start(command, f"http://127.0.0.1:{port}/lab?token={token}", folder / "lab.log",
                   JUPYTER_CONFIG_DIR=str(folder / "config"), JUPYTER_RUNTIME_DIR=str(folder / "runtime"))
    server.folder = folder / "notebooks"
    yield server
    server.stop()


@pytest.fixture(scope="module")
def chromium():
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


def keep(name, **numbers):
    """Write what was measured beside the screenshots; no test asserts a time."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    (SCREENS / f"{name}.json").write_text(json.dumps(numbers, indent=1))
    print(name, numbers)


def check_accessible(page, part=None):
    """Let axe look at a page, or at a part of it: nothing against WCAG 2.2 AA."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page, context=part, options=WCAG).response
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found["violations"]] == []
    assert len(found["passes"]) > 15


@dataclass
class Watched:
    """A page, and what it did that it should not: console errors, requests to other machines."""

    page: object
    name: str
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    shots: int = 0

    def shot(self, what: str) -> None:
        """Keep a screenshot of this step."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.shots += 1
        self.page.screenshot(path=SCREENS / f"{self.name}-{self.shots}-{what}.png")


@pytest.fixture
def watched(request):
    """A fresh browser page; whatever it complains of, or asks other machines for, fails the test."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 1500})
        page.set_default_timeout(240_000)
        seen = Watched(page, request.node.name.removeprefix("test_"))
        page.on("console", lambda m: seen.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: seen.errors.append(str(e)))
        page.on("request", lambda r: None if r.url.startswith(LOCAL) else seen.outside.append(r.url))
        yield seen
        browser.close()
    assert not seen.outside
    assert not seen.errors
