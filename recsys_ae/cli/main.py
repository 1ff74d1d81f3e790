"""The command `recsys-ae`: all commands, and how each of them may end."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import recsys_ae
from recsys_ae.cli.answer import tell
from recsys_ae.cli.benchmark import benchmark
from recsys_ae.cli.compare import compare
from recsys_ae.cli.data import data
from recsys_ae.cli.init import init
from recsys_ae.cli.lists import check
from recsys_ae.cli.models import evaluate, recommend
from recsys_ae.cli.options import EXIT_STOPPED
from recsys_ae.cli.registry import promote, publish
from recsys_ae.cli.samples import sample, walk
from recsys_ae.cli.store import ui, upload
from recsys_ae.cli.train import train
from recsys_ae.cli.tune import tune
from recsys_ae.errors import ConfigError, RecsysError, brief, cut, out_of_memory, printable, reason
from recsys_ae.training.interrupts import terminated

_EXIT_BY_SIGNAL = 128  # + the signal's number, as shells have it

app = typer.Typer(
    name="recsys-ae",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Autoencoder recommenders: train, compare, recommend; every run in MLflow.",
)


def _say_version(asked: bool) -> None:
    if asked:
        print(f"recsys-ae {recsys_ae.__version__}")
        raise typer.Exit


app.add_typer(data, name="data")
for command, example in (
    (init, "recsys-ae init my-study"),
    (train, "recsys-ae train configs/experiments/movietweetings-i-autorec.yaml --set training.epochs=30"),
    (tune, "recsys-ae tune configs/search/movietweetings-i-autorec.yaml --trials 10"),
    (benchmark, "recsys-ae benchmark configs/benchmarks/movietweetings.yaml --out runs/movietweetings"),
    (recommend, "recsys-ae recommend models:/movies@champion --users all -n 10 --out recs.parquet"),
    (check, "recsys-ae check lists"),
    (sample, "recsys-ae sample runs/movietweetings-vae/model -n 5 --top 10"),
    (walk, "recsys-ae walk runs/movietweetings-vae/model --from 12 --to 40 --steps 7"),
    (evaluate, "recsys-ae evaluate runs/movietweetings-i-autorec/model --json"),
    (compare, "recsys-ae compare movietweetings --metric test/ndcg_at_10"),
    (publish, "recsys-ae publish runs/movietweetings-ease --name movies --alias challenger"),
    (promote, "recsys-ae promote movies --guard test/coverage_at_10=0.05"),
    (upload, "recsys-ae upload runs/movietweetings-i-autorec --tracking-uri sqlite:///mlflow.db"),
    (ui, "recsys-ae ui --port 5001"),
):
    app.command(epilog=f"Example: {example}")(command)


@app.callback()
def version(
    asked: Annotated[
        bool,
        typer.Option("--version", help="Say which version this is.", callback=_say_version, is_eager=True),
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the answer is the exit code: 0, 1 for a benchmark in which a model failed and for a
    champion that stays, 2 for what
    the user can mend (one sentence on stderr), 130 for Ctrl-C, 143 for SIGTERM and 129 for SIGHUP. Anything
    else is a defect, and traces."""
    _log_to_stderr()
    with terminated() as signals:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        return _stopped(signals.number or signal.SIGINT) if code == EXIT_STOPPED else code


def _run(words: list[str]) -> int:
    try:
        _check_words(words)
        code = typer.main.get_command(app).main(args=words, prog_name="recsys-ae", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except RecsysError as error:
        return _refuse(str(error))
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_STOPPED
    except BrokenPipeError:  # the reader, such as head, has seen enough
        sys.stderr.close()
        return 0
    except Exception as error:
        if sentence := _mendable(error):
            return _refuse(sentence)
        if not hasattr(error, "format_message"):  # every version of typer has its own class of usage errors
            raise
        return _refuse_usage(error)


def _mendable(error: Exception) -> str | None:
    """What to say of an error of Python's own that the user can mend: names, rights, room, memory."""
    if isinstance(error, OSError):
        return f"{cut(str(error.filename or 'the command'))}: {reason(error)}"
    if isinstance(error, RuntimeError) and "home directory" in str(error):  # of "~name/" that is of nobody
        return "there is no user whose home folder a '~' could mean; write the whole path"
    return out_of_memory(error)


def _stopped(number: int) -> int:
    what = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    tell(f"stopped by {what}; nothing half-written was left behind", on=sys.stderr)
    return _EXIT_BY_SIGNAL + number


def _refuse(sentence: str) -> int:
    tell(f"error: {printable(sentence)}", on=sys.stderr)
    return 2


def _check_words(words: Sequence[str]) -> None:
    """Raises ConfigError at a word that is no text."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise ConfigError(f"{brief(word)} is no text in UTF-8; rename the file") from None


def _refuse_usage(error: Exception) -> int:
    context = getattr(error, "ctx", None)
    message = error.format_message().replace("Value error, ", "")  # type: ignore[attr-defined]
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the whole help
        print(message)
        return 0
    path = context.command_path if context is not None else "recsys-ae"
    return _refuse(f"{message.rstrip('.')[:1].lower()}{message.rstrip('.')[1:]}; see {path} --help")


def _log_to_stderr() -> None:
    """Warnings of all packages, and what ratings were read as and which were kept, one line each, never on
    stdout."""
    handler = _ToStderr()
    handler.setFormatter(_Sentences())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for room in ("load", "filters"):
        logging.getLogger(f"recsys_ae.data.{room}").setLevel(logging.INFO)


class _ToStderr(logging.StreamHandler):
    """Writes to what stderr is at that moment: while there is a bar on it, lines go above that."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr  # not by setStream: it flushes the one before, which may be closed
        super().emit(record)


class _Sentences(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:
        word = "read" if record.levelno == logging.INFO else record.levelname.lower()
        return f"{word}: {printable(record.message)}"
