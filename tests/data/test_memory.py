"""Files that do not fit into the memory: that is what is said of them, and not that they are damaged."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

# What a first file needs once (threads, modules) is there before the room is limited.
READ = """
import resource, sys
from pathlib import Path
import pyarrow as pa
from recsys_ae.data.configs import DataConfig
from recsys_ae.data.load import read_triples
from recsys_ae.errors import RecsysError, out_of_memory

small, path, room = sys.argv[1:]
pa.set_cpu_count(1)
read_triples(DataConfig(source=small))
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(room), used + int(room)))
try:
    read_triples(DataConfig(source=path))
except (RecsysError, MemoryError) as error:
    print(out_of_memory(error) or error)
"""


def table(n: int) -> pa.Table:
    return pa.table({"user": np.arange(n), "item": np.arange(n), "rating": np.ones(n)})


def written(folder, suffix: str, n: int) -> str:
    path = str(folder / f"{n}{suffix}")
    if suffix == ".parquet":
        pq.write_table(table(n), path, use_dictionary=False)
    elif suffix == ".feather":
        feather.write_feather(table(n), path, compression="zstd")
    else:
        table(n).to_pandas().to_csv(path, index=False)
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".csv"])
def test_a_whole_file_for_which_there_is_no_room_is_not_called_damaged(suffix, tmp_path):
    small, large = written(tmp_path, suffix, 10), written(tmp_path, suffix, 400_000)
    environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(
        [sys.executable, "-c", READ, small, large, str(2 << 20)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.stdout.startswith("out of memory"), (done.returncode, done.stdout, done.stderr[-800:])
