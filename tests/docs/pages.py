"""The code in the documentation: what is a command, and what is something else.

A command stands in a block marked `sh` or `console`, or in an indented block whose first line begins with the name of a
program. So a reader sees plain Markdown, and a block that shows output, a tree of files or JSON is no command.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

SHELL = ("sh", "console", "bash", "shell")
# What a line of an indented block begins with if the block is one of commands.
PROGRAMS = (
    "apt-get", "cat", "cc", "cp", "curl", "git", "glatd", "install", "ln", "loginctl", "make", "npm", "pip", "pipx",
    "podman", "python", "python3", "runuser", "scripts/", "sudo", "systemctl", "tar", "(umask",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of code on a page."""

    page: str
    line: int  # of its first line of code, from 1 on
    language: str  # "" where none is named, "sh" also for an indented block of commands
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """One command, with the lines that it goes on over joined."""

    page: str
    line: int
    text: str

    @property
    def bare(self) -> str:
        """Without the comment."""
        return re.sub(r"\s+#\s.*$", "", self.text).strip()

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def pages() -> list[Path]:
    """Every page that a user may read."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")),
            ROOT / "models" / "glat-mn04" / "CARD.md", ROOT / "clients" / "node" / "README.md"]  # fmt: skip


def blocks(page: Path) -> list[Block]:
    """The code of a page, fenced and indented, in order."""
    name = page.relative_to(ROOT).as_posix()
    lines = page.read_text(encoding="utf-8").splitlines()
    found: list[Block] = []
    at = 0
    while at < len(lines):
        if fence := re.fullmatch(r"(\s*)```(\w*).*", lines[at]):
            end = next((to for to in range(at + 1, len(lines)) if lines[to].strip() == "```"), len(lines))
            text = "\n".join(line.removeprefix(fence[1]) for line in lines[at + 1 : end])
            found.append(Block(name, at + 2, fence[2], text))
            at = end + 1
        elif lines[at].startswith("    ") and (at == 0 or not lines[at - 1].strip()):
            # In a list a block of commands lies deeper; what follows it there is text.
            depth = 8 if lines[at].startswith(" " * 8) and lines[at].lstrip().startswith(PROGRAMS) else 4
            end = at
            while end < len(lines) and (lines[end].startswith(" " * depth) or not lines[end].strip()):
                end += 1
            text = "\n".join(line[depth:] for line in lines[at:end]).rstrip()
            language = "sh" if text.lstrip().startswith(PROGRAMS) else ""
            found.append(Block(name, at + 1, language, text))
            at = end
        else:
            at += 1
    return found


def commands(block: Block) -> list[Command]:
    """The commands of a shell block; of a console block those behind a prompt."""
    joined: list[Command] = []
    pending, first = "", 0
    for number, line in enumerate(block.text.splitlines(), block.line):
        text = line.strip()
        if block.language == "console":
            if not text.startswith("$ ") and not pending:
                continue
            text = text.removeprefix("$ ")
        first = first if pending else number
        pending += text
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        if pending and not pending.startswith("#"):
            joined.append(Command(block.page, first, pending))
        pending = ""
    return joined


def all_commands() -> list[Command]:
    """Every command of the documentation, page by page."""
    return [
        command
        for page in pages()
        for block in blocks(page)
        if block.language in SHELL
        for command in commands(block)
    ]  # fmt: skip


def inline(page: Path) -> list[Command]:
    """The commands of glatd that stand within a sentence."""
    name = page.relative_to(ROOT).as_posix()
    text = re.sub(r"^\s*```.*?^\s*```", lambda match: re.sub(r"[^\n]", " ", match[0]),
                  page.read_text(encoding="utf-8"), flags=re.M | re.S)  # fmt: skip
    return [
        Command(name, text.count("\n", 0, match.start()) + 1, " ".join(match[1].split()))
        for match in re.finditer(r"`(glatd\s[^`]+)`", text)
    ]
