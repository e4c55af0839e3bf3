"""A forked kernel is a kernel: its own folder, path and parameters; it hears an interrupt, and ends with what
started it."""

import os
import signal

import psutil
import pytest
from conftest import forks_kernels
from jupyter_client.manager import start_new_kernel


@pytest.fixture
def kernel(pytestconfig, tmp_path):
    if not forks_kernels(pytestconfig):
        pytest.skip("kernels are forked beside the lessons (--nbval), on Linux")
    manager, client = start_new_kernel(
        cwd=tmp_path, env={**os.environ, "ASKED": "for this", "PYTHONPATH": f"{tmp_path}/first"})
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def said(client, code):
    """What the code prints, or the name of its error."""
    found = []
    client.execute_interactive(code, timeout=60, output_hook=lambda message: found.append(message["content"]))
    return "".join(content.get("text", content.get("ename", "")) for content in found)


def answer(get, asked, kind):
    """What is said of this kind to what was asked; earlier questions may still be answered before."""
    while True:
        message = get(timeout=60)
        if (message["parent_header"].get("msg_id"), message["msg_type"]) == (asked, kind):
            return message["content"]


def test_a_forked_kernel_has_what_it_was_started_with_and_nothing_of_the_project(kernel, tmp_path):
    _, client = kernel
    found = said(client, "import os, sys\n"
                         "print(os.getcwd(), os.environ['ASKED'], sys.path[0], '' in sys.path, "
                         "*(name in sys.modules for name in ('torch', 'grmu')))")
    assert found == f"{tmp_path} for this {tmp_path}/first True True False\n"
    assert said(client, "import conftest") == "ModuleNotFoundError"


def test_a_forked_kernel_hears_an_interrupt_and_goes_on(kernel):
    manager, client = kernel
    forever = "import time\nprint('now')\nwhile True: time.sleep(0.01)"
    asked = client.execute(forever, stop_on_error=False)  # else what is asked at once is dropped, too
    answer(client.get_iopub_msg, asked, "stream")
    manager.interrupt_kernel()
    assert answer(client.get_shell_msg, asked, "execute_reply")["ename"] == "KeyboardInterrupt"
    assert said(client, "print(1 + 1)") == "2\n"


def test_a_forked_kernel_ends_when_what_started_it_is_killed(kernel):
    manager, client = kernel
    process = psutil.Process(int(said(client, "import os; print(os.getpid())")))
    os.kill(manager.provisioner.pid, signal.SIGKILL)
    process.wait(60)
