"""The site of docs/: it builds strictly, no link in it is dead, nothing in it is loaded from elsewhere."""

import dataclasses
import os
import re
import subprocess
import sys
import typing
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import click
import pytest
from markdown_it import MarkdownIt

from glatd.cli import cli
from glatd.daemon.hub import HubSettings
from glatd.daemon.settings import Settings
from tests.conftest import ROOT

# What the theme's script would fetch, and when: never here.
#   mermaid where a page has a diagram of it, the polyfill in browsers of before 2020, GitHub's API for a repo_url.
THEME = {"https://unpkg.com/mermaid", "https://unpkg.com/resize-observer-polyfill", "https://api.github.com"}
# Tags and attributes that a browser follows by itself.
LOADS = {
    "script": "src", "img": "src", "iframe": "src", "source": "src", "audio": "src", "video": "src", "embed": "src",
    "object": "data", "use": "href", "image": "href", "form": "action",
}  # fmt: skip
RELS = {"stylesheet", "icon", "preload", "modulepreload", "preconnect", "dns-prefetch", "manifest", "prefetch"}


class Reader(HTMLParser):
    """What a page loads, and how many of each tag its text has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: Counter[str] = Counter()
        self.classes: set[str] = set()
        self._inside = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        given = dict(attrs)
        self.classes |= set((given.get("class") or "").split())
        if tag == "article":
            self._inside = True
        if self._inside:
            self.tags[tag] += 1
        if tag in LOADS and given.get(LOADS[tag]):
            self.loads.append(str(given[LOADS[tag]]))
        if tag == "link" and set((given.get("rel") or "").split()) & RELS:
            self.loads.append(str(given.get("href")))
        self.loads += re.findall(r"url\(\s*['\"]?([^'\")]+)", given.get("style") or "")

    def handle_endtag(self, tag: str) -> None:
        """The end of the text."""
        if tag == "article":
            self._inside = False


def build(config: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a configuration."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", config, "--site-dir", out]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: dead links, dead anchors and pages that no menu names end the build."""
    out = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.timeout(300)
def test_it_builds_with_every_page(site: Path) -> None:
    for page in (ROOT / "docs").glob("*.md"):
        assert (site / f"{page.stem}.html").is_file(), page
    assert {"commands.html", "changelog.html", "model.html"} <= {path.name for path in site.glob("*.html")}


@pytest.mark.timeout(300)
def test_a_dead_link_and_a_dead_anchor_are_found(tmp_path: Path) -> None:
    """Were the build blind to them, the test above would pass for ever."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("# One\n\n[a](absent.md) [b](two.md#absent) [c](two.md#here) [d](#absent)\n")
    (docs / "two.md").write_text("# Two\n\n## Here\n\n![e](absent.png)\n")
    (docs / "site.css").write_text("")
    (tmp_path / "mkdocs.yml").write_text(
        f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: {docs}\nhooks: []\nnav: [index.md, two.md]\n"
    )
    done = build(tmp_path / "mkdocs.yml", tmp_path / "out")
    warnings = [line for line in done.stderr.splitlines() if line.startswith("WARNING")]
    assert done.returncode == 1 and len(warnings) == 4, done.stderr
    for dead in ("'absent.md'", "'two.md#absent'", "'#absent'", "'absent.png'"):
        assert any(dead in line for line in warnings), dead


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    found = []
    for path in site.rglob("*.html"):
        page = Reader(path.read_text(encoding="utf-8"))
        found += [f"{path.name}: {url}" for url in page.loads if re.match(r"(https?:)?//", url)]
        assert "mermaid" not in page.classes, path
    for path in [*site.rglob("*.css"), *site.rglob("*.svg")]:
        text = path.read_text(encoding="utf-8")
        loads = re.findall(
            r"url\(\s*['\"]?((?:https?:)?//[^'\")]+)|@import\s+['\"]([^'\"]+)|href=\"(https?:[^\"]+)", text
        )
        found += [f"{path.name}: {url}" for groups in loads for url in groups if url]
    assert not found, "\n".join(found)


def test_the_scripts_of_the_theme_fetch_nothing_new(site: Path) -> None:
    """A new version of the theme may; then it is to be looked at."""
    fetched = set()
    for path in site.rglob("*.js"):
        text = path.read_text(encoding="utf-8", errors="replace")
        fetched |= set(re.findall(r"https?://(?:unpkg\.com/[\w-]+|[\w.-]*(?:cdn|googleapis|api)[\w.-]*)", text))
    assert fetched <= THEME


def test_a_page_shows_what_its_markdown_says(site: Path) -> None:
    """mkdocs reads Markdown otherwise than others do: a list that it takes for text shows here."""
    reader = MarkdownIt().enable("table")
    wrong = []
    for page in (ROOT / "docs").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        if "<!-- here:" in text:
            continue
        meant = Reader(f"<article>{reader.render(text)}</article>").tags
        shown = Reader((site / f"{page.stem}.html").read_text(encoding="utf-8")).tags
        wrong += [
            f"{page.name}: {meant[tag]} <{tag}> became {shown[tag]}"
            for tag in ("li", "pre", "table", "img", "h2", "h3") if meant[tag] != shown[tag]
        ]  # fmt: skip
    assert not wrong, "\n".join(wrong)


def keys(cls: type[Any]) -> typing.Iterator[str]:
    """Every key of a tree of settings, tables too."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        arguments = typing.get_args(hints[field.name])
        inner = arguments[0] if arguments and dataclasses.is_dataclass(arguments[0]) else hints[field.name]
        yield field.name
        if dataclasses.is_dataclass(inner):
            yield from keys(typing.cast(type[Any], inner))


def test_the_reference_has_every_key_with_what_it_means(site: Path) -> None:
    text = (site / "configuration.html").read_text(encoding="utf-8")
    rows = re.findall(r"<tr>\s*<td><code>(\w+)</code></td>(.*?)</tr>", text, re.S)
    assert {name for name, _ in rows} | {"events", "clips", "blank", "source", "rule", "box", "web"} >= {
        *keys(Settings), *keys(HubSettings)
    }  # fmt: skip
    silent = [name for name, cells in rows if re.search(r"<td></td>\s*$", cells)]
    assert not silent, f"a comment behind the field becomes its description: {silent}"
    assert "tcp://127.0.0.1:5555" in text and "as in <code>[events]</code>" in text


def test_every_command_is_in_the_reference(site: Path) -> None:
    text = (site / "commands.html").read_text(encoding="utf-8")

    def check(name: str, command: click.Command) -> None:
        assert f">{name}<" in text, name
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.opts[0] in text, f"{name} {option.opts[0]}"
        if isinstance(command, click.Group):
            for inner, of in command.commands.items():
                check(f"{name} {inner}", of)

    for name, command in cli.commands.items():
        check(f"glatd {name}", command)
