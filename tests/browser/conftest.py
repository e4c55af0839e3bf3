"""Start a real JupyterLab and a real Chromium without network for `make test-browser`."""

import importlib.util
import json
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from notebooks import kernel_environment

REPOSITORY = Path(__file__).parents[2]
NOTEBOOKS = REPOSITORY / "notebooks"
SCREENS = REPOSITORY / "runs" / "browser"  # a screenshot a step, to be looked at
WCAG = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
        "preload": False}  # or it fetches what a style sheet imports, from the wrong folder
LOCAL = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")


def pytest_collection_modifyitems(items):
    """Skip all browser tests, with the reason, if there is no browser."""
    reason = missing()
    for item in items if reason else ():
        item.add_marker(pytest.mark.skip(reason=reason))


def missing() -> str:
    """Return what is missing, or an empty string."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed: pip install -e '.[browser]'"
    return "" if shutil.which("chromium") else "there is no chromium here (Debian's package chromium has it)"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(command: list[str], url: str, log: Path, **environment: str) -> subprocess.Popen:
    """Start a server in its own process group, and wait until it answers."""
    with log.open("w") as file:
        process = subprocess.Popen([sys.executable, "-m", *command], cwd=REPOSITORY, stdout=file, stderr=file,
                                   env=kernel_environment() | environment, start_new_session=True)
    while process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=60):
                return process
        except urllib.error.HTTPError:
            return process  # it answers
        except OSError:
            time.sleep(0.3)
    raise AssertionError(f"no answer from {command[0]}:\n{log.read_text()[-3000:]}")


@dataclass
class Lab:
    """The address of JupyterLab and the folder of its notebooks."""

    url: str
    folder: Path


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """JupyterLab with a token, in a copy of the lessons without execution numbers."""
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
    url = f"http://127.0.0.1:{port}/lab?token={token}"
    process = start(command, url, folder / "lab.log", JUPYTER_CONFIG_DIR=str(folder / "config"),
                    JUPYTER_RUNTIME_DIR=str(folder / "runtime"))
    yield Lab(url, folder / "notebooks")
    process.terminate()
    process.wait(120)


@pytest.fixture(scope="module")
def chromium():
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


def check_accessible(page, part=None):
    """Check a page, or a part of it, against WCAG 2.2 AA with axe."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page, context=part, options=WCAG).response
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found["violations"]] == []
    assert len(found["passes"]) > 15


@dataclass
class Watched:
    """A page with its console errors and its requests to other hosts."""

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
    """A fresh browser page; console errors and requests to other hosts fail the test."""
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
