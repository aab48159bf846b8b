"""Reading a report page in tests: its elements and its text, with the standard library's parser."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input", "base", "embed", "source"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    def all(self, tag: str | None = None, kind: str | None = None) -> list[Element]:
        """List the elements below this one with that tag and that class."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                classes = child.attributes.get("class", "").split()
                if (tag is None or child.tag == tag) and (kind is None or kind in classes):
                    found.append(child)
                found += child.all(tag, kind)
        return found

    def by_id(self, name: str) -> Element:
        (found,) = [element for element in self.all() if element.attributes.get("id") == name]
        return found

    @property
    def raw(self) -> str:
        """Return its text unchanged, without that of summaries, which the page itself adds."""
        return "".join(
            child if isinstance(child, str) else "" if child.tag == "summary" else child.raw
            for child in self.children
        )

    @property
    def text(self) -> str:
        """Return its text with white space collapsed, as a reader sees it."""
        return " ".join(self.raw.split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Element("#root", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(html: str) -> Element:
    """Parse the page into a tree; an element closed by the wrong tag is an error."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert [element.tag for element in reader.open] == ["#root"], "an element was left open"
    return reader.open[0]


def cell_of(page: Element, claim: str, model: str) -> Element:
    """Return the cell of the matrix that links to this claim and model."""
    (found,) = [
        cell
        for cell in page.all("td", "cell")
        if any(link.attributes["href"] == f"#cell--{claim}--{model}" for link in cell.all("a"))
    ]
    return found
