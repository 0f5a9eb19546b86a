"""What mkdocs is told of this house, by `hooks` in mkdocs.yml.

Nothing is written twice: a page of the site may show a section of the README, or a file of the repo that does not
stand in docs/, and the reference of settings and commands is made from the code whenever the site is built. In the
pages, links lead to files, as they do for who reads them in the repo; here they are led to pages of the site.

    <!-- here: README.md#sources -->      the section of that heading; the paragraph that follows is for readers in the
                                          repo, and is left out
    <!-- here: settings glatd.toml -->    the reference of a configuration file
"""

import dataclasses
import posixpath
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
# Pages that stand elsewhere in the repo.
BORROWED = {"CHANGELOG.md": "changelog.md", "models/glat-mn04/CARD.md": "model.md", "demo/README.md": "demo.md"}
# Where the site has a section of the README; what stands before its sections is on the front page.
SECTIONS = {
    "sources": "sources.md",
    "configuration": "configuration.md",
    "what-is-published": "wire.md",
    "time": "wire.md",
    "subscribe-to-it": "subscriber.md",
    "the-model": "engines.md",
    "where-things-are": "architecture.md",
}
# Folders, and files without a page, that have something to say on the site.
PLACES = {"docs/schema": "clients.md#schemas", "docs/benchmarks": "benchmarks.md", "NOTICE": "notice.md"}
HERE = re.compile(r"^<!-- here: (.+?) -->\n+(?:[^\n]+\n?)*", re.M)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
CODE = re.compile(r"(^```.*?^```[^\n]*$|^(?: {4}|\t)[^\n]*$|`[^`\n]+`)", re.M | re.S)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what does not stand in docs/."""
    for path, name in BORROWED.items():
        files.append(File.generated(config, name, content=(ROOT / path).read_text(encoding="utf-8")))
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    files.append(File.generated(config, "notice.md", content=f"# Notice\n\n```text\n{notice}\n```\n"))
    files.append(File.generated(config, "commands.md", content=commands()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in what a page has from elsewhere, and lead its links to pages."""
    of = page.file.src_uri
    source = next((path for path, name in BORROWED.items() if name == of), f"docs/{of}")
    parts: list[str] = []
    at = 0
    for match in HERE.finditer(markdown):
        parts += [linked(markdown[at : match.start()], source, of), fill(match[1], of), "\n"]
        at = match.end()
    return "".join([*parts, linked(markdown[at:], source, of)])


def fill(what: str, of: str) -> str:
    """What stands in the place of a marker on the page `of`."""
    if what.startswith("settings "):
        return linked(reference(what.removeprefix("settings ")), f"docs/{of}", of)
    path, _, anchor = what.partition("#")
    return linked(section((ROOT / path).read_text(encoding="utf-8"), anchor, what), path, of)


def section(text: str, anchor: str, what: str) -> str:
    """What stands under a heading, up to the next one of its level; the headings in it rise to the second level.

    Without an anchor: what stands between the first heading and the next.
    """
    headings = [
        (match.start(), match.end(), len(match[1]), slug(match[2]))
        for match in re.finditer(r"^(#+) (.+)\n", re.sub(r"^```.*?^```", _blank, text, flags=re.M | re.S), re.M)
    ]
    for number, (_, end, level, name) in enumerate(headings):
        if name == anchor or (not anchor and number == 0):
            later = (start for start, _, other, _ in headings[number + 1 :] if other <= level or not anchor)
            body = text[end : next(later, len(text))]
            return re.sub(rf"^#{{{level - 1}}}(?=##)", "", body, flags=re.M)
    raise PluginError(f"there is no section {what}")


def _blank(match: re.Match[str]) -> str:
    """As long, and without a heading."""
    return re.sub(r"[^\n]", " ", match[0])


def slug(title: str) -> str:
    """As GitHub and mkdocs name a heading."""
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title.lower())).strip("-")


def linked(text: str, source: str, of: str) -> str:
    """Text of the file `source` with its links as the page `of` must have them; code is left alone."""
    parts = CODE.split(text)
    for number in range(0, len(parts), 2):
        parts[number] = LINK.sub(lambda match: _link(match, source, of), parts[number])
    return "".join(parts)


def _link(match: re.Match[str], source: str, of: str) -> str:
    picture, text, target = match.groups()
    path, hash_, anchor = target.partition("#")
    if re.match(r"[a-z]+:", target) or not path:
        return match[0]
    file = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    if file == "README.md":
        file, hash_, anchor = SECTIONS.get(anchor, "index.md"), "", ""
    elif file in PLACES:
        file, hash_, anchor = PLACES[file], "", ""
    elif file in BORROWED:
        file = BORROWED[file]
    elif file.startswith("docs/"):
        file = file.removeprefix("docs/")
    else:
        return f"`{file}`" if text.strip("`") in (file, path) else f"{text} (`{file}`)"
    text = text.removeprefix("docs/")
    return f"{picture}[{text}]({posixpath.relpath(file, posixpath.dirname(of) or '.')}{hash_}{anchor})"


def reference(name: str) -> str:
    """Tables of every key of a configuration file."""
    if name == "glatd.toml":
        from glatd.daemon.settings import Settings as cls
    elif name == "hub.toml":
        from glatd.daemon.hub import HubSettings as cls
    else:
        raise PluginError(f"there is no configuration {name}")
    return "\n".join(_table(cls, ""))


def _table(cls: type[Any], path: str) -> Iterator[str]:
    """The plain keys of a dataclass as a table, then each table in it under a heading of its own."""
    from glatd.daemon.schema.notes import field_notes

    hints, notes = typing.get_type_hints(cls), field_notes(cls)
    usual = _usual(cls)
    inner: list[tuple[str, type[Any]]] = []
    yield from ("| key | type | default | |", "|---|---|---|---|")
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        table = _table_of(hint)
        where = f"{path}.{field.name}" if path else field.name
        if table is not None:
            inner.append((f"[[{where}]]" if typing.get_origin(hint) is tuple else f"[{where}]", table))
            continue
        note = notes.get(field.name) or usual.get(field.name, "")
        cells = [f"`{field.name}`", _type(hint), _default(field), note[:1].upper() + note[1:]]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    for where, table in inner:
        said = " ".join((table.__doc__ or "").split("\n\n")[0].split())
        yield from ("", f"### `{where}`", "", said.partition(": ")[2].capitalize() if said[:1] == "[" else said, "")
        yield from _table(table, where.strip("[]"))


def _usual(cls: type[Any]) -> dict[str, str]:
    """Of a rule, what the key of the same name in [events] says."""
    from glatd.daemon.events.settings import EventSettings, RuleSettings
    from glatd.daemon.schema.notes import field_notes

    return field_notes(EventSettings) if cls is RuleSettings else {}


def _table_of(hint: Any) -> type[Any] | None:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple and dataclasses.is_dataclass(arguments[0]):
        hint = arguments[0]
    return hint if isinstance(hint, type) and dataclasses.is_dataclass(hint) else None


def _type(hint: Any) -> str:
    """A type in the words of TOML."""
    names = {str: "string", int: "integer", float: "number", bool: "boolean"}
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_type(each) for each in arguments if each is not type(None))
    if origin is typing.Literal:
        return " or ".join(f"`{_toml(each)}`" for each in arguments)
    if origin is tuple:
        many = arguments[-1] is Ellipsis
        return f"array of {_type(arguments[0])}s" if many else f"array of {len(arguments)} {_type(arguments[0])}s"
    return names[hint]


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return "required"
    return "as in `[events]`" if field.default is None else f"`{_toml(field.default)}`"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else f"{value}"


def commands() -> str:
    """The page of every command, its arguments and options."""
    from glatd.cli import cli

    lines = ["# Commands", "", "Made from the code; `--help` after any of them says the same.", ""]
    for name, command in cli.commands.items():
        lines += list(_command(f"glatd {name}", command, 2))
    return "\n".join(lines)


def _command(name: str, command: click.Command, level: int) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    about = "\n\n".join(map(_paragraph, (command.help or "").split("\n\n")))
    yield from (f"{'#' * level} {name}", "", about, "", f"```text\n{name} {usage}\n```", "")
    options = [option for option in command.params if isinstance(option, click.Option)]
    if options:
        yield from ("| option | |", "|---|---|")
    for option in options:
        form = ", ".join(option.opts)
        if not option.is_flag:
            form += f" {option.make_metavar(context)}"
        record = option.get_help_record(context)
        said = record[1] if record else ""
        cells = (f"`{form}`", said.replace("<", "&lt;"))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""
    if isinstance(command, click.Group):
        for inner, of in command.commands.items():
            yield from _command(f"{name} {inner}", of, level + 1)


def _paragraph(text: str) -> str:
    """As click shows it: one that begins with a backspace keeps its lines."""
    if text.lstrip(" \n").startswith("\b"):
        return f"```text\n{text.replace(chr(8), '').strip()}\n```"
    return " ".join(text.split())


if __name__ == "__main__":
    sys.stdout.write(commands())
