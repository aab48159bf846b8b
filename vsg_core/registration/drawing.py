"""The fixtures by which a claim draws its items from pools, found in the sources: no claim is run."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from vsg_core.judge.claims import Claim
from vsg_core.registration.checking import file_of
from vsg_core.runs.fixtures import Definition
from vsg_core.runs.keys import Project
from vsg_core.runs.modules import Function

# The fixture of the plugin that every fixture which draws from a pool asks for.
CHOSEN_TRIALS = "chosen_trials"
# The fixture of a claim across models.
RECORDS = "records"
# What a fixture that deals each claim its own items asks for; others draw once for all claims that ask for them.
REQUEST = "request"


@dataclass(frozen=True)
class Drawn:
    """The drawing of a claim.

    Args:
        fixtures: those that draw from a pool, each with the first line of its docstring.
        shared: those of them that draw once for all claims that ask for them.
        across: it is judged over records.
    """

    fixtures: dict[str, str]
    shared: frozenset[str]
    across: bool

    @property
    def text(self) -> str:
        """Describe what the fixtures draw, in their own words."""
        return "; ".join(f"{name}: {line.rstrip('.')}" for name, line in self.fixtures.items())


def drawn_by(project: Project, claim: Claim) -> Drawn:
    """Find what a claim draws.

    Raises:
        WrongUse: its sources cannot be read.
    """
    with file_of(project, claim) as path:
        module = project.sources.module_of(path)
        reached = project.fixtures.reached(module, project.sources.named(module, f"test_{claim.id}"))
    drawing = {
        name: each for name, found in sorted(reached.items()) for each in found if CHOSEN_TRIALS in each.wants
    }
    return Drawn(
        {name: _first_line(project, each) for name, each in drawing.items()},
        frozenset(name for name, each in drawing.items() if REQUEST not in each.wants),
        RECORDS in reached,
    )


def _first_line(project: Project, definition: Definition) -> str:
    """The first line of a fixture's docstring, read from its file: keys leave docstrings out."""
    node = definition.node
    tree = ast.parse(project.sources.symbol(node).module.path.read_text(encoding="utf-8-sig"))
    functions = (each for each in tree.body if isinstance(each, Function) and each.name == node.name)
    texts = (ast.get_docstring(each) for each in functions)
    return next((text.partition("\n")[0] for text in texts if text), "")
