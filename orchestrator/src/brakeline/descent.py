"""A version's lineage as a tree: the model, who made it from what, and so on to what was given from outside.

Below it stands what was done with the version since.
"""

from collections import Counter
from collections.abc import Sequence

from rich.text import Text
from rich.tree import Tree

from brakeline.provenance import Call
from brakeline.report import ALTERED, INTACT, MISSING, Report

_MARKS = {INTACT: ("intact", "green"), ALTERED: ("ALTERED", "bold red"), MISSING: ("not here", "yellow")}
_SHOWN = 12


def draw(report: Report) -> Tree:
    """The tree. What came up once is not drawn again."""
    version = report.version
    root = Tree(Text.assemble((f"{version['model']} {version['version']}", "bold"), f"  {version['state']}"))
    seen: set[tuple[str, ...]] = set()
    for name, paper in sorted((version.get("papers") or {}).items()):
        root.add(_label(report, name, [paper["sha256"]]))
    root.add(_label(report, "model.onnx", [version["sha256"]]))
    model = version.get("folder_sha256") or version["sha256"]
    _add(report, root, "model", [model], seen)
    for call in report.chain.judges(model):
        judging = _add_calls(report, root, "judged by", [call], seen)
        for name, sha256 in call.outputs.items():
            judging.add(_label(report, f"gave {name}", [sha256]))
    for one in report.releases:
        done = Text.assemble(f"{one.how} ", (one.call.name, "cyan"), f"  {one.about}" if one.about else "")
        done.append(f"  {_code(one.call) or 'code not told'}  {one.within}", "dim")
        branch = root.add(done)
        for name, sha256 in one.call.outputs.items():
            branch.add(_label(report, f"gave {name}", [sha256]))
    return root


def _add(report: Report, above: Tree, name: str, sha256s: Sequence[str], seen: set[tuple[str, ...]]) -> None:
    makers = report.chain.makers(sha256s)
    label = _label(report, name, sha256s)
    key = ("artifact", *sha256s)
    if key in seen:
        above.add(label.append("  as above", "dim"))
        return
    seen.add(key)
    if not makers:
        label.append("  from outside", "dim")
    branch = above.add(label)
    for verb in dict.fromkeys(call.name for call in makers):
        _add_calls(report, branch, "made by", [call for call in makers if call.name == verb], seen)


def _add_calls(report: Report, above: Tree, how: str, calls: Sequence[Call], seen: set[tuple[str, ...]]) -> Tree:
    label = Text.assemble(f"{how} ", (calls[0].name, "cyan"), f" ×{len(calls)}" if len(calls) > 1 else "")
    code = [code for code in dict.fromkeys(_code(call) for call in calls) if code]
    label.append(f"  {', '.join(code)}" if code else "  code not told", "dim")
    branch = above.add(label)
    key = ("calls", *sorted({sha256 for call in calls for sha256 in call.outputs.values()}))
    if key in seen:
        label.append("  as above", "dim")
        return branch
    seen.add(key)
    for name in dict.fromkeys(name for call in calls for name in call.inputs):
        taken = dict.fromkeys(sha256 for call in calls for sha256 in call.inputs.get(name, []))
        if taken:
            _add(report, branch, name, list(taken), seen)
    return branch


def _label(report: Report, name: str, sha256s: Sequence[str]) -> Text:
    label = Text(name)
    if len(sha256s) == 1:
        label.append(f"  {sha256s[0][:_SHOWN]}", "dim")
    else:
        label.append(f" ×{len(sha256s)}")
    counts = Counter(report.state_of(sha256) for sha256 in sha256s)
    for state, (word, style) in _MARKS.items():
        if count := counts[state]:
            label.append(f"  {count} {word}" if len(sha256s) > 1 else f"  {word}", style)
    return label


def _code(call: Call) -> str:
    """Image or sources, and revision, as short as tells them apart."""
    image = call.image.rpartition("/")[2]
    name, at, digest = image.rpartition("@" if "@" in image else ":")
    short = f"{name}{at}{digest.removeprefix('sha256:')[:_SHOWN]}"
    return " ".join(filter(None, (short, _revision(call.revision))))


def _revision(revision: str) -> str:
    commit, _, dirty = revision.partition("-")
    return f"{commit[:_SHOWN]}{'-' if dirty else ''}{dirty}"
