"""What `mkdocs build` makes of the repository beside the pages in docs/.

- Pages that live elsewhere (CHANGELOG.md, CONTRIBUTING.md, data/README.md, benchmarks/*.md) are taken into the site,
  and links to them, or from them, are turned to the pages.
- The reference is generated: a page for each room of the package, read from its door (``__init__.pyi``), the options
  from their dataclasses, the commands from their help.
- Equations become MathML, so that pages need no script and no network.
- ``*`` in the navigation stands for the pages of a folder.
"""

import ast
import base64
import contextlib
import fnmatch
import html
import io
import json
import posixpath
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tpl_lightning"
TAKEN = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "data/README.md": "reference/data.md",
    **{f"benchmarks/{path.name}": f"benchmarks/{path.name}" for path in sorted((ROOT / "benchmarks").glob("*.md"))},
    **{f"benchmarks/{path.name}": f"benchmarks/{path.name}" for path in sorted((ROOT / "benchmarks").glob("*.png"))},
}
"""Files outside of docs/ by their place in the site."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and write out what ``*`` stands for."""
    from mkdocs.structure.files import InclusionLevel

    made = {uri: (ROOT / path).read_bytes() for path, uri in TAKEN.items()}
    made |= api_pages() | {"reference/options.md": options_page(), "reference/commands.md": commands_page()}
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        made |= notebook_page(path)
    for uri, content in made.items():
        files.append(File.generated(config, uri, content=content, inclusion=InclusionLevel.INCLUDED))
    pages = sorted((file.src_uri for file in files.documentation_pages()), key=lambda uri: uri.removesuffix(".md"))
    config.nav = list(_expanded(config.nav or [], pages, set(_named(config.nav or []))))
    return files


def _named(nav: list[Any]) -> Iterator[str]:
    for item in nav:
        value = next(iter(item.values())) if isinstance(item, dict) else item
        if isinstance(value, list):
            yield from _named(value)
        elif "*" not in value:
            yield value


def _expanded(nav: list[Any], pages: list[str], named: set[str]) -> Iterator[Any]:
    """Yield the items of a navigation with patterns replaced by the pages that fit and are not named elsewhere."""
    for item in nav:
        title, value = next(iter(item.items())) if isinstance(item, dict) else (None, item)
        if isinstance(value, list):
            yield {title: list(_expanded(value, pages, named))}
        elif "*" in value:
            found = [page for page in pages if fnmatch.fnmatch(page, value) and page not in named]
            if title == "*":
                yield from found
            elif found:
                yield {title: found}
        else:
            yield item


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository to the pages of the site."""
    places = {uri: path for path, uri in TAKEN.items()}
    origin = PurePosixPath(places.get(page.file.src_uri, f"docs/{page.file.src_uri}"))

    def turned(match: re.Match[str]) -> str:
        text, target, anchor = match.group(1), match.group(2), match.group(3) or ""
        if "://" in target or target.startswith(("mailto:", "/")):
            return match.group(0)
        path = posixpath.normpath(str(origin.parent / target))
        uri = TAKEN.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if uri is None:  # a file of the repository that is no page
            return text if (ROOT / path).exists() and not text.startswith("!") else match.group(0)
        return f"{text}({posixpath.relpath(uri, str(PurePosixPath(page.file.src_uri).parent))}{anchor})"

    return re.sub(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^)#\s]+)(#[^)\s]*)?\)", turned, markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Render equations as MathML."""
    from latex2mathml.converter import convert

    def rendered(match: re.Match[str]) -> str:
        latex = html.unescape(match.group(2)).strip()
        display = "block" if latex.startswith(r"\[") else "inline"
        # Bars of a norm keep their size, or an exponent on one of them pulls it down.
        return convert(latex[2:-2].strip(), display=display).replace(
            "<mo>&#x02016;</mo>", '<mo stretchy="false">&#x02016;</mo>'
        )

    return re.sub(r'<(span|div) class="arithmatex">(.*?)</\1>', rendered, content, flags=re.DOTALL)


def doors() -> dict[str, dict[str, list[str]]]:
    """Return what each room exports, by the module that holds it: {room: {module: names}}."""
    found = {}
    for stub in sorted(PACKAGE.rglob("__init__.pyi")):
        room = ".".join(stub.parent.relative_to(ROOT).parts)
        modules: dict[str, list[str]] = {}
        for node in ast.parse(stub.read_text()).body:
            if isinstance(node, ast.ImportFrom) and node.level:
                parent = room.split(".")
                parent = parent[: len(parent) - node.level + 1]
                module = ".".join([*parent, *([node.module] if node.module else [])])
                modules.setdefault(module, []).extend(alias.name for alias in node.names)
        found[room] = modules
    return found


def api_pages() -> dict[str, str]:
    """Return a page for each room: its docstring, then what its door exports."""
    pages = {}
    for room, modules in doors().items():
        if room == "tpl_lightning.api":  # the page of the package itself has it
            continue
        path = PACKAGE.parent.joinpath(*room.split("."), "__init__.py")
        purpose = ast.get_docstring(ast.parse(path.read_text())) or ""
        lines = [f"# {room}", "", re.sub(r":\w+:`~?([\w.]+)`", r"`\1`", purpose), ""]
        names = [name for listed in modules.values() for name in listed]
        lines += ["```python", f"from {room} import {names[0]}" + (", ..." if names[1:] else ""), "```", ""]
        for module, listed in modules.items():
            known = _defined(module)
            for name in listed:
                lines += [f"::: {room}.{name}", ""] if name in known else []
        pages[f"reference/api/{room.removeprefix('tpl_lightning.')}.md"] = "\n".join(lines)
    return pages


def _defined(module: str) -> set[str]:
    """Return what a module defines by a statement of its own; `A, B = 1, 2` shows in the code alone."""
    path = ROOT.joinpath(*module.split("."))
    if path.is_dir():  # a room, by its door
        return {name for inner, listed in doors()[module].items() for name in listed if name in _defined(inner)}
    tree = ast.parse(path.with_suffix(".py").read_text())
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tpl_lightning."):
            names |= {alias.name for alias in node.names}
    return names


def options_page() -> str:
    """Return the page of all options of a fit, from their dataclasses."""
    from tpl_lightning.config import Config

    head = """# Options

Every option of `tpl fit`, `tpl bench` and of `Synchronizer(options={...})`. This page is made from the dataclasses in
`tpl_lightning/config/`. Written `key=value` on the command line, nested in YAML; later ones win, and arguments win over
files. An empty value is written `null`.

"""
    return head + "\n".join(_group(Config, ""))


def _group(cls: type, prefix: str) -> list[str]:
    from tpl_lightning.commands.options import field_docs

    docs, hints, rows, below = field_docs(cls), get_type_hints(cls), [], []
    for item in fields(cls):
        default = item.default if item.default_factory is MISSING else item.default_factory()
        if is_dataclass(default):
            below += ["", f"## {item.name}", "", (type(default).__doc__ or "").split("\n\n")[0], ""]
            below += _group(type(default), f"{prefix}{item.name}.")
            continue
        shown = "" if default is None else json.dumps(default, ensure_ascii=False).replace('"', "")
        kind = _kind(hints[item.name])
        meaning = " ".join(docs.get(item.name, "").split()).replace("|", "\\|")
        rows.append(f"| `{prefix}{item.name}` | {f'`{shown}`' if shown else 'empty'} | {kind} | {meaning} |")
    return ["| option | default | values | meaning |", "|---|---|---|---|", *rows, *below]


def _kind(hint: Any) -> str:
    """Return the values of a type in words."""
    if get_origin(hint) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(hint))
    if get_origin(hint) is list:
        return f"list of {_kind(get_args(hint)[0])}"
    if get_origin(hint) is dict:
        return "`key=value`"
    if type(None) in get_args(hint):
        return " or ".join(_kind(part) for part in get_args(hint) if part is not type(None)) + ", or `null`"
    words = {int: "integer", float: "number", str: "text", bool: "`true`, `false`"}
    return words.get(hint, "integer or list of them")


def commands_page() -> str:
    """Return the page of all commands: what ``--help`` prints."""
    from tpl_lightning.__main__ import COMMANDS, main

    lines = ["# Commands", "", "What `tpl COMMAND --help` prints. `python -m tpl_lightning` is the same as `tpl`.", ""]
    for name in COMMANDS:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            main([name, "--help"])
        text = out.getvalue().partition("\noptions (key=default):\n  method=")  # options of a fit have their own page
        lines += [f"## tpl {name}", "", "```text", text[0].rstrip(), "```", ""]
        lines += ["All options: [Options](options.md).", ""] if text[2] else []
    return "\n".join(lines)


def notebook_page(path: Path) -> dict[str, str | bytes]:
    """Return a notebook as a page, and the pictures among its outputs."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    made: dict[str, str | bytes] = {}
    lines: list[str] = []
    for number, cell in enumerate(cells):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            lines += [source, ""]
            continue
        lines += ["```python", source, "```", ""]
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                uri = f"notebooks/{path.stem}_{number}.png"
                made[uri] = base64.b64decode(data["image/png"])
                lines += [f"![Output of the cell above]({PurePosixPath(uri).name})", ""]
            elif "text/html" in data and "<video" in "".join(data["text/html"]):
                lines += ["".join(data["text/html"]), ""]
            else:
                text = "".join(output.get("text", data.get("text/plain", [])))
                lines += ["```text", text.rstrip(), "```", ""] if text.strip() else []
    note = f"This page is `docs/notebooks/{path.name}`; open it in Jupyter to run it."
    lines.insert(1, f"\n{note}\n")
    made[f"notebooks/{path.stem}.md"] = "\n".join(lines)
    return made
