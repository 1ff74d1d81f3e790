"""Top-N lists of any number of users as a folder of shards, which a job that was killed goes on with.

First the plan is written: everything that decides the lists. Then the shards follow, each whole or not at
all, and the manifest last. A job with the same plan keeps what is whole and makes the rest, so that the
folder ends up the same, byte for byte, however often it was interrupted and however many threads worked.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from recsys_ae.errors import StorageError, reason
from recsys_ae.files import check_writable, claimed, discard, recover
from recsys_ae.provenance import threads_in_force
from recsys_ae.seals import check_files
from recsys_ae.serving.job import Job
from recsys_ae.serving.lists import passing, recommend
from recsys_ae.serving.manifest import MANIFEST, Manifest, check_no_strangers, read_manifest
from recsys_ae.serving.plan import PLAN, Plan, plan_in, read_document, write_plan
from recsys_ae.serving.shards import Contents, DamagedShard, Shard, ShardFiles
from recsys_ae.serving.sizes import workers_within
from recsys_ae.serving.workers import in_order, one_thread_each
from recsys_ae.types import Progress, unwatched

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """A finished folder; `n_made` of its shards were made now, the others were there."""

    manifest: Manifest
    n_made: int


def make_lists(
    folder: Path,
    job: Job,
    *,
    threads: int | None = None,
    limit_memory: int | None = None,
    on_listed: Progress = unwatched,
) -> Made:
    """Make the lists of the job, or those of them that the folder does not hold yet.

    A shard that is damaged is made again, with a warning. `threads`: None takes all that numerical work may
    take, fewer where `limit_memory`, in bytes, has no room for them (see `sizes`). `on_listed`: told how many
    users have their lists, of how many.

    Raises ConfigError for a limit that is too low, StorageError for a folder with the lists of another plan,
    with anything else in it, at work in another process, or that cannot be written.
    """
    n_items, settings = len(job.recommender.items), job.settings
    workers = workers_within(
        limit_memory,
        threads or threads_in_force(),
        block_users=settings["block_users"],
        n_items=n_items,
        rows=min(len(job.audience), settings["shard_users"]) * min(settings["n"], n_items),
    )
    with _owned(folder):
        plan = _begun(folder, job.plan)
        shards = job.shards()
        check_no_strangers(folder, {shard.name for shard in shards})
        if (folder / MANIFEST).exists():
            if manifest := _whole(folder):
                _forget_plan(folder)
                return Made(manifest, 0)
            _reopen(folder, plan, job.plan)
        files = ShardFiles(
            folder, plan.fingerprint(), job.audience.histories.users, job.recommender.items, settings["n"]
        )
        found = {shard: _kept(files, shard) for shard in shards}
        missing = [shard for shard in shards if found[shard] is None]
        _make(files, job, missing, workers, on_listed)
        made = {shard: contents or _sound(files, shard) for shard, contents in found.items()}
        manifest = job.manifest(folder, plan, made)
        manifest.write()
        _forget_plan(folder)
        return Made(manifest, len(missing))


def _make(files: ShardFiles, job: Job, missing: list[Shard], workers: int, on_listed: Progress) -> None:
    n_users = len(job.audience)
    done = n_users - sum(shard.n_users for shard in missing)
    with one_thread_each():
        for shard in missing:
            on_listed(done, n_users)
            blocks = recommend(
                job.recommender,
                job.audience.histories,
                rows=job.audience.rows[shard.start : shard.stop],
                n=job.settings["n"],
                exclude_seen=job.settings["exclude_seen"],
                rules=job.rules,
                batch_size=job.settings["block_users"],
                mapped=partial(in_order, workers=workers),
            )
            files.write(shard, passing(blocks, n_users, on_listed, done=done))
            done += shard.n_users


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """The folder is this process's own while the block lasts. Raises StorageError where it cannot be."""
    with ExitStack() as stack:
        try:
            check_writable(folder, "the folder")
            stack.enter_context(claimed(folder))
        except BlockingIOError as error:
            raise StorageError(
                f"{folder}: another process makes its lists there; wait for its end, or choose another folder"
            ) from error
        except FileExistsError as error:
            raise StorageError(f"{folder}: is a file; choose another folder for the lists") from error
        except OSError as error:
            raise StorageError(
                f"{folder}: cannot be made ({reason(error)}); choose another folder"
            ) from error
        yield


def _begun(folder: Path, plan: Plan) -> Plan:
    """The plan of the folder, which is written there where there is none. Raises StorageError where it is
    another, naming how, or where the folder holds something else."""
    finished = (folder / MANIFEST).exists()
    if finished:
        there = read_manifest(folder).plan
    elif (folder / PLAN).exists():
        there = plan_in(folder / PLAN, read_document(folder / PLAN))
    else:
        check_no_strangers(folder, set())
        write_plan(folder, plan)
        return plan
    if different := there.differences(plan, finished=finished):
        what = "other lists" if finished else "the beginning of other lists"
        raise StorageError(
            f"{folder}: holds {what}: {'; '.join(different[:3])}{'; …' if different[3:] else ''}; choose "
            "another folder, or remove this one"
        )
    return there


def _whole(folder: Path) -> Manifest | None:
    """The manifest, where all files that it names are as they were written."""
    manifest = read_manifest(folder)
    try:
        check_files(folder, manifest.checksums, advice="it is made again")
    except StorageError as error:
        log.warning("%s", error)
        return None
    return manifest


def _reopen(folder: Path, plan: Plan, now: Plan) -> None:
    """A folder that was finished is so no more. Raises StorageError where other programs made its lists than
    those that would mend them `now`."""
    if different := plan.differences(now, finished=False):
        raise StorageError(
            f"{folder}: is damaged, and cannot be mended: {different[0]}; choose another folder, or "
            "remove this one"
        )
    write_plan(folder, plan)
    discard(folder / MANIFEST)


def _forget_plan(folder: Path) -> None:
    """The manifest says what it said."""
    recover(folder / PLAN)
    discard(folder / PLAN)


def _kept(files: ShardFiles, shard: Shard) -> Contents | None:
    """Of a shard that is there and whole; None where it is to be made."""
    try:
        return files.contents(shard)
    except DamagedShard as error:
        log.warning("%s: damaged (%s); it is made again", files.path(shard), error)
        return None


def _sound(files: ShardFiles, shard: Shard) -> Contents:
    """Of a shard that was just written."""
    try:
        contents = files.contents(shard)
    except DamagedShard as error:
        raise StorageError(
            f"{files.path(shard)}: is not as it was written ({error}); check the disk, and start again"
        ) from error
    assert contents is not None
    return contents
