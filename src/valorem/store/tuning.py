"""Server settings for the machine at hand, shared with the program and its page cache."""

import os
import shutil
from pathlib import Path

import psutil

MIB = 1024 * 1024
GIB = 1024 * MIB


def tuned_for(home: Path) -> dict[str, str]:
    """Settings of the embedded PostgreSQL for this machine's memory, processors and disk.

    Durability is never traded: ``fsync``, ``full_page_writes`` and ``synchronous_commit`` are on.
    """
    memory = _memory_bytes()
    processors = os.cpu_count() or 1
    free_disk = shutil.disk_usage(home).free
    return {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "max_connections": "100",
        "shared_buffers": _mib(_within(memory // 8, 64 * MIB, 4 * GIB)),
        "effective_cache_size": _mib(max(memory // 2, 128 * MIB)),
        "work_mem": _mib(_within(memory // 512, 4 * MIB, 64 * MIB)),
        "maintenance_work_mem": _mib(_within(memory // 32, 32 * MIB, 1 * GIB)),
        "min_wal_size": _mib(_within(free_disk // 200, 64 * MIB, 512 * MIB)),
        "max_wal_size": _mib(_within(free_disk // 20, 256 * MIB, 4 * GIB)),
        "wal_compression": "pglz",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "jit": "off",
        # Parallel workers share through /dev/shm, which containers keep at 64 MB; few processors gain nothing.
        "max_parallel_workers_per_gather": "2" if processors >= 8 else "0",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "logging_collector": "on",
        "log_filename": "postgres-%a.log",
        "log_truncate_on_rotation": "on",
        "log_rotation_age": "1d",
        "log_line_prefix": "%m [%p] ",
    }


def _memory_bytes() -> int:
    """Memory we may use: the machine's, or the container's limit if that is lower."""
    total = int(psutil.virtual_memory().total)
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        try:
            text = limit.read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total


def _within(value: int, least: int, most: int) -> int:
    return min(max(value, least), most)


def _mib(size: int) -> str:
    return f"{size // MIB}MB"
