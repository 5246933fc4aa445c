"""The loop of a training: epochs, batches, tests, checkpoints; the same bits however often it is
interrupted and resumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from spikeport.compiler.errors import CheckpointError, Interrupted
from spikeport.compiler.kinds import Array
from spikeport.compiler.measure.decode import OF_SPIKES, OF_V
from spikeport.compiler.network import Network
from spikeport.models.training.checkpoint import Checkpoint
from spikeport.models.training.integers import InIntegers, in_integers
from spikeport.models.training.prepare import Prepared, padded
from spikeport.models.training.step import Compiled, Runner, Told, compiled, on_device
from spikeport.models.training.stopping import Wish, stopping
from spikeport.models.training.watchdog import check_finite, epoch_warnings


@dataclass(frozen=True)
class Standing:
    """Where a training is, for a progress bar; accuracy of this epoch's batches so far."""

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training gives.

    Attributes:
        network: with what was learned.
        last: the checkpoint after the last epoch.
        compile_seconds: 0 where there was nothing left to do.
        step_bytes: what a step takes beside parameters and batch, None where nobody says.
        feeding_seconds, testing_seconds: of all, spent on waiting for batches, and on tests; since
            the last resume.
    """

    network: Network
    last: Checkpoint
    compile_seconds: float = 0.0
    step_bytes: int | None = None
    feeding_seconds: float = 0.0
    testing_seconds: float = 0.0


Keep = Callable[[Checkpoint], None]
Show = Callable[[Standing], None]


def run_training(
    given: Prepared,
    start: Checkpoint | None,
    keep: Keep,
    every: float,
    show: Show,
    warn: Callable[[str], None],
) -> Trained:
    """Train from the start, or from a checkpoint.

    Args:
        given: the training.
        start: where to go on.
        keep: called with a checkpoint after each epoch, and in between.
        every: seconds after which there is one in between.
        show: called after each step.
        warn: called once with each warning.

    Raises:
        TrainingError: the loss is no number, or the output stays silent.
        CheckpointError: the checkpoint does not fit the network.
        Interrupted: Ctrl-C or SIGTERM; a checkpoint was kept before.
    """
    wide = given.recipe.precision == "float64" or given.recipe.quantize is not None
    with jax.enable_x64(wide), stopping() as wish:
        if start is not None and start.epoch >= given.recipe.epochs:
            return Trained(_network(given, start), start)
        return _Loop(given, start, keep, every, show, warn, wish).run()


@dataclass
class _Tally:
    """Sums over the batches of an epoch; plain values, so that a checkpoint can hold them."""

    batches: int = 0
    loss: float = 0.0
    hits: int = 0
    activity: list[float] = field(default_factory=list)

    def add(self, loss: float, hits: int, activity: Array) -> None:
        self.batches += 1
        self.loss += loss
        self.hits += hits
        before = self.activity or [0.0] * len(activity)
        self.activity = [a + float(b) for a, b in zip(before, activity, strict=True)]


class _Loop:
    """The state of a loop while it runs."""

    def __init__(
        self, given: Prepared, start: Checkpoint | None, keep: Keep, every: float, show: Show,
        warn: Callable[[str], None], wish: Wish,
    ) -> None:  # fmt: skip
        self.given, self.keep, self.every = given, keep, every
        self.show, self.warn, self.wish = show, warn, wish
        self.began = self.kept = time.monotonic()
        self.anchor: Mapping[str, Array] = {} if start is None else start.anchor
        self.compile_seconds = 0.0
        self.made = self._compiled(_runner(given, self.anchor))
        self.moved, self.state = self.made.start
        self.epoch, self.batch, self.tally = 0, 0, _Tally()
        self.rows: list[Mapping[str, Any]] = []
        self.warnings: list[str] = []
        self.seconds, self.feeding, self.testing = 0.0, 0.0, 0.0
        if start is not None:
            self._take_up(start)

    def _compiled(self, runner: Runner) -> Compiled:
        x, _ = next(self.given.training(0))
        made = compiled(self.given, runner, x.shape[1], x)
        self.compile_seconds += made.seconds
        return made

    def _turn_to_integers(self) -> None:
        """Quantize the network as it is now, and go on in its integers, where it is time to."""
        part = self.given.recipe.quantize
        if part is None or self.anchor or self.epoch < part.from_epoch:
            return
        self.anchor = _on_host(self.moved)
        self.made = self._compiled(_runner(self.given, self.anchor))

    def _take_up(self, start: Checkpoint) -> None:
        try:
            self.moved, self.state = on_device(start.moved, start.leaves, self.made.start)  # type: ignore[arg-type]
            self.tally = _Tally(**start.tally)
        except (ValueError, TypeError, KeyError) as error:
            raise CheckpointError(
                "the checkpoint does not fit this training", str(error)[:160],
                "start anew with --force",
            ) from None  # fmt: skip
        self.epoch, self.batch, self.seconds = start.epoch, start.batch, start.seconds
        self.rows, self.warnings = list(start.history), list(start.warnings)

    def run(self) -> Trained:
        while self.epoch < self.given.recipe.epochs:
            self._turn_to_integers()
            self._epoch()
            self._end_of_epoch()
        held = self._held()
        return Trained(
            _network(self.given, held), held, self.compile_seconds, self.made.bytes,
            self.feeding, self.testing,
        )  # fmt: skip

    def _epoch(self) -> None:
        """Take the steps of an epoch that are left.

        What a step tells is read when the next one is on its way, so that encoding a batch and
        computing one take the same time.
        """
        waiting: tuple[Told, Array] | None = None
        feed = self.given.training(self.epoch, self.batch)
        while True:
            began = time.perf_counter()
            x, labels = next(feed, (None, None))
            self.feeding += time.perf_counter() - began
            if x is None or labels is None:
                break
            self.moved, self.state, told = self.made.step(
                self.moved, self.state, x, labels.astype(np.int32)
            )
            if waiting is not None:
                self._take(*waiting)
            waiting = told, labels
            if self.wish.asked or time.monotonic() - self.kept >= self.every:
                self._take(*waiting)
                waiting = None
                self._keep()
        if waiting is not None:
            self._take(*waiting)

    def _take(self, told: Told, labels: Array) -> None:
        """Look at what a step told."""
        loss = float(told.loss)
        names = list(self.given.coordinates.kinds)
        slopes, values = np.asarray(told.bad_slopes), np.asarray(told.bad_values)
        check_finite(
            self.epoch, self.batch, loss,
            [name for name, bad in zip(names, slopes, strict=True) if bad],
            [name for name, bad in zip(names, values, strict=True) if bad],
        )  # fmt: skip
        hits = int((self._classes(told.answer) == labels).sum())
        self.tally.add(loss, hits, np.asarray(told.activity))
        self.batch += 1
        recipe, done = self.given.recipe, self.tally.batches
        self.show(
            Standing(
                self.epoch, recipe.epochs, self.batch, self.given.batches,
                self.tally.loss / done, self.tally.hits / (done * recipe.batch),
            )
        )  # fmt: skip

    def _classes(self, answer: Any) -> Array:
        """Return the class of each sample, as a deployment decodes it."""
        decode = self.given.recipe.decode
        decoder = OF_SPIKES.get(decode) or OF_V[decode]
        return np.asarray(np.argmax(decoder(np.asarray(answer).swapaxes(0, 1)), axis=1))

    def _test(self) -> float:
        """Return the share of test samples whose class is right."""
        began, hits = time.perf_counter(), 0
        for x, labels in self.given.testing():
            whole, _ = padded(x, labels, self.given.recipe.batch)
            classes = self._classes(self.made.answer(self.moved, whole))
            hits += int((classes[: len(labels)] == labels).sum())
        self.testing += time.perf_counter() - began
        return hits / len(self.given.data.split("test"))

    def _end_of_epoch(self) -> None:
        """Test, write the row of the epoch, look for what goes wrong, keep a checkpoint."""
        tally, given = self.tally, self.given
        shares = [each / tally.batches for each in tally.activity]
        row: dict[str, Any] = {
            "epoch": self.epoch,
            "loss": tally.loss / tally.batches,
            "train_accuracy": tally.hits / (tally.batches * given.recipe.batch),
            "test_accuracy": self._test() if self._is_tested() else None,
            "activity": dict(zip(given.spiking, shares, strict=False)),
        }
        self.rows.append(row)
        found = epoch_warnings(self.rows, row["activity"], given.output)
        row |= {"seconds": round(self._spent(), 3), "warnings": found}
        for each in found:
            if self._subject(each) not in map(self._subject, self.warnings):
                self.warn(each)
                self.warnings.append(each)
        self.epoch, self.batch, self.tally = self.epoch + 1, 0, _Tally()
        self._keep()

    def _is_tested(self) -> bool:
        """Is the test split run after this epoch."""
        number, recipe = self.epoch + 1, self.given.recipe
        return number % recipe.test_every == 0 or number == recipe.epochs

    @staticmethod
    def _subject(warning: str) -> str:
        """Return what a warning is about, so that it is given once, not every epoch."""
        return warning.partition(":")[0]

    def _spent(self) -> float:
        return self.seconds + time.monotonic() - self.began

    def _held(self) -> Checkpoint:
        leaves = tuple(np.array(each) for each in jax.tree.leaves(self.state))
        return Checkpoint(
            self.epoch, self.batch, _on_host(self.moved), leaves, vars(self.tally) | {},
            tuple(self.rows), tuple(self.warnings), self._spent(), self.anchor,
        )  # fmt: skip

    def _keep(self) -> None:
        """Keep a checkpoint, and end here where somebody wished it.

        Raises:
            Interrupted: somebody did, and there is more to do.
        """
        self.keep(self._held())
        self.kept = time.monotonic()
        if self.wish.asked and self.epoch < self.given.recipe.epochs:
            raise Interrupted(
                "the training was interrupted",
                f"it is before batch {self.batch} of epoch {self.epoch}",
                "the same command with --resume goes on from there",
            )


def _on_host(moved: Mapping[str, Any]) -> dict[str, Array]:
    """Return coordinates as arrays of their own: the next step uses up those of the device."""
    return {name: np.array(each) for name, each in moved.items()}


def _integers(given: Prepared, anchor: Mapping[str, Array]) -> InIntegers | None:
    """Return the training in the integers of the network at `anchor`; None in floats."""
    if not anchor or given.compile_for_chip is None:
        return None
    return in_integers(
        given.trainable, given.coordinates, anchor, given.compile_for_chip, given.calibration()
    )


def _runner(given: Prepared, anchor: Mapping[str, Array]) -> Runner:
    found = _integers(given, anchor)
    return given.trainable if found is None else found.held


def _network(given: Prepared, held: Checkpoint) -> Network:
    """Return the network with what was learned."""
    exact = {name: np.asarray(each, np.float64) for name, each in held.moved.items()}
    params = given.coordinates.in_units(exact, np)
    found = _integers(given, held.anchor)
    return given.trainable.network(params) if found is None else found.network(params)
