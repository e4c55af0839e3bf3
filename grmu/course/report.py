"""The report about deletion requests: written from the results of a run, and checked against them.

    page = write_report({"group": train.group_names, "after": [98.2, 99.6, 87.4, 61.8], ...})
    check_report(page, results)     # rejects a number that the run did not produce

The template is report.md, beside this file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Any

from grmu.data import require, short_repr

TEMPLATE = (Path(__file__).parent / "report.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"(?<![\w.])[+\u2212-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\w|\.\d)")
NO_RESULT = re.compile(  # numbers that no run produces: ids, dates, references, marks of a list
    r"\b[a-z]+-\d+\b|\b\d{4}-\d\d-\d\d\b|\b\d{1,2} [A-Z][a-z]+ \d{4}\b|^\s*\d+\.\s"
    r"|\b(?:[Aa]rticles?|[Ll]essons?|[Ss]ections?|Opinion) \d[\d./()]*")
Results = Mapping[str, Any]  # by name: a number, a text, or a sequence of either with an entry a group


def write_report(results: Results, template: str = TEMPLATE) -> str:
    """Replace the template's {names} by the results of the run.

    Args:
        results: Numbers and texts by name; a sequence has one entry per group, and `group` holds the names.
        template: Lines with {name} or {name:.1f}; a line that contains [#] is repeated for every group.

    Raises:
        ValueError: The template names something that is not among the results.
    """
    return "".join(_filled(line, results) + "\n" for line in _lines(results, template))


def check_report(text: str, results: Results, template: str = TEMPLATE) -> int:
    """Check every number of a report against the results of the run; return how many numbers it has.

    In a line of the template, each number must be the result of that name. In any other line, it must be one
    of the results, to the digits that are given. Ids, dates and numbers of articles or lessons are ignored.

    Raises:
        ValueError: A number, or a text of the template, differs: where it is, and what the result is.
    """
    lines = [list(Formatter().parse(line)) for line in _lines(results, template)]
    known = [(_pattern(parts), parts) for parts in lines
             if sum(map(str.isalnum, "".join(text for text, *_ in parts))) > 2]
    problems, n = [], 0
    for at, line in enumerate(text.splitlines(), 1):
        n += len(NUMBER.findall(_blanked(line, results)))
        match, parts = next(((m, p) for form, p in known if (m := form.fullmatch(line))), (None, []))
        wrong = _misplaced(match.groups(), parts, results) if match else _strange(line, results)
        problems += [f"Line {at}: {what}" for what in wrong]
    require(not problems, "\n".join(problems))
    return n


def _lines(results: Results, template: str) -> Iterator[str]:
    """The template's lines, those of groups once a group."""
    names = [name.replace("{", "{{").replace("}", "}}") for name in results.get("group", ())]
    for line in template.splitlines():
        every = [line.replace("{group[#]}", name).replace("[#]", f"[{i}]") for i, name in enumerate(names)]
        yield from every if "[#]" in line else [line]


class _Words(Formatter):
    """What is NaN was not measured."""

    def format_field(self, value: Any, form: str) -> str:
        return "not measured" if isinstance(value, float) and math.isnan(value) else format(value, form)


def _filled(part: str, results: Results) -> str:
    try:
        return _Words().vformat(part, (), results)
    except (KeyError, IndexError) as error:
        raise ValueError(f"the page asks for {error}, which is not among the results: "
                         f"{short_repr(part)}.") from None


def _pattern(parts: Sequence[tuple[Any, ...]]) -> re.Pattern[str]:
    """What a filled line looks like, a group of the pattern for every field."""
    return re.compile("".join(re.escape(text) + "(.+?)" * (name is not None) for text, name, *_ in parts))


def _misplaced(written: Sequence[str], parts: Sequence[tuple[Any, ...]], results: Results) -> Iterator[str]:
    """Yield what differs, in a line of the template, from the results of those names."""
    fields = [(name, "{" + name + ":" + (form or "") + "}") for _, name, form, _ in parts if name is not None]
    for value, (name, field) in zip(written, fields, strict=True):
        exact, right = Formatter().get_field(name, (), results)[0], _filled(field, results)
        if value != right and (isinstance(exact, str) or not _same(value, exact)):
            yield f"{value} stands where {name} belongs, and the run says {right}."


def _strange(line: str, results: Results) -> Iterator[str]:
    """Numbers of a line that are none of the run's."""
    every = {name: value for name, value in _flat(results) if not isinstance(value, str)}
    for match in NUMBER.finditer(_blanked(line, results)):
        if not any(_same(match[0], value) for value in every.values()):
            x = abs(_value(match[0]))
            near = sorted((abs(abs(v) - x), name) for name, v in every.items() if v == v)[:1]
            nearest = "".join(f"; the nearest is {name}, {every[name]:.6g}" for _, name in near)
            yield f"{match[0]} in {line.strip()[:60]!r} is none of the run's numbers{nearest}."


def _flat(results: Results) -> Iterator[tuple[str, Any]]:
    """Every number and text with its name, such as after[3]."""
    for name, value in results.items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            yield from ((f"{name}[{i}]", one) for i, one in enumerate(value))
        else:
            yield name, value


def _blanked(line: str, results: Results) -> str:
    """The line without what may hold digits of its own: ids, dates, references, the run's texts."""
    for text in sorted((v for _, v in _flat(results) if isinstance(v, str) and v), key=len, reverse=True):
        line = line.replace(text, " ")
    return NO_RESULT.sub(" ", line)


def _value(number: str) -> float:
    return float(number.replace(",", "").replace("\u2212", "-"))


def _same(number: str, exact: float) -> bool:
    """Whether they are equal to the digits given. Without a sign it may be the size of a loss."""
    if not NUMBER.fullmatch(number):
        return False
    x, digits = _value(number), len(number.partition(".")[2])
    return abs(x - (exact if number[0] in "+-\u2212" else abs(exact))) <= 0.5 * 10**-digits + 1e-9
