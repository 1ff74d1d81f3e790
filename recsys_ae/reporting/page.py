"""Results as one HTML file that needs nothing beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template
from typing import assert_never

from recsys_ae.provenance import installed
from recsys_ae.reporting.axes import Figure
from recsys_ae.reporting.tables import Table

_TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True, slots=True)
class Text:
    """Paragraphs, divided by blank lines. `small`: remarks on how something is read."""

    text: str
    small: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values. `marked`: the names of those to emphasise."""

    facts: Mapping[str, object]
    marked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Ranking:
    """A numbered list under a label."""

    label: str
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures side by side where there is room."""

    figures: Sequence[Figure]


@dataclass(frozen=True, slots=True)
class Cards:
    """Small boxes side by side where there is room, each under its heading."""

    cards: Sequence[tuple[str, Sequence[Block]]]


@dataclass(frozen=True, slots=True)
class Fold:
    """What stands behind a label, closed at first."""

    label: str
    blocks: Sequence[Block]


Block = Text | Facts | Ranking | Table | Figures | Cards | Fold


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it, in this order. `above`: what the section is part of, in small
    letters above the heading."""

    heading: str
    blocks: Sequence[Block] = field(default=())
    above: str = ""


@dataclass(frozen=True, slots=True)
class Lead:
    """The conclusion: sentences, each with its subject if it begins with one, and remarks on how they are
    read."""

    sentences: Sequence[tuple[str, str]]
    notes: Sequence[str] = ()


def page(title: str, sections: Sequence[Section], *, subtitle: str = "", lead: Lead | None = None) -> str:
    """A whole HTML document: light or dark as the reader's system is, no script, nothing fetched from
    elsewhere. `lead` stands before all sections. All texts are escaped; only the drawings are taken as they
    are."""
    body = "\n".join(_section(section) for section in sections)
    template = Template(_TEMPLATE.read_text(encoding="utf-8"))
    version = installed(("recsys-ae",)).get("recsys-ae", "")  # none where it runs from a folder
    parts = {
        "title": escape(title),
        "subtitle": f'<p class="subtitle">{escape(subtitle)}</p>' if subtitle else "",
        "lead": "" if lead is None else _lead(lead),
        "version": escape(version),
    }
    return template.substitute(parts, body=body)


def _lead(lead: Lead) -> str:
    lines = []
    for subject, sentence in lead.sentences:
        rest = sentence.removeprefix(subject)
        strong = f"<strong>{escape(subject)}</strong>" if subject and rest != sentence else ""
        lines.append(f"<p>{strong}{_unbroken(escape(rest if strong else sentence))}</p>")
    lines += [f'<p class="small">{escape(note)}</p>' for note in lead.notes]
    texts = "\n".join(lines)
    return f'<section class="conclusion" aria-label="Conclusion">\n{texts}\n</section>'


def _unbroken(text: str) -> str:
    """The text with no line break within "0.1 ± 0.02" and "p &lt; 0.001"."""
    return re.sub(r" (±|&lt;|=) (?=\d)", "\N{NO-BREAK SPACE}\\1\N{NO-BREAK SPACE}", text)


def _section(section: Section) -> str:
    blocks = "\n".join(map(_block, section.blocks))
    above = f'<p class="above">{escape(section.above)}</p>\n' if section.above else ""
    return f"<section>\n{above}<h2>{escape(section.heading)}</h2>\n{blocks}\n</section>"


def _block(block: Block) -> str:
    match block:
        case Text(text, small):
            kind = ' class="small"' if small else ""
            paragraphs = [part for part in re.split(r"\n\s*\n", text) if part.strip()]
            return "\n".join(f"<p{kind}>{escape(part.strip())}</p>" for part in paragraphs)
        case Facts(facts, marked):
            kinds = {name: ' class="marked"' if name in marked else "" for name in facts}
            rows = (
                f"<div{kinds[name]}><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>"
                for name, value in facts.items()
            )
            return f"<dl>{''.join(rows)}</dl>"
        case Ranking(label, lines):
            items = "".join(f"<li>{escape(line)}</li>" for line in lines)
            return f'<p class="label">{escape(label)}</p>\n<ol>{items}</ol>\n'
        case Table():
            return (
                f'<div class="scroll" tabindex="0" role="group" aria-label="table">\n{block.html()}\n</div>'
            )
        case Figures(figures):
            return f'<div class="figures">\n{"".join(map(_figure, figures))}</div>'
        case Cards(cards):
            texts = (
                f"<article>\n<h3>{escape(heading)}</h3>\n{''.join(map(_block, blocks))}\n</article>\n"
                for heading, blocks in cards
            )
            return f'<div class="cards">\n{"".join(texts)}</div>'
        case Fold(label, blocks):
            inner = "\n".join(map(_block, blocks))
            return f"<details>\n<summary>{escape(label)}</summary>\n{inner}\n</details>"
        case _:
            assert_never(block)


def _figure(figure: Figure) -> str:
    note = f'<p class="small">{escape(figure.note)}</p>\n' if figure.note else ""
    return (
        f"<figure>\n<figcaption>{escape(figure.title)}</figcaption>\n{figure.wide}\n{figure.narrow}\n{note}"
        "</figure>\n"
    )
