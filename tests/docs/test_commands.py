"""Every command in the documentation is one, and does what it should: it is run here, or excused with a reason.

`make test` runs one command of each kind (subcommand and options; of costly ones the subcommand alone), and
`make test-long` all of them.
"""

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from glatd.cli import cli
from tests.docs.excused import EXCUSED, HEAVY, LASTING, SLOW, answers, excuse
from tests.docs.pages import SHELL, Command, all_commands, blocks, commands, inline, pages
from tests.docs.world import PATIENCE_S, World

PLACEHOLDER = re.compile(r"^(\[.*\]|\.\.\.|…)$")
# What calls glatd for somebody: as another user, in a container that runs, in a new one of the image of that name.
THROUGH = re.compile(
    r"^(?:\S*/)?glatd\s+|^runuser .*? -- glatd\s+|^podman exec \S+ glatd\s+|^podman run .* glatd\s+(?=bridge)"
)


def calls(text: str) -> list[list[str]]:
    """The words of each call of glatd in a line of shell."""
    found = []
    for part in re.split(r"\s(?:\|\||\||&&|;)\s", text):
        if match := THROUGH.match(part):
            words = shlex.split(re.sub(r"\s+\d?>{1,2}.*$", "", part[match.end() :]), comments=True)
            found.append([word for word in words if not PLACEHOLDER.match(word)])
    return found


def parse(words: list[str]) -> tuple[str, tuple[str, ...]]:
    """The subcommand and the options of a call, as the command line itself takes them apart.

    Raises:
        click.ClickException: it does not take them.
    """
    command: click.Command = cli
    context, name = click.Context(cli, info_name="glatd"), "glatd"
    while isinstance(command, click.Group):
        while words[0].startswith("-"):  # of `glatd` itself
            words = words[2:]
        if words[0] not in command.commands:
            raise click.UsageError(f"no such command: {name} {words[0]}")
        command, name, words = command.commands[words[0]], f"{name} {words[0]}", words[1:]
    made = command.make_context(name, list(words), parent=context)
    made.close()
    known = {form for option in made.command.params for form in option.opts}
    return str(made.info_name), tuple(
        sorted(word for word in words if word.partition("=")[0] in known and word.startswith("-"))
    )


def test_the_documentation_has_commands() -> None:
    assert len(all_commands()) > 120
    assert {"README.md", "docs/start.md", "docs/service.md"} <= {command.page for command in all_commands()}


def test_every_call_of_glatd_is_one_that_it_takes() -> None:
    wrong = []
    for command in all_commands():
        for words in calls(command.bare):
            try:
                parse(words)
            except (click.ClickException, IndexError) as error:
                wrong.append(f"{command}\n    {getattr(error, 'message', error)}")
    assert not wrong, "\n".join(wrong)


def test_what_is_named_in_a_sentence_exists() -> None:
    """Within a sentence a command may be cut short; its subcommands and options are there all the same."""
    wrong = []
    for page in pages():
        for command in inline(page):
            words = command.text.split()[1:]
            at: click.Command = cli
            while isinstance(at, click.Group) and words and words[0] in at.commands:
                at, words = at.commands[words[0]], words[1:]
            options = {form for option in at.params for form in option.opts}
            forms = {word.partition("=")[0].rstrip(".,") for word in words if word.startswith("--")}
            misses = isinstance(at, click.Group) and words and re.match(r"[a-z]", words[0])
            if misses or (at is cli and not forms) or forms - options - {"--help", "--version"}:
                wrong.append(str(command))
    assert not wrong, "\n".join(wrong)


def test_no_command_hides_in_a_block_of_something_else() -> None:
    hidden = [
        f"{block.page}:{block.line}: {line}"
        for page in pages()
        for block in blocks(page)
        if block.language not in SHELL
        for line in block.text.splitlines()
        if re.match(r"\s*(\$ )?(glatd (?!plot night)[a-z]+ |pip install|apt-get |systemctl )", line)
    ]
    assert not hidden, "\n".join(hidden)


def test_every_excuse_is_used() -> None:
    used = {excuse(command) for command in all_commands()}
    assert set(EXCUSED) <= used, f"excused, but not in the documentation: {set(EXCUSED) - used}"


def chosen(everything: bool) -> dict[str, list[list[Command]]]:
    """What is to be run, page by page and block by block: all of it, or one of each kind."""
    seen: set[object] = set()
    found: dict[str, list[list[Command]]] = {}
    for page in pages():
        for block in blocks(page):
            if block.language not in SHELL:
                continue
            some = [command for command in commands(block) if excuse(command) is None]
            if not everything:
                some = [command for command in some if not SLOW.match(command.text) and is_new(command, seen)]
            if some:
                found.setdefault(block.page, []).append(some)
    return found


def is_new(command: Command, seen: set[object]) -> bool:
    """Whether none of its kind was seen; what is no call of glatd is a kind of its own."""
    kinds: set[object] = {kind(*parse(words)) for words in calls(command.bare)} or {command.bare}
    new = not kinds <= seen
    seen |= kinds
    return new


def kind(name: str, options: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """What commands have in common of which one is enough."""
    return name, tuple(option for option in options if name not in HEAVY or option == "--keys")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("docs")) as made:
        yield made


def run(page: str, parts: list[list[Command]], world: World, name: str) -> None:
    place = world.page(name)
    try:
        for part in parts:
            for command in part:
                if LASTING.match(command.text):
                    place.start(command)
                else:
                    place.run(command, answers(command), PATIENCE_S * (4 if SLOW.match(command.text) else 1))
            place.stop()
    finally:
        place.close()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", sorted(chosen(False)))
def test_one_command_of_each_kind_runs(page: str, world: World) -> None:
    run(page, chosen(False)[page], world, f"fast-{page}")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", sorted(chosen(True)))
def test_every_command_runs(page: str, world: World) -> None:
    run(page, chosen(True)[page], world, f"all-{page}")
