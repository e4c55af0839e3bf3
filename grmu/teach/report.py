"""The page about requests to be forgotten: written from what a run found, and held against it.

    page = write_report({"group": train.group_names, "after": [98.2, 99.6, 87.4, 61.8], ...})
    check_report(page, found)       # refuses a number that the run did not produce

The template is report.md, beside this file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Any

from grmu.data import require, said

TEMPLATE = (Path(__file__).parent / "report.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"(?<![\w.])[+\u2212-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\w|\.\d)")
NO_RESULT = re.compile(  # numbers that no run produces: ids, dates, references, marks of a list
    r"\b[a-z]+-\d+\b|\b\d{4}-\d\d-\d\d\b|\b\d{1,2} [A-Z][a-z]+ \d{4}\b|^\s*\d+\.\s"
    r"|\b(?:[Aa]rticles?|[Ll]essons?|[Ss]ections?|Opinion) \d[\d./()]*")
Found = Mapping[str, Any]  # by name: a number, a text, or a sequence of either with an entry a group


def write_report(found: Found, template: str = TEMPLATE) -> str:
    """The page: the template's {names} replaced by what the run found.

    Args:
        found: numbers and texts by name; sequences have one entry a group, and `group` are the groups' names.
        template: lines with {name} or {name:.1f}; a line that holds [#] is repeated for every group.

    Raises:
        ValueError: the template asks for what was not found.
    """
    return "".join(_filled(line, found) + "\n" for line in _lines(found, template))


def check_report(text: str, found: Found, template: str = TEMPLATE) -> int:
    """Hold a page against what the run found; returns how many numbers stand in it.

    A line that follows the template must say what the run found under that name. In any other, a number must
    be one of the run's, to the digits that it has. Ids, dates and numbers of articles or lessons are free.

    Raises:
        ValueError: a number, or a text of the template, is not the run's: where, and what the run says.
    """
    lines = [list(Formatter().parse(line)) for line in _lines(found, template)]
    known = [(_pattern(parts), parts) for parts in lines
             if sum(map(str.isalnum, "".join(text for text, *_ in parts))) > 2]
    problems, n = [], 0
    for at, line in enumerate(text.splitlines(), 1):
        n += len(NUMBER.findall(_blanked(line, found)))
        match, parts = next(((m, p) for form, p in known if (m := form.fullmatch(line))), (None, []))
        wrong = _misplaced(match.groups(), parts, found) if match else _strange(line, found)
        problems += [f"Line {at}: {what}" for what in wrong]
    require(not problems, "\n".join(problems))
    return n


def _lines(found: Found, template: str) -> Iterator[str]:
    """The template's lines, those of groups once a group."""
    names = [name.replace("{", "{{").replace("}", "}}") for name in found.get("group", ())]
    for line in template.splitlines():
        every = [line.replace("{group[#]}", name).replace("[#]", f"[{i}]") for i, name in enumerate(names)]
        yield from every if "[#]" in line else [line]


class _Words(Formatter):
    """What is NaN was not measured."""

    def format_field(self, value: Any, form: str) -> str:
        return "not measured" if isinstance(value, float) and math.isnan(value) else format(value, form)


def _filled(part: str, found: Found) -> str:
    try:
        return _Words().vformat(part, (), found)
    except (KeyError, IndexError) as error:
        raise ValueError(f"the page asks for {error}, which the run did not find: {said(part)}.") from None


def _pattern(parts: Sequence[tuple[Any, ...]]) -> re.Pattern[str]:
    """What a filled line looks like, a group of the pattern for every field."""
    return re.compile("".join(re.escape(text) + "(.+?)" * (name is not None) for text, name, *_ in parts))


def _misplaced(written: Sequence[str], parts: Sequence[tuple[Any, ...]], found: Found) -> Iterator[str]:
    """What stands in a line of the template, and is not what was found under that name."""
    fields = [(name, "{" + name + ":" + (form or "") + "}") for _, name, form, _ in parts if name is not None]
    for value, (name, field) in zip(written, fields, strict=True):
        exact, right = Formatter().get_field(name, (), found)[0], _filled(field, found)
        if value != right and (isinstance(exact, str) or not _same(value, exact)):
            yield f"{value} stands where {name} belongs, and the run says {right}."


def _strange(line: str, found: Found) -> Iterator[str]:
    """Numbers of a line that are none of the run's."""
    every = {name: value for name, value in _flat(found) if not isinstance(value, str)}
    for match in NUMBER.finditer(_blanked(line, found)):
        if not any(_same(match[0], value) for value in every.values()):
            x = abs(_value(match[0]))
            near = sorted((abs(abs(v) - x), name) for name, v in every.items() if v == v)[:1]
            nearest = "".join(f"; the nearest is {name}, {every[name]:.6g}" for _, name in near)
            yield f"{match[0]} in {line.strip()[:60]!r} is none of the run's numbers{nearest}."


def _flat(found: Found) -> Iterator[tuple[str, Any]]:
    """Every number and text with its name, such as after[3]."""
    for name, value in found.items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            yield from ((f"{name}[{i}]", one) for i, one in enumerate(value))
        else:
            yield name, value


def _blanked(line: str, found: Found) -> str:
    """The line without what may hold digits of its own: ids, dates, references, the run's texts."""
    for text in sorted((v for _, v in _flat(found) if isinstance(v, str) and v), key=len, reverse=True):
        line = line.replace(text, " ")
    return NO_RESULT.sub(" ", line)


def _value(number: str) -> float:
    return float(number.replace(",", "").replace("\u2212", "-"))


def _same(number: str, exact: float) -> bool:
    """Is that what was found, to the digits that it has? Without a sign it may be the size of a loss."""
    if not NUMBER.fullmatch(number):
        return False
    x, digits = _value(number), len(number.partition(".")[2])
    return abs(x - (exact if number[0] in "+-\u2212" else abs(exact))) <= 0.5 * 10**-digits + 1e-9
