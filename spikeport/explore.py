"""The search for recipes: what each bit of synaptic memory buys, measured.

Agreement is noisy: in a recurrent network another rounding of one weight moves it as much as a
bit more does. So nothing is assumed to be monotone. A rough model (each projection's loss goes
with the error of its weights) only says which recipe to try next; what counts was run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.fabric import Lists
from spikeport.compiler.quantize.arithmetic import LOIHI
from spikeport.compiler.quantize.recipe import Recipe, Wish
from spikeport.recipe_words import in_short, options_of
from spikeport.trials import Bench, Trial, memory_by_projection

WORK = 2.5e8  # weights times trials of a search
TRIALS = (24, 90)  # at least, at most
SLOW_WORK = 2e5  # weights times trials that step the network while they are quantized
SLOW_TRIALS = (0, 12)  # none for large networks
BITS = (2, 3, 4, 5, 6, 8, 10, 12, 16)
LOW = 4  # bits of the sensitivity table
#: What is settled first, for all weights: field of the recipe -> another choice than the default.
WAYS: tuple[tuple[str, str | bool], ...] = (
    ("rounding", "output"), ("ranges", "output"), ("decays", "gain")
)  # fmt: skip
#: What steps the network on calibration data, many times: only the best recipes are tried so.
SLOW: tuple[tuple[str, str | bool], ...] = (("ranges", "raster"), ("correct", True))
ON_OUTPUTS = ("rounding", "ranges", "correct")
LEAST_GAIN = 0.05  # of a loss: what is predicted to be lost is never below it
State = tuple[Wish, ...]


@dataclass(frozen=True)
class Goal:
    """What is asked for.

    Attributes:
        loss: most that may be lost, as a share of cells, or of samples `by_accuracy`; None: the
            whole table is wanted.
        memory, cores: most that may be taken.
    """

    loss: float | None = None
    by_accuracy: bool = False
    memory: int | None = None
    cores: int | None = None

    def lost(self, trial: Trial) -> float:
        """Return what the goal counts of what a recipe lost."""
        if self.by_accuracy:
            return 1.0 - (trial.accuracy or 0.0)
        return 1.0 - trial.worst[1]

    def reached(self, trial: Trial) -> bool:
        """Does a trial lose no more than was asked for."""
        return self.loss is not None and self.lost(trial) <= self.loss + 1e-12

    def held(self, trial: Trial) -> bool:
        """Is a trial within the budget."""
        return (self.memory is None or trial.memory <= self.memory) and (
            self.cores is None or trial.cores <= self.cores
        )

    def order(self, trial: Trial) -> float:
        """Return what the search makes smaller: of equal accuracies, the one that agrees more."""
        return self.lost(trial) + (1e-3 * (1.0 - trial.worst[1]) if self.by_accuracy else 0.0)


@dataclass(frozen=True)
class Sensitivity:
    """One projection alone held otherwise than in the plain network: one list, all bits.

    Attributes:
        projection: name.
        plain: what all of the plain network does.
        rows: wish -> what it does with this projection held so.
    """

    projection: str
    plain: Trial
    rows: Mapping[Wish, Trial]


class Search:
    """Recipes tried so far, and the next one."""

    def __init__(
        self, bench: Bench, base: Recipe, goal: Goal, progress: Callable[[int, int], None]
    ) -> None:
        """Say what is varied: projections that the recipe does not name.

        Raises:
            LoweringError: it names all of them.
        """
        self.bench, self.base, self.goal, self.progress = bench, base, goal, progress
        self.way = base
        self.free = tuple(name for name in bench.projections if name not in base.weights)
        if not self.free or "" in base.weights:
            raise LoweringError(
                "nothing is left to search",
                "--weights says how all of them are held",
                "name those that are to stay, as --weights PROJECTION=HOW, or leave it out",
            )
        self.ladder = ladder(bench.chip)
        self.plain = Wish((bench.chip.limits.weight_bits.whole,))
        sizes = sum(each.matrix.size for each in bench.retimed.projections)
        self.most = _between(WORK / max(sizes, 1), TRIALS)
        self.slow = _between(SLOW_WORK / max(sizes, 1), SLOW_TRIALS)
        self.done: dict[tuple[str, State], Trial | None] = {}
        self.states: dict[int, State] = {}  # id of a trial -> its state
        self.errors: dict[Wish, Mapping[str, float]] = {}
        self.memory: dict[Wish, Mapping[str, int]] = {}
        self.slopes: dict[str, float] = {}
        self.sensitivity: list[Sensitivity] = []
        self.interrupted = False

    @property
    def trials(self) -> list[Trial]:
        """What was measured, cheapest first."""
        found = [each for each in self.done.values() if each is not None]
        return sorted(found, key=lambda each: (each.memory, self.goal.order(each)))

    def run(self) -> None:
        """Try recipes until the model promises nothing more; Ctrl-C keeps what was measured."""
        try:
            self._settle_ways()
            self._try_ladder()
            self._try_one_by_one()
            self._try_neighbours(self.most)
            if self._goes_slow():
                self._polish()
                self._try_neighbours(self.most)
        except KeyboardInterrupt:
            if not self.trials:
                raise
            self.interrupted = True

    def _all(self, wish: Wish) -> State:
        return (wish,) * len(self.free)

    def _recipe(self, state: State) -> Recipe:
        held = dict(self.way.weights) | dict(zip(self.free, state, strict=True))
        return in_short(replace(self.way, weights=held), self.bench.projections)

    def _key(self, state: State) -> tuple[str, State]:
        return options_of(replace(self.way, weights={})), state

    def _try(self, state: State) -> Trial | None:
        key = self._key(state)
        if key not in self.done:
            self.progress(len(self.done), max(self.most + self.slow, len(self.done) + 1))
            found = self.bench.attempt(self._recipe(state))
            self.done[key] = trial = None if found is None else found[0]
            if found is not None and trial is not None:
                self.states[id(trial)] = state
                wish = state[0]
                if state == self._all(wish):
                    self.memory[wish] = memory_by_projection(found[1])
                    self.errors[wish] = trial.errors
        return self.done[key]

    def _settle_ways(self) -> None:
        """Choose how everything is rounded, where the recipe leaves it open: what loses less."""
        single = [wish for wish in self.ladder if wish == Wish(wish.bits[:1])][::-1]
        fits = next((wish for wish in single if self._try(self._all(wish)) is not None), None)
        if fits is None:
            self.bench.image(self._recipe(self._all(self.plain)))  # says why
            return
        self.plain = fits
        shown = (self.plain, self.ladder[-1])
        for name, choice in WAYS:
            if not self._is_open(name):
                continue
            changed: Any = {name: choice}
            before, now = self.way, replace(self.way, **changed)
            known = [self._try(self._all(wish)) for wish in shown]
            self.way = now
            other = [self._try(self._all(wish)) for wish in shown]
            if self._gain(known, other) <= 0:
                self.way = before
                for wish, trial in zip(shown, known, strict=True):
                    if trial is not None:
                        self.errors[wish] = trial.errors

    def _is_open(self, name: str) -> bool:
        """May the search choose this: the recipe leaves it at its default, and it can be done."""
        seen = name not in ON_OUTPUTS or self.bench.seen is not None
        return seen and getattr(self.base, name) == getattr(Recipe(), name)

    def _goes_slow(self) -> bool:
        """Step the network while quantizing from now on; False where that cannot be paid."""
        if not self.slow:
            return False
        changed: Any = {name: choice for name, choice in SLOW if self._is_open(name)}
        self.way = replace(self.way, **changed)
        return bool(changed)

    def _polish(self) -> None:
        """Try the best recipes the slow way: around what is asked for first."""
        self.most = len(self.done) + self.slow
        front = best_of(self.trials, self._loss)
        reached = [each for each in front if self.goal.reached(each)]
        held = [each for each in front if self.goal.held(each)]
        few = max(1, self.slow // 2 if reached else 2 * self.slow // 3)  # others: neighbours
        # From the first that keeps enough down, or from the best that is cheap enough.
        start = front.index((reached[:1] or held[-1:] or front[:1])[0])
        step = 1 if self.goal.loss is not None else max(1, (start + 1) // few)
        rows = [self.states[id(each)] for each in [*front[start::-step], *front[start + 1 :]]]
        alike = [self._all(wish) for wish in dict.fromkeys((self.plain, *self._pairs()))]
        for state in dict.fromkeys([*rows[:1], *alike, *rows[1:few]]):
            self._try(state)

    def _pairs(self) -> list[Wish]:
        """Return how all weights are split in the plainest way, where the chip can."""
        return [wish for wish in self.ladder if wish.is_split and wish == Wish(wish.bits)][-1:]

    def _gain(self, known: Iterable[Trial | None], other: Iterable[Trial | None]) -> float:
        """Return by how much, in logarithms, less is lost; below 0 where one could not be done."""
        total = 0.0
        for before, after in zip(known, other, strict=True):
            if before is None or after is None:
                return -1.0
            total += math.log(self._loss(before) / self._loss(after))
        return total

    def _loss(self, trial: Trial) -> float:
        """Return what was lost, above 0: less than one cell of all is as little as none."""
        cells = max((each.cells for each in trial.parity.populations.values()), default=1)
        return max(self.goal.order(trial), 0.5 / cells)

    def _try_ladder(self) -> None:
        """Hold all weights alike, from the fewest bits to two synapses each."""
        for wish in self.ladder:
            if self._try(self._all(wish)) is None:
                self._only_quantized(wish)

    def _only_quantized(self, wish: Wish) -> None:
        """Estimate what a wish costs each projection where the whole network does not fit so."""
        try:
            errors, bits = self.bench.weights(self._recipe(self._all(wish)))
            plain = self.bench.weights(self._recipe(self._all(self.plain)))[1]
        except LoweringError:
            return
        known = self.memory.get(self.plain, plain)
        self.errors[wish] = errors
        self.memory[wish] = {
            name: round(known[name] * bits[name] / max(plain[name], 1)) for name in bits
        }

    def _try_one_by_one(self) -> None:
        """Measure what each projection gains and loses when it alone is held otherwise."""
        plain = self._try(self._all(self.plain))
        if plain is None:
            return
        low = Wish((LOW,))
        ends = [wish for wish in dict.fromkeys((low, self.ladder[-1])) if wish in self.errors]
        asked = self.free[: max(1, (self.most - len(self.done)) // 4)]
        for place, name in enumerate(asked):
            rows: dict[Wish, Trial] = {}
            slopes = []
            for wish in ends:
                state = list(self._all(self.plain))
                state[place] = wish
                trial = self._try(tuple(state))
                if trial is None:
                    continue
                rows[wish] = trial
                apart = self._error(name, wish) - self._error(name, self.plain)
                if apart:
                    slopes.append((self._loss(trial) - self._loss(plain)) / apart)
            self.sensitivity.append(Sensitivity(name, plain, rows))
            self.slopes[name] = max(slopes, default=0.0)
        some = [slope for slope in self.slopes.values() if slope > 0]
        mean = sum(some) / len(some) if some else 1.0
        # A projection whose trials happened to gain from an error is not harmless.
        self.slopes = {n: max(self.slopes.get(n, mean), 0.05 * mean) for n in self.free}

    def _error(self, name: str, wish: Wish) -> float:
        return self.errors[wish].get(name, 0.0)

    def _try_neighbours(self, most: int) -> None:
        """Change one projection of the best recipes at a time, what promises most first."""
        turn = 0
        while len(self.done) < most:
            parents = self._parents()
            after = [parents[(turn + k) % len(parents)] for k in range(len(parents))]
            state = next((s for s in map(self._promising, after) if s is not None), None)
            if state is None:
                return
            turn += 1
            self._try(state)

    def _parents(self) -> Sequence[Trial]:
        """Return the trials whose neighbours are worth a try: those around what is asked for."""
        front = best_of(self.trials, self._loss)
        if self.goal.loss is not None:
            least = next((k for k, each in enumerate(front) if self.goal.reached(each)), None)
            return front[-3:] if least is None else front[max(least - 2, 0) : least + 1]
        if self.goal.memory is not None or self.goal.cores is not None:
            held = [each for each in front if self.goal.held(each)]
            return held[-3:] or front[:1]
        return front

    def _promising(self, parent: Trial) -> State | None:
        """Return the neighbour that should gain most on everything measured; None: none should."""
        known = [(each.memory, self._loss(each)) for each in self.trials]
        state, loss = self.states[id(parent)], self._loss(parent)
        settled, _ = self._key(state)
        top = self._most_memory(parent)
        best, found = 0.0, None
        for place, name in enumerate(self.free):
            now = state[place]
            for wish in self.errors:
                other = (*state[:place], wish, *state[place + 1 :])
                if wish == now or (settled, other) in self.done:
                    continue
                memory = parent.memory + self.memory[wish].get(name, 0)
                memory -= self.memory[now].get(name, 0)
                if memory > top:
                    continue
                change = self.slopes[name] * (self._error(name, wish) - self._error(name, now))
                expected = max(loss + change, LEAST_GAIN * loss)
                rival = min((lost for bits, lost in known if bits <= memory), default=1.0)
                gain = math.log(max(rival, 1e-12) / expected)
                if gain > best:
                    best, found = gain, other
        return found

    def _most_memory(self, parent: Trial) -> float:
        """Return the memory beyond which a neighbour is of no use."""
        if self.goal.loss is not None:
            reached = [each.memory for each in self.trials if self.goal.reached(each)]
            return min(reached, default=math.inf)
        return math.inf if self.goal.memory is None else max(self.goal.memory, parent.memory)


def _between(number: float, ends: tuple[int, int]) -> int:
    return int(min(max(number, ends[0]), ends[1]))


def ladder(chip: Chip) -> tuple[Wish, ...]:
    """Return the ways of holding weights that are tried, from the fewest bits on."""
    most = chip.limits.weight_bits.whole
    one = [Wish((bits,)) for bits in (*(bits for bits in BITS if bits < most), most)]
    if not isinstance(chip.core, Lists):
        return tuple(one)
    signs = chip.arithmetic in LOIHI
    by_size = ("size", "sign-size") if signs else ("size",)
    pair = (most, most)
    return (
        *one, *(Wish((most,), lists) for lists in by_size), Wish((most, max(1, most // 2))),
        Wish(pair, share=0.25), Wish(pair, share=0.5), Wish(pair),
        *([Wish(pair, "sign")] if signs else []),
    )  # fmt: skip


def best_of(trials: Iterable[Trial], loss: Callable[[Trial], float]) -> list[Trial]:
    """Return the trials that no other one beats in memory, cores and loss; cheapest first."""
    found: list[Trial] = []
    for each in sorted(trials, key=lambda trial: (trial.memory, loss(trial), trial.cores)):
        if not any(other.cores <= each.cores and loss(other) <= loss(each) for other in found):
            found.append(each)
    return found
