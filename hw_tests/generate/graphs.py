"""Random valid NIR graphs of every kind, written with the `nir` package alone.

    drawn = random_graph(np.random.default_rng(7), chip="loihi1")
    nir.write(path, drawn.graph)
    net = sp.load(path, dialect="nir", settings=drawn.settings)

Every loop holds at least one step of delay per hop, so each graph can be retimed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from hw_tests.generate.chains import Chains
from hw_tests.generate.nest import nest
from hw_tests.generate.neurons import ANALOG, SPIKING, draw_neuron
from hw_tests.generate.rules import as_settings, bounded, draw_local_rules, draw_rules
from hw_tests.generate.sketch import Shape, Sketch

Array = np.ndarray[Any, Any]
SAMPLES = 2
LONGEST_ON_CHIP = 62  # steps; what is longer needs relay neurons
#: The 16 primitives of NIR.
PRIMITIVES = (
    "Affine", "AvgPool2d", "Conv1d", "Conv2d", "CubaLI", "CubaLIF", "Delay", "Flatten", "I", "IF",
    "LI", "LIF", "Linear", "Scale", "SumPool2d", "Threshold",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Drawn:
    """A graph and what it takes to run it.

    Attributes:
        graph: of the `nir` package.
        settings: `FIELD=VALUE` texts for the preset `nir`.
        chip: that can run it.
        inputs: input name -> (samples, steps, *shape), spikes 0 or 1.
        features: what is in it -> how often: primitives by name, `nested`, `loops`, `merges`,
            `long delays`, ...
    """

    graph: nir.NIRGraph
    settings: list[str]
    chip: str
    inputs: dict[str, Array]
    features: Counter[str]


def random_graph(rng: np.random.Generator, chip: str = "loihi1") -> Drawn:
    """Return a random graph of 2 to 6 populations of at most 60 neurons, and its inputs.

    Args:
        rng: where everything comes from.
        chip: `loihi1` draws what that chip carries (spikes between populations, analog ones
            only as readouts), `generic_graded` everything.
    """
    return _Drawing(rng, chip).draw()


class _Drawing:
    """One graph while it is drawn."""

    def __init__(self, rng: np.random.Generator, chip: str) -> None:
        self.rng, self.chip = rng, chip
        self.said = draw_rules(rng, chip)
        self.sketch = Sketch()
        self.wait = int(rng.integers(LONGEST_ON_CHIP + 1, 150)) if rng.random() < 0.1 else 0
        self.chains = Chains(rng, self.sketch, self.said["dt"], self.wait)
        self.sources: list[str] = []  # Inputs and populations that others may read, in order
        self.populations: list[str] = []
        self.features: Counter[str] = Counter()

    def draw(self) -> Drawn:
        for _ in range(self.rng.choice([1, 1, 1, 2, 3])):
            self._input()
        for _ in range(self.rng.integers(2, 7)):
            self._population()
        for _ in range(self.rng.choice([0, 0, 1, 1, 2])):
            self._merge()
        for _ in range(self.rng.choice([0, 0, 1, 1, 2])):
            self._loop()
        self._outputs()
        self._count()
        for number in range(self.rng.choice([0, 0, 0, 1, 2, 3])):
            name = str(self.rng.choice([f"part{number}", f"b-{number}", f"block {number}.sub"]))
            self.features["nested"] += nest(self.rng, self.sketch, name)
        graph = nir.NIRGraph(self.sketch.nodes, self.sketch.edges, type_check=False)
        settings = as_settings(self.said)
        for name, over in self.sketch.rules.items():
            settings += as_settings(over, name)
        return Drawn(graph, settings, self.chip, self._inputs(), self.features)

    def _input(self) -> None:
        shape = self._shape()
        node = nir.Input({"input": np.array(shape)})
        name = str(self.rng.choice(["input", "in", "x-1", "0"]))
        self.sources.append(self.sketch.add(name, node, shape, shape))

    def _shape(self) -> Shape:
        match self.rng.choice(3, p=[0.4, 0.25, 0.35]):
            case 0:
                return (int(self.rng.integers(1, 20)),)
            case 1:
                return (int(self.rng.integers(1, 5)), int(self.rng.integers(3, 10)))
        channels, height, width = self.rng.integers([1, 3, 3], [4, 6, 6])
        return (int(channels), int(height), int(width))

    def _population(self) -> None:
        """Add a population behind one source, often the newest; maybe a residual edge too."""
        newest = self.rng.random() < 0.6
        source = self.sources[-1] if newest else str(self.rng.choice(self.sources))
        last = self.chains.lead(source)
        name = self._neuron(self._kind(), self.sketch.gives[last])
        self.sketch.join(last, name)
        if self.rng.random() < 0.35:
            self._reach(str(self.rng.choice(self.sources)), name)
        if type(self.sketch.nodes[name]).__name__ in SPIKING or self.chip != "loihi1":
            self.sources.append(name)

    def _kind(self) -> str:
        analog = self.rng.random() < 0.2 and len(self.populations) > 0
        return str(self.rng.choice(ANALOG if analog else SPIKING))

    def _neuron(self, kind: str, shape: Shape) -> str:
        node = draw_neuron(self.rng, kind, shape, self.said)
        label = str(self.rng.choice([kind.lower(), f"{kind}.{len(self.populations)}", "n-", "7"]))
        name = self.sketch.add(label, node, shape, shape)
        self.populations.append(name)
        if self.rng.random() < 0.3:
            own = draw_local_rules(self.rng, self.chip, self.said["dt"])
            whole = bounded(self.said | own)
            self.sketch.rules[name] = {field: whole[field] for field in sorted({*own, "reset"})}
        leak = getattr(node, "v_leak", np.arange(2))
        if np.ptp(leak) == 0 and self.rng.random() < 0.2:  # begins where it comes to rest
            level = float(leak.flat[0])
            self.sketch.rules.setdefault(name, {})["initial_v"] = level
            self.features["begins at rest"] += 1
        return name

    def _reach(self, source: str, population: str, delay: int = 0) -> bool:
        """Add a path of its own between the two; was there one."""
        last = source
        if delay:
            last = self.chains.delay(source, delay)
        end = self.chains.lead_to(last, self.sketch.takes[population])
        if end is None or self.sketch.joined(end, population):
            return False
        self.sketch.join(end, population)
        return True

    def _merge(self) -> None:
        """Let a node without state send to one more population, or take from one more."""
        later = {name: at for at, name in enumerate(self.populations)}
        nodes = [n for n in self.sketch.nodes if not self.sketch.is_neuron(n)]
        nodes = [n for n in nodes if n not in self.sources]
        if not nodes:
            return
        node = str(self.rng.choice(nodes))
        before = max((later.get(each, -1) for each in self.sketch.before(node)), default=-1)
        behind = min((later.get(each, 99) for each in self.sketch.after(node)), default=99)
        if self.rng.random() < 0.5:
            fits = [p for p in self.populations if later[p] > before]
            ends = [(node, p) for p in fits if self.sketch.takes[p] == self.sketch.gives[node]]
        else:
            fits = [s for s in self.sources if later.get(s, -1) < behind]
            ends = [(s, node) for s in fits if self.sketch.gives[s] == self.sketch.takes[node]]
        ends = [each for each in ends if not self.sketch.joined(*each)]
        if ends:
            self.sketch.join(*ends[self.rng.integers(len(ends))])

    def _loop(self) -> None:
        """Let a population act on itself or on an earlier one, late enough for every hop.

        What closes a loop is binary, so that the loop stays bounded.
        """
        own = [name for name in self.populations if self._is_binary(name)]
        if not own or self.rng.random() < 0.1:
            return self._faint_loop()
        first, last = sorted(self.rng.integers(0, len(own), 2))
        if self.rng.random() < 0.4:
            first = last
        hops = self.populations.index(own[last]) - self.populations.index(own[first]) + 1
        least = 0 if first == last and self.said["recurrent_lag"] == 1 else hops
        self.features["loops"] += self._reach(own[last], own[first], least)
        self.features["loops of several"] += first != last

    def _faint_loop(self) -> None:
        """Let an analog population act on itself, too little to grow."""
        own = [
            name for name in self.sources if type(self.sketch.nodes[name]) in (nir.LI, nir.CubaLI)
        ]
        if not own:
            return
        name = str(self.rng.choice(own))
        shape = self.sketch.gives[name]
        last = name if self.said["recurrent_lag"] else self.chains.delay(name, 1)
        factor = nir.Scale(self.rng.uniform(-0.01, 0.01, shape))
        self.sketch.join(self.sketch.add("scale", factor, shape, shape, last), name)
        self.features["loops"] += 1

    def _is_binary(self, name: str) -> bool:
        """Does it send 0 or 1; a loop through such a population stays bounded."""
        said = self.said | self.sketch.rules.get(name, {})
        return type(self.sketch.nodes[name]).__name__ in SPIKING and said["spike"] == "binary"

    def _outputs(self) -> None:
        """Add an Output for populations that nothing reads, and for some others."""
        read = {source for source, _ in self.sketch.edges}
        idle = [name for name in self.populations if name not in read]
        shown = [name for name in idle if self.rng.random() < 0.85]
        shown += [name for name in self.populations if name in read and self.rng.random() < 0.15]
        for name in shown or [self.populations[-1]]:
            self._output(name)

    def _output(self, name: str) -> None:
        last = name
        plain = type(self.sketch.nodes[name]).__name__ in ANALOG and self.chip == "loihi1"
        way = self.rng.random()
        if way < 0.1:
            last = self.chains.flatten(name)
        elif way < 0.25 and not plain:
            last = self.chains.delay(name)
        elif way < 0.4 and not plain:
            last = self.chains.flat(name)
        shape = self.sketch.gives[last]
        node = nir.Output({"output": np.array(shape)})
        label = str(self.rng.choice(["output", "out", "y"]))
        end = self.sketch.add(label, node, shape, shape, last)
        if way > 0.9 and not plain:
            others = [s for s in self.sources if self.sketch.gives[s] == shape and s != last]
            if others:
                self.sketch.join(str(self.rng.choice(others)), end)

    def _count(self) -> None:
        """Count what is in the flat graph."""
        kinds = Counter(type(node).__name__ for node in self.sketch.nodes.values())
        self.features.update({kind: kinds[kind] for kind in kinds if kind in PRIMITIVES})
        entered = Counter(target for _, target in self.sketch.edges)
        left = Counter(source for source, _ in self.sketch.edges)
        self.features["merges"] += sum(count > 1 for count in entered.values())
        self.features["branches"] += sum(count > 1 for count in left.values())
        self.features["several inputs"] += kinds["Input"] > 1
        self.features["several outputs"] += kinds["Output"] > 1
        self.features["long delays"] += bool(self.wait and not self.chains.long)
        self.features["rules per neuron"] += bool(self.sketch.rules)

    def _inputs(self) -> dict[str, Array]:
        wait = self.wait if self.features["long delays"] else 0
        steps = int(self.rng.integers(10, 31)) + wait
        drawn = {}
        for name, node in self.sketch.nodes.items():
            if isinstance(node, nir.Input):
                rate = self.rng.uniform(0.1, 0.6)
                spikes = self.rng.random((SAMPLES, steps, *self.sketch.gives[name])) < rate
                drawn[name] = spikes.astype(np.uint8)
        return drawn
