"""Draws architecture.svg beside it: `python docs/pictures/architecture.py`. A test holds the two to each other.

The picture brings its own background, so that it reads on a dark page as on a light one.
"""

from pathlib import Path

WIDTH, HEIGHT = 1000, 850
FILE = Path(__file__).with_suffix(".svg")
# Fill and line of each kind of box; text is dark on all of them.
KINDS = {
    "step": ("#dbeafe", "#1d4ed8"),
    "gate": ("#fee2e2", "#b91c1c"),
    "state": ("#fef3c7", "#b45309"),
    "server": ("#dcfce7", "#15803d"),
    "plain": ("#ffffff", "#64748b"),
    "panel": ("#f1f5f9", "#cbd5e1"),
}
HEAD = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t d">
<title id="t">Brakeline's architecture</title>
<desc id="d">Scenarios and recorded stops go through synthesize, assemble, search, fit and validate to a gate.
What passes is registered and deployed to a server. What was served and measured comes back as recorded stops.
Three runners carry out the same compiled pipeline; compose chains the same commands.</desc>
<style>text {{ font-family: "DejaVu Sans", Arial, sans-serif; fill: #0f172a; font-size: 13px }}
.name {{ font-size: 15px; font-weight: bold }} .about, .label {{ font-size: 12px; fill: #334155 }}
.title {{ font-size: 14px; font-weight: bold; fill: #334155 }}
.way {{ fill: none; stroke: #334155; stroke-width: 1.6 }}</style>
<defs><marker id="end" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7"
orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="#334155"/></marker></defs>
<rect width="{WIDTH}" height="{HEIGHT}" rx="10" fill="#ffffff" stroke="#94a3b8"/>
"""


def text(x: float, y: float, words: str, kind: str, anchor: str = "middle") -> str:
    """One line of text."""
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{words}</text>\n'


def box(x: int, y: int, width: int, height: int, kind: str, name: str, *about: str) -> str:
    """A box with its name and what it is, one line each."""
    fill, line = KINDS[kind]
    drawn = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="7" fill="{fill}" stroke="{line}" '
    drawn += 'stroke-width="1.5"/>\n'
    top = y + (height - 16 * (1 + len(about))) / 2 + 13
    lines = [text(x + width / 2, top, name, "name")]
    lines += [text(x + width / 2, top + 16 * number, words, "about") for number, words in enumerate(about, 1)]
    return drawn + "".join(lines)


def panel(y: int, height: int, title: str, x: int = 150, width: int = 834, right: bool = False) -> str:
    """A ground for boxes that belong together; its title stands on the left unless arrows do."""
    fill, line = KINDS["panel"]
    drawn = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="9" fill="{fill}" stroke="{line}"/>\n'
    at, anchor = (x + width - 14, "end") if right else (x + 14, "start")
    return drawn + text(at, y + 21, title, "title", anchor)


def way(*corners: tuple[int, int], both: bool = False) -> str:
    """An arrow along its corners."""
    points = " ".join(f"{x},{y}" for x, y in corners)
    start = ' marker-start="url(#end)"' if both else ""
    return f'<polyline points="{points}" class="way" marker-end="url(#end)"{start}/>\n'


def label(x: int, y: int, words: str, anchor: str = "middle") -> str:
    """The name of what goes along an arrow."""
    return text(x, y, words, "label", anchor)


def pipeline() -> str:
    """From inputs to the gate, and what follows a passed verdict."""
    fill, line = KINDS["gate"]
    return "".join((
        panel(14, 416, "The pipeline: every step a program in an image, one contract; KFP runs it"),
        box(16, 62, 116, 60, "plain", "scenario", "YAML"),
        box(16, 162, 116, 60, "plain", "recorded", "stops, measured"),
        box(176, 56, 132, 72, "step", "synthesize ×n", "drives, sensors,", "stops"),
        box(380, 56, 132, 72, "step", "assemble", "canonical order,", "rejects"),
        box(590, 56, 150, 72, "step", "search ×n", "rank, refine ×n"),
        box(820, 56, 140, 72, "step", "fit", "fit, calibrate,", "one ONNX graph"),
        box(176, 192, 132, 64, "step", "floor", "the best that any", "model could do"),
        box(800, 306, 160, 84, "step", "validate", "gates, closed loop;", "a sealed verdict"),
        f'<polygon points="626,348 686,306 746,348 686,390" fill="{fill}" stroke="{line}" stroke-width="1.5"/>\n',
        text(686, 353, "gate", "name"),
        box(450, 312, 130, 72, "step", "register", "refuses what", "did not pass"),
        box(226, 312, 140, 72, "step", "deploy", "proves it,", "or goes back"),
        way((132, 92), (176, 92)),
        way((132, 192), (154, 192), (154, 146), (446, 146), (446, 128)),
        way((308, 92), (380, 92)), label(344, 84, "part"),
        way((512, 92), (590, 92)), label(551, 84, "dataset"),
        way((740, 92), (820, 92)), label(780, 84, "results"),
        way((410, 128), (410, 224), (308, 224)), label(360, 216, "holdout"),
        way((242, 256), (242, 280), (840, 280), (840, 306)),
        way((480, 128), (480, 280)), label(486, 240, "holdout, faulty", "start"), label(330, 274, "floor"),
        way((910, 128), (910, 306)), label(916, 220, "model", "start"),
        way((800, 348), (746, 348)), label(774, 340, "verdict"),
        way((626, 348), (580, 348)), label(604, 338, "passed"),
        way((450, 348), (366, 348)), label(408, 340, "version"),
        label(686, 410, "refused: dossier, and no more"),
    ))  # fmt: skip


def around() -> str:
    """What outlives a run, what serves, and the way back."""
    return "".join((
        panel(456, 112, "State that outlives a run", right=True),
        box(226, 482, 150, 72, "state", "model store", "folder, S3 or", "InferenceService"),
        box(440, 482, 170, 72, "state", "registry", "SQLite file or Kubeflow", "Model Registry"),
        box(676, 482, 150, 72, "state", "kept models", "and papers, by", "their sha256"),
        way((515, 384), (515, 482)),
        way((296, 384), (296, 482)),
        way((610, 518), (676, 518)),
        way((600, 482), (600, 448), (880, 448), (880, 390)), label(870, 442, "champion: the live model", "end"),
        panel(580, 116, "Service"),
        box(226, 610, 180, 72, "server", "server", "HTTP, gRPC; fail-safe", "inside the model"),
        box(480, 610, 140, 72, "plain", "clients", "ask by", "feature names"),
        box(690, 610, 270, 72, "plain", "Prometheus", "latency, errors, drift, margins:", "rules, alerts, dashboard"),
        way((296, 554), (296, 610)), label(304, 578, "follows", "start"),
        way((406, 646), (480, 646), both=True),
        way((380, 682), (380, 690), (825, 690), (825, 682)),
        label(655, 686, "metrics"),
        box(16, 600, 116, 92, "plain", "feedback", "joins stops to", "what was said;", "watch: retrain"),
        way((226, 646), (132, 646)), label(179, 638, "predictions"),
        way((74, 600), (74, 222)), label(80, 420, "measured", "start"),
        panel(712, 122, "Four runners, the same steps; equal inputs give equal bytes", x=16, width=968),
        box(34, 744, 214, 72, "plain", "process", "console scripts:", "no Docker needed"),
        box(272, 744, 214, 72, "plain", "docker", "the same in", "hardened containers"),
        box(510, 744, 214, 72, "plain", "compose", "the same commands,", "chained; S3, MariaDB beside"),
        box(748, 744, 214, 72, "plain", "cluster", "OpenShift AI: pipelines,", "registry, KServe"),
    ))  # fmt: skip


def drawn() -> str:
    """The whole picture."""
    return f"{HEAD}{pipeline()}{around()}</svg>\n"


if __name__ == "__main__":
    FILE.write_text(drawn(), encoding="utf-8")
