"""What computed a number: versions, the commit of the code, and the machine."""

import json
import os
import platform
import re
import subprocess
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, version
from pathlib import Path

import torch

from taxbench._version import NUMERICS, __version__
from taxbench.specs.result import Code, Versions
from taxbench.util.paths import PACKAGE

_CHECKOUT = PACKAGE.parent


@cache
def versions() -> Versions:
    """Return the software that computes the numbers."""
    return Versions(
        taxbench=__version__,
        numerics=NUMERICS,
        python=platform.python_version(),
        torch=torch.__version__,
        transformers=version("transformers"),
        numpy=version("numpy"),
        scipy=_installed("scipy"),
        scikit_learn=_installed("scikit-learn"),
        tokenizers=version("tokenizers"),
        pillow=_installed("pillow"),
    )


def _installed(package: str) -> str | None:
    """Return the version of a package that readers may want to know; None where a build carries no such note."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def code() -> Code:
    """Return the commit of the checkout the package lies in, or of the repository it was installed from."""
    if (_CHECKOUT / ".git").exists():
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", "taxbench", "tasks", "pyproject.toml")
        return Code(commit=commit or None, dirty=None if changed is None else bool(changed))
    try:
        origin = json.loads(Distribution.from_name("taxbench").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return Code()
    commit = origin.get("vcs_info", {}).get("commit_id")
    return Code(commit=commit, dirty=False if commit else None)


def _git(*arguments: str) -> str | None:
    """Return what git says of the package's checkout; None where it fails."""
    try:
        done = subprocess.run(["git", "-C", str(_CHECKOUT), *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def machine(device: torch.device) -> str:
    """Return the name of the machine that computes, in words."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    try:
        processor = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        processor = None
    return f"{processor[1] if processor else platform.processor() or platform.machine()}, {available_cores()} cores"


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
