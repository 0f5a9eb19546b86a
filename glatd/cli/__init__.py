"""The command line: every command is named here, and what it needs is imported when it runs."""

import sys

import click

import glatd
from glatd.cli.archive import archive
from glatd.cli.bench import bench
from glatd.cli.bridge import bridge
from glatd.cli.decide import calibrate, explain, verdicts
from glatd.cli.engine import engine
from glatd.cli.fleet import hub
from glatd.cli.keys import keys
from glatd.cli.listen import listen
from glatd.cli.machine import check, devices, doctor
from glatd.cli.plot import plot
from glatd.cli.remote import control
from glatd.cli.schema import schema
from glatd.cli.tag import replay, run
from glatd.cli.top import top
from glatd.cli.train import train
from glatd.errors import ConfigError, GlatdError
from glatd.logs import set_up_logging
from glatd.terminal import tell


# Without a command click would print its help as an error, which is more than a line.
@click.group(no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(glatd.__version__, package_name="glatd", message="glatd %(version)s")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="Of the log on stderr.")
def cli(log_format: str) -> None:
    """Listen to microphones, streams and recordings, and tell what sounds in them."""
    set_up_logging(log_format)


for command in (
    run,
    replay,
    listen,
    top,
    archive,
    control,
    bridge,
    hub,
    calibrate,
    explain,
    verdicts,
    plot,
    devices,
    check,
    doctor,
    bench,
    keys,
    schema,
    engine,
    train,
):
    cli.add_command(command)


def main() -> None:
    """Entry point: errors become one line and an exit code."""
    try:
        code = cli.main(prog_name="glatd", standalone_mode=False)
    except GlatdError as error:
        tell(error)
        code = error.exit_code
    except click.ClickException as error:
        command = getattr(getattr(error, "ctx", None), "command_path", "glatd")
        tell(ConfigError(f"{error.format_message()} (see `{command} --help`)"))
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 130
    sys.exit(code if isinstance(code, int) else 0)
