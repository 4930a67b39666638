"""A gate in words, for who wants to know why it failed."""

import difflib

from stepkit.errors import UsageError

from brakeline_validate import gates
from brakeline_validate.explanations import EXPLANATIONS


def explained(name: str) -> str:
    """A gate in words. Raises UsageError for a name that no gate has."""
    known = {gate.name: gate for gate in (gates.CONTRACT, *gates.TABLE)}
    if name == "all":
        return "\n".join(f"{gate.name}: {gate.reason}" for gate in known.values())
    if name not in known:
        near = difflib.get_close_matches(name, known, 3, 0.4)
        meant = f"; near to it: {', '.join(near)}" if near else ""
        raise UsageError(f"--explain: found {name!r}, allowed a gate's name, or all{meant}", found=name)
    gate, told = known[name], EXPLANATIONS[name]
    lines = (
        f"{gate.name}: at most {gate.limit:g} {gate.unit}",
        f"  Why:       {gate.reason} Hurt otherwise: {gate.hurt}.",
        f"  Measured:  {told.measured}",
        f"  Threshold: {told.origin}",
        f"  Failed?    {told.remedy}",
    )
    return "\n".join(lines)
