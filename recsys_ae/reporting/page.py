"""Results as one HTML file that needs nothing beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template

from recsys_ae.provenance import installed
from recsys_ae.reporting.tables import Table

_TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG document as plots.py writes it, and a sentence below it."""

    svg: str
    caption: str = ""

    @classmethod
    def read(cls, path: Path, caption: str = "") -> Picture:
        """The SVG file at `path`."""
        return cls(path.read_text(encoding="utf-8"), caption)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it, in this order: paragraphs of `text` (divided by blank lines),
    `facts` as name and value, `table`, `pictures`. What is empty is left out. `fold`: the label of a fold
    that the table stands behind, closed at first; "" shows the table."""

    heading: str
    text: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    table: Table | None = None
    pictures: Sequence[Picture] = ()
    fold: str = ""


def page(title: str, sections: Sequence[Section]) -> str:
    """A whole HTML document: light or dark as the reader's system is, no script, nothing fetched from
    elsewhere. All texts are escaped; only `svg` is taken as it is."""
    numbered = iter(range(1, 1 + sum(len(section.pictures) for section in sections)))
    body = "\n".join(_section(section, [next(numbered) for _ in section.pictures]) for section in sections)
    template = Template(_TEMPLATE.read_text(encoding="utf-8"))
    version = installed(("recsys-ae",)).get("recsys-ae", "")  # none where it runs from a folder
    return template.substitute(title=escape(title), body=body, version=escape(version))


def _section(section: Section, numbers: Sequence[int]) -> str:
    parts = [f"<section>\n<h2>{escape(section.heading)}</h2>"]
    parts += [f"<p>{escape(text.strip())}</p>" for text in re.split(r"\n\s*\n", section.text) if text.strip()]
    if section.facts:
        facts = "".join(
            f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in section.facts.items()
        )
        parts.append(f"<dl>{facts}</dl>")
    if section.table is not None:
        table = f'<div class="scroll" tabindex="0">\n{section.table.html()}\n</div>'
        if section.fold:
            table = f"<details>\n<summary>{escape(section.fold)}</summary>\n{table}\n</details>"
        parts.append(table)
    parts += [_picture(picture, number) for picture, number in zip(section.pictures, numbers, strict=True)]
    return "\n".join([*parts, "</section>"])


def _picture(picture: Picture, number: int) -> str:
    """The <svg> element alone (its prolog names a DTD on a server), with ids that no other picture has."""
    svg = picture.svg[picture.svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="picture{number}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\1picture{number}-", svg)
    label = escape(picture.caption or "plot")
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    caption = f"\n<figcaption>{escape(picture.caption)}</figcaption>" if picture.caption else ""
    return f"<figure>\n{svg}{caption}\n</figure>"
