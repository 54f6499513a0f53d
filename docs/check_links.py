"""Check every local link of the built site: ``python docs/check_links.py site``; exit code 1 where one leads nowhere.

`mkdocs build --strict` checks links in Markdown; here are those of HTML, pictures, scripts and anchors too. Nothing may
be loaded from elsewhere: pages work without a network. Addresses of other sites are not visited.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"link": "href", "script": "src", "img": "src", "video": "src", "source": "src", "iframe": "src"}


class _Page(HTMLParser):
    """What a page links to, what it loads, and its anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = {""}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {value for key in ("id", "name") if (value := given.get(key))}
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        address = given.get(LOADED.get(tag, ""))
        if address and given.get("rel") != "canonical":
            self.loaded.append(address)


def broken_links(site: Path) -> list[str]:
    """Return a line for each link that leads nowhere, and for each thing that is loaded from elsewhere."""
    pages = {}
    for path in sorted(site.rglob("*.html")):
        pages[path.resolve()] = page = _Page()
        page.feed(path.read_text(encoding="utf-8"))
    found = []
    for path, page in pages.items():
        if path.name == "404.html":  # its links are absolute, for it is shown at any address
            continue
        name = path.relative_to(site.resolve())
        for address in [*page.links, *page.loaded]:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if address in page.loaded and parts.scheme != "data":
                    found.append(f"{name}: loads {address}")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                found.append(f"{name}: {address}: no such file")
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                found.append(f"{name}: {address}: no such anchor")
    return found


def main(arguments: list[str]) -> int:
    """Check the site in a folder."""
    site = Path(arguments[0] if arguments else "site")
    found = broken_links(site)
    count = len(list(site.rglob("*.html")))
    print("\n".join([*found, f"{count} pages, {len(found)} broken links"]))
    return 1 if found or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
