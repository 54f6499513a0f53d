"""Tables of scores for the terminal, and the line on where the data come from."""

import math
from collections.abc import Mapping

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tpl_lightning.data import EmbeddingCache
from tpl_lightning.evaluation import Scores
from tpl_lightning.files import one_line

ROW_NAMES = {
    "linear": "linear rescaling",
    "pad": "zero-padding",
    "dba": "DBA",
    "softdba": "SoftDBA",
    "dtan": "DTAN",
    "tpl": "TPL",
    "direct": "direct fit",
    "tpl_plus": "TPL+",
    "tcc": "TCC, direct fit",
    "lav": "soft-DTW contrastive (LAV), direct fit",
}
_VARIANTS = {"wcss": "(WCSS)", "wcss_prior": "(WCSS + prior)", "icae": "(ICAE)"}
REFINED = "+refined"
"""Ends the name of a method whose warps were refined by the direct fit."""
_COLUMNS = {"train/cbc": ("CBC", True), "test/plp": ("PLP", True), "event_spread": ("key-event spread", False)}
_WARP_ERROR = {"warp_error": ("warp error", False)}
_ON_EMBEDDINGS = {"test/phase_accuracy": "phase accuracy", "test/kendall_tau": "Kendall's τ"}


def method_name(method: str) -> str:
    """Return how a method is called in tables."""
    base = method.removesuffix(REFINED)
    name, _, variant = base.partition(":")
    shown = ROW_NAMES.get(name, name) + (f" {_VARIANTS.get(variant, f'γ={variant}')}" if variant else "")
    return shown + (", refined" if base != method else "")


def data_source(cache: EmbeddingCache) -> str:
    """Say in one line what was measured on; procedural data are called what they are."""
    if cache.is_procedural:
        return (
            f"procedural clips rendered by this project ({cache.extractor} features): "
            "not comparable with the paper's figures"
        )
    return f"{cache.dataset}, {cache.extractor} features ({cache.path.name})"


def _cells(rows: Mapping[str, dict[str, float]], columns: Mapping[str, tuple[str, bool]]) -> list[list[str]]:
    """Format the scores of several methods, the best of each column in bold."""
    values = np.array([[row.get(name, math.nan) for name in columns] for row in rows.values()])
    worth = values * [1 if higher else -1 for _, higher in columns.values()]
    is_best = (worth == np.nan_to_num(worth, nan=-math.inf).max(axis=0)) & (len(rows) > 1)
    texts = [["-" if math.isnan(value) else f"{value:.3f}" for value in row] for row in values]
    return [
        [f"[bold]{text}[/bold]" if best else text for text, best in zip(*row, strict=True)]
        for row in zip(texts, is_best, strict=True)
    ]


def _embedding_line(scores: dict[str, float]) -> str:
    """Say what was measured on the test videos' embeddings; empty where nothing was."""
    parts = []
    for name, label in _ON_EMBEDDINGS.items():
        value, raw = scores.get(name, math.nan), scores.get(f"{name}_raw", math.nan)
        if not math.isnan(value):
            parts.append(f"{label} {value:.3f}" + ("" if math.isnan(raw) else f" ({raw:.3f} before alignment)"))
    return "Embeddings of test videos: " + ", ".join(parts) + "." if parts else ""


def print_scores(scores: Mapping[str, Scores], source: str, console: Console | None = None) -> None:
    """Print one block per action and one overall; a row per method."""
    console = Console() if console is None else console
    first = next(iter(scores.values()))
    columns = dict(_COLUMNS)
    if not math.isnan(first.overall.get("warp_error", math.nan)):
        columns |= _WARP_ERROR
    title = escape(f"Data: {one_line(source)}")
    table = Table(title=title, title_justify="left", caption="CBC: training videos. PLP: test videos.")
    table.add_column("action")
    table.add_column("method")
    for label, higher in columns.values():
        table.add_column(f"{label} {'↑' if higher else '↓'}", justify="right")
    for action in [*first.per_action, "all"]:
        rows = {m: s.overall if action == "all" else s.per_action[action] for m, s in scores.items()}
        for i, (method, cells) in enumerate(zip(rows, _cells(rows, columns), strict=True)):
            name = method_name(method)
            table.add_row(escape(one_line(action)) if i == 0 else "", name, *cells, end_section=i == len(rows) - 1)
    console.print(table)
    if line := _embedding_line(list(scores.values())[-1].overall):
        console.print(line)
    if all(math.isnan(first.overall[name]) for name in ("train/cbc", "test/plp")):
        console.print("No labelled frames: CBC, PLP and key-event spread need phase labels in the cache.")
