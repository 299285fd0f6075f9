"""Pages in parallel, each in its own process; on Linux, processes and kernels start warm.

Warm processes are forked from a server that has imported the modules of most pages. It runs nothing else, so every page
starts from the same clean state. On other systems forking is not safe, and every process and kernel starts cold.
"""

import atexit
import gc
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeVar

Task, Result = TypeVar("Task"), TypeVar("Result")

FORKS = sys.platform == "linux"
# Imports of the kernel, of notebook execution and of most notebooks; modules that are not installed are skipped.
IMPORTED = (
    "ipykernel.kernelapp",
    "papermill",
    "nbconvert",
    "bs4",
    "matplotlib.pyplot",
    "scipy.signal",
    "scipy.stats",
    "seaborn",
    "sklearn.metrics",
    "sklearn.svm",
    "sernb.results.ranking",
    "sernb.results.analysis",
    "sernb.results.occlusion",
    "sernb.figures",
    "sernb.reporting.report",
    "sernb.audio.degradation",
    "sernb.studies",
)
INLINE = "module://matplotlib_inline.backend_inline"
PATH = tuple(entry for entry in sys.path if entry)  # in the server, without the current folder
GRACE = 5.0  # s


def _context() -> multiprocessing.context.BaseContext:
    context = multiprocessing.get_context("forkserver" if FORKS else "spawn")
    if FORKS:
        context.set_forkserver_preload(["sernb.reporting.processes", *IMPORTED])
    return context


def begin() -> None:
    """Start the server, which imports its modules while the caller continues."""
    if FORKS:
        from multiprocessing import forkserver

        _context()
        forkserver.ensure_running()


def outcomes(
    work: Callable[[Task], Result], tasks: Iterable[Task], *, at_once: int, started: Callable[[Task], None]
) -> Iterator[tuple[Task, Result | Exception]]:
    """Yield each task when it ends, with the return value of ``work(task)`` or the exception that it raised.

    Every task has a new process. After an error or an interrupt of the caller, processes have a grace period to clean
    up before they are terminated.

    Args:
        work: a module-level function; it runs with the environment and the folder of the caller
        tasks: started in this order
        at_once: number of parallel processes
        started: called with each task when it starts

    Raises:
        ValueError: if ``at_once`` is less than 1
    """
    if at_once < 1:
        raise ValueError(f"at_once needs 1 process or more, not {at_once}")
    context, waiting = _context(), deque(tasks)
    running: dict[Connection, tuple[Task, BaseProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                task = waiting.popleft()
                started(task)
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_do, args=(sender, dict(os.environ), os.getcwd(), work, task))
                process.start()
                sender.close()
                running[receiver] = task, process
            for receiver in wait(list(running)):
                task, process = running.pop(receiver)
                with receiver:
                    try:
                        result = receiver.recv()
                    except EOFError:
                        process.join()
                        result = ChildProcessError(f"exit code {process.exitcode}")
                process.join()
                yield task, result
    finally:
        for _, process in running.values():
            process.join(GRACE)
            process.terminate()
            process.join()


def _do(sender: Connection, environment: dict[str, str], folder: str, work: Callable, task: object) -> None:
    global _kernel
    if FORKS:
        gc.freeze()  # what the server imported is not searched, and its memory stays shared
        _kernel = _Kernel()  # now, while this process has no threads
        if not _kernel.pid:
            sender.close()
            return _kernel.run()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()  # end with it
    try:
        result = work(task)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        error.add_note(traceback.format_exc())  # a traceback is not pickled with its exception
        result = error
    sender.send(result)
    return None


# -- Kernels -- #


class _Kernel:
    """A process that waits for the arguments to become a kernel; the subset of `subprocess.Popen` that Jupyter uses."""

    stdin = stdout = stderr = returncode = None

    def __init__(self) -> None:
        """Fork the process; in the new process ``pid`` is 0."""
        self.orders, self.write = os.pipe()
        self.pid = os.fork()
        os.close(self.orders if self.pid else self.write)

    def run(self) -> None:
        """Run ``ipykernel_launcher`` as a new Python process would, including its exit functions."""
        with open(self.orders, "rb") as file:
            orders = file.read()
        if not orders:
            return
        import matplotlib
        import numpy as np
        from ipykernel import kernelapp

        arguments, environment, folder = json.loads(orders)
        os.setsid()
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.path[:] = PATH
        sys.argv[:] = ["ipykernel_launcher.py", *arguments]
        np.random.seed()  # noqa: NPY002 - forks of one server would have the same random numbers
        matplotlib.rcParams["backend"] = environment.get("MPLBACKEND") or INLINE  # which a new process reads at import
        try:
            kernelapp.launch_new_instance()
        finally:
            atexit._run_exitfuncs()  # a forked process does not run them

    def begin(self, arguments: list[str], environment: dict[str, str], folder: str) -> None:
        """Send the arguments."""
        parent = str(os.getpid())
        arguments = [*arguments, f"--IPKernelApp.parent_handle={parent}"]  # read from the environment at import
        with open(self.write, "wb") as file:
            file.write(json.dumps([arguments, environment | {"JPY_PARENT_PID": parent}, folder]).encode())

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self) -> int:
        """Return the exit code."""
        while self.poll() is None:
            time.sleep(0.02)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal if the process is still running."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


_kernel: _Kernel | None = None  # of this process


def kernel_options(manager: type["jupyter_client.AsyncKernelManager"]) -> dict[str, object]:  # noqa: F821
    """Return options of `papermill.execute_notebook` that use the warm kernel of this process, if there is one.

    Args:
        manager: starts a cold kernel otherwise
    """
    if _kernel is None:
        return {"kernel_manager_class": manager}
    from jupyter_client.provisioning import LocalProvisioner

    class Provisioner(LocalProvisioner):
        async def launch_kernel(self, cmd: list[str], **options: object) -> dict:
            global _kernel
            if _kernel is None or "ipykernel_launcher" not in cmd:  # it serves one notebook, and ours only
                return await super().launch_kernel(cmd, **options)
            self.process, _kernel = _kernel, None
            self.pid = self.pgid = self.process.pid  # it is a session leader
            self.cwd = str(options.get("cwd") or os.getcwd())
            arguments = cmd[cmd.index("ipykernel_launcher") + 1 :]
            self.process.begin(arguments, dict(options.get("env") or os.environ), self.cwd)
            return self.connection_info

    class Manager(manager):
        def __init__(self, **options: object) -> None:
            super().__init__(**options)
            self.provisioner = Provisioner(kernel_id="", kernel_spec=self.kernel_spec, parent=self)

    return {"kernel_manager_class": Manager}
