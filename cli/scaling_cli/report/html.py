"""The page: one file that needs nothing else, in the order in which a reader asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from scaling_cli.report import tables, tables_changes, tables_compression, tables_trials
from scaling_cli.report.markup import Html, joined, json_text, raw_text, tag
from scaling_cli.report.numbers import duration, flops, plural
from scaling_cli.report.render import Rendered, pictures_missing
from scaling_cli.report.reproduce import commands, experiment_yaml
from scaling_cli.report.story import Card, Level, Remark, Verdict, cards, question, verdict
from scaling_cli.report.tables import Table
from scaling_cli.report.theme import Scale, as_variables, css_variables
from scaling_cli.report.view import ReportView
from scaling_laws.records import has_result

# The browser itself then refuses every request. Vega compiles its expressions, hence 'unsafe-eval'.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; img-src data:; "
    "font-src 'none'; connect-src 'none'; form-action 'none'; base-uri 'none'"
)
_SIGNS = {Level.GOOD: "✓", Level.NOTE: "i", Level.CARE: "!", Level.BAD: "✕"}
_WORDS = {Level.GOOD: "good", Level.NOTE: "note", Level.CARE: "caution", Level.BAD: "problem"}


@dataclass(frozen=True)
class _Section:
    anchor: str
    title: str
    body: Html


def page(view: ReportView, drawn: Sequence[Rendered], *, scales: Sequence[Scale], bundle: str) -> str:
    """Return the whole document.

    Args:
        view: what is reported.
        drawn: the figures in order.
        scales: colours beside the fixed roles.
        bundle: JavaScript that makes charts interactive; empty leaves them as drawings.
    """
    title = f"{view.name} · scaling laws"
    head = tag("head", *_head(title, scales))
    body = tag(
        "body", _header(view), tag("main", *_main(view, drawn)), _footer(drawn), *_scripts(drawn, scales, bundle)
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _head(title: str, scales: Sequence[Scale]) -> list[Html]:
    return [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        raw_text("style", _colours(scales) + _asset("page.css")),
    ]


def _colours(scales: Sequence[Scale]) -> str:
    light, dark = css_variables(scales, dark=False), css_variables(scales, dark=True)
    return (
        f":root{{{light}}}\n"
        f"@media screen and (prefers-color-scheme: dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f"@media screen{{:root[data-theme=dark]{{{dark}}}}}\n"
    )


def _header(view: ReportView) -> Html:
    button = tag("button", "Dark mode", type="button", id="theme", hidden=True)
    top = tag("div", tag("p", "Scaling experiment", class_="kicker"), button, class_="top")
    return tag(
        "header",
        top,
        tag("h1", view.name),
        tag("p", question(view.experiment), class_="question"),
        tag("p", _summary(view), class_="summary"),
    )


def _summary(view: ReportView) -> str:
    done = sum(has_result(r) for r in view.trials)
    parts = [f"{plural(done, 'model')} measured", f"{plural(len(view.analysis.dense), 'dense point')} in the fit"]
    spent = sum(r.spec.flops for r in view.trials if r.status.state.is_finished)
    parts += [f"{flops(spent)} FLOPs"] if spent else []
    parts += [duration(view.measured.wall_time_s)] if view.measured.wall_time_s is not None else []
    return " · ".join(parts)


def _main(view: ReportView, drawn: Sequence[Rendered]) -> list[Html]:
    found = [*map(_card, cards(view))]
    top = [tag("div", *found, class_="cards", style=f"--columns:{_columns(len(found))}")] if found else []
    sections = [_figures(drawn), *_tables(view), _reproduction(view)]
    links = [tag("a", s.title, href=f"#{s.anchor}") for s in sections]
    nav = tag("nav", *links, aria_label="Sections")
    return [*top, _verdict(verdict(view)), nav, *map(_section, sections)]


def _columns(cards: int) -> int:
    """Return how many cards stand side by side, so that the last row is full where it can be."""
    return cards if cards <= 5 else next((n for n in (4, 3, 5) if cards % n == 0), 4)


def _card(card: Card) -> Html:
    return tag(
        "div",
        tag("p", card.title, class_="label"),
        tag("p", card.value, class_="value"),
        tag("p", card.detail, class_="detail"),
        class_="card",
    )


def _verdict(said: Verdict) -> Html:
    heading = tag("h2", _sign(said.level), said.headline)
    groups = [_remarks(topic, [r for r in said.remarks if r.topic == topic]) for topic in ("law", "pipeline", "answer")]
    return tag("section", heading, tag("p", said.summary), *groups, class_=f"verdict {said.level}", id="verdict")


def _remarks(topic: str, remarks: Sequence[Remark]) -> Html | None:
    """Return what was found: of laws at once, of pipelines and answers, where it is much, at a click."""
    if not remarks:
        return None
    listed = tag("ul", *map(_remark, remarks))
    if topic == "law" or len(remarks) <= 2:
        return listed
    titles = ", ".join(dict.fromkeys(r.title.lower() for r in remarks))
    level = next(
        level for level in (Level.BAD, Level.CARE, Level.GOOD, Level.NOTE) if level in {r.level for r in remarks}
    )
    summary = tag("summary", _sign(level), f" {plural(len(remarks), 'finding')} about {topic}s: {titles}")
    return tag("details", summary, listed)


def _remark(r: Remark) -> Html:
    about = tag("span", f" ({', '.join(r.about)})", class_="about") if r.about else None
    words = joined(tag("strong", r.title, title=r.code), about, ": ", r.message)
    return tag("li", _sign(r.level), tag("span", words), class_=r.level)


def _sign(level: Level) -> Html:
    mark = tag("span", _SIGNS[level], aria_hidden="true", class_="mark")
    return tag("span", mark, tag("span", f"{_WORDS[level]}: ", class_="unseen"), class_=f"sign {level}")


def _figures(drawn: Sequence[Rendered]) -> _Section:
    there = tag("div", *(_figure(r) for r in drawn if r.svg), class_="figures")
    missing = [tag("li", tag("strong", r.figure.title), ": ", r.figure.missing) for r in drawn if not r.svg]
    words = tag("div", "Not drawn:", tag("ul", *missing), class_="missing") if missing else None
    return _Section("charts", "Charts", joined(there, words))


def _figure(r: Rendered) -> Html:
    f = r.figure
    words = tag("figcaption", tag("h3", f.title), tag("p", f.caption))
    plot = tag("div", Html(r.svg), class_="plot", id=f.name, role="img", aria_label=f.alt)
    return tag("figure", words, plot, class_="figure wide" if f.is_wide else "figure")


def _tables(view: ReportView) -> list[_Section]:
    results = [*tables.coefficient_tables(view), tables.backtests_table(view), tables.answers_table(view)]
    results += [*tables_changes.change_tables(view), tables_compression.pipelines_table(view)]
    details = [_folded(t) for t in (tables_compression.candidates_table(view), tables_trials.points_table(view)) if t]
    numbers = [_table(t) for t in results if t is not None]
    trials = [
        _table(t) for t in (tables_trials.trials_table(view), tables_trials.failures_table(view)) if t is not None
    ]
    facts = [_table(tables_trials.run_table(view)), _table(tables_trials.recipe_table(view))]
    sections = (
        ("numbers", "Numbers", [*numbers, *details]),
        ("trials", "Trials", [*trials, _excluded(view)]),
        ("conditions", "Conditions", [tag("div", *facts, class_="facts")]),
    )
    return [_Section(anchor, title, joined(*body)) for anchor, title, body in sections if body]


def _excluded(view: ReportView) -> Html:
    sentences = view.analysis.excluded
    heading = tag("h3", "Left out of the fits")
    if not sentences:
        return joined(heading, tag("p", "Nothing: every finished point is in the fits that could use it."))
    return joined(heading, tag("ul", *(tag("li", s) for s in sentences[:200])))


def _table(table: Table) -> Html:
    return joined(tag("h3", table.title), _scrolled(table), *(tag("p", note, class_="aside") for note in table.notes))


def _folded(table: Table) -> Html:
    notes = [tag("p", note, class_="aside") for note in table.notes]
    return tag("details", tag("summary", f"{table.title} ({len(table.rows):,})"), _scrolled(table), *notes)


def _scrolled(table: Table) -> Html:
    kind = ["number" if i in table.numeric else None for i in range(len(table.columns))]
    heads = [tag("th", name, scope="col", class_=kind[i]) for i, name in enumerate(table.columns)]
    head = [tag("thead", tag("tr", *heads))] if any(table.columns) else []
    rows = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(tag("td", cell, class_=kind[i]) for i, cell in enumerate(row[1:], 1)),
        )
        for row in table.rows
    ]
    inner = tag("table", *head, tag("tbody", *rows))
    return tag("div", inner, class_="scroll", role="region", aria_label=table.title, tabindex="0")


def _reproduction(view: ReportView) -> _Section:
    steps = tag("ol", *(tag("li", says, tag("pre", tag("code", line))) for says, line in commands(view)))
    yaml = tag("details", tag("summary", "experiment.yaml"), tag("pre", tag("code", experiment_yaml(view.experiment))))
    return _Section("reproduce", "Reproduce", joined(steps, yaml))


def _section(s: _Section) -> Html:
    return tag("section", tag("h2", s.title), s.body, id=s.anchor)


def _footer(drawn: Sequence[Rendered]) -> Html:
    words = "Losses are in nats. The charts of this page are in charts/ too, as PNG and as Vega-Lite specs."
    return tag("footer", tag("p", f"{words} {pictures_missing(drawn)}".rstrip()))


def _scripts(drawn: Sequence[Rendered], scales: Sequence[Scale], bundle: str) -> list[Html]:
    if not bundle:
        return [raw_text("script", _asset("page.js"))]
    specs = [
        raw_text(
            "script",
            json_text(as_variables(r.embedded_spec, scales)),
            type="application/json",
            data_chart=r.figure.name,
        )
        for r in drawn
        if r.spec is not None
    ]
    return [*specs, raw_text("script", bundle), raw_text("script", _asset("page.js"))]


def _asset(name: str) -> str:
    return files("scaling_cli.report").joinpath(name).read_text(encoding="utf-8")
