"""Charts as SVG, drawn in this process: they need no network, in JupyterLab, in another viewer, and on paper.

Altair writes Vega-Lite 6, which no JupyterLab of today draws by itself, and its own way out loads a script from
elsewhere.
"""

from typing import Any

import altair as alt
import polars as pl
import vl_convert as vlc

# Okabe and Ito's colours, which people with any colour vision tell apart.
BLUE, ORANGE, GREEN, RED, SKY, PINK, GREY = (
    *("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#767676"),
)
SURFACES = alt.Scale(domain=["dry", "wet", "snow", "ice"], range=[ORANGE, BLUE, SKY, PINK])


def use() -> None:
    """Draw all charts of this kernel as SVG, in one look, and show tables whole."""
    pl.Config.set_tbl_rows(60)
    pl.Config.set_tbl_cols(20)
    pl.Config.set_fmt_str_lengths(100)
    pl.Config.set_tbl_hide_dataframe_shape(True)
    pl.Config.set_tbl_hide_column_data_types(True)
    alt.renderers.register("brakeline", _svg)
    alt.renderers.enable("brakeline")
    alt.theme.register("brakeline", enable=True)(_look)
    # The rows of a chart never leave this process.
    alt.data_transformers.disable_max_rows()


def few(rows: pl.DataFrame, most: int = 1500) -> pl.DataFrame:
    """So many of the rows that points can be told apart; always the same ones."""
    return rows.sample(min(most, rows.height), seed=0)


def _svg(spec: dict[str, Any], **_: Any) -> dict[str, str]:
    version = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    return {"image/svg+xml": vlc.vegalite_to_svg(spec, vl_version=version)}


def _look() -> alt.theme.ThemeConfig:
    return {
        "config": {
            "background": "white",
            # What measures the text has Liberation Sans, which is as wide as Arial; a browser without either is wider.
            "font": "Arial, Liberation Sans, Helvetica, sans-serif",
            # A font that is wider than the measured one needs room where labels begin.
            "padding": {"left": 34, "top": 14, "right": 14, "bottom": 14},
            "view": {"continuousWidth": 460, "continuousHeight": 280, "stroke": None},
            "axis": {
                "gridColor": "#e6e6e6",
                "domainColor": "#888888",
                "labelFontSize": 11,
                "titleFontSize": 12,
                "labelSeparation": 10,
            },
            "legend": {"labelFontSize": 11, "titleFontSize": 12},
            "title": {"anchor": "start", "fontSize": 13, "fontWeight": "normal"},
            "range": {"category": [BLUE, ORANGE, GREEN, RED, SKY, PINK, GREY]},
        }
    }
