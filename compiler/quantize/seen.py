"""What a population received on calibration data: traces of its inputs, as v feels them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spikeport.compiler.clocked import Clocked, Projection
from spikeport.compiler.errors import DataError
from spikeport.compiler.kinds import Array
from spikeport.compiler.traces import Traces

TIMES = (256, 4096)  # moments at which traces are compared: least and most
WORK = 1 << 31  # weights times moments
SAMPLES = 32  # of the calibration data


@dataclass(frozen=True, eq=False)
class Seen:
    """A run of the retimed network in floats, on calibration data.

    Attributes:
        clocked: the network.
        traces: of the run; a population's lag is the network's.
    """

    clocked: Clocked
    traces: Traces

    def raster(self, name: str, samples: slice = slice(None)) -> Array:
        """Return what a population sent, (samples, steps, n) float32; ones of the constant.

        Raises:
            DataError: it sends analog values.
        """
        numbers = range(self.traces.samples)[samples]
        if self.clocked.populations[name].kind == "constant":
            return np.ones((len(numbers), self.traces.steps, 1), np.float32)
        if name not in self.traces.spikes:
            raise DataError(f"{name!r} sends no spikes", "analog values are not calibrated with")
        events = self.traces.spikes[name]
        some = [events.of_sample(each).dense(np.float32) for each in numbers]
        return np.concatenate(some)

    def arriving(self, projection: Projection, samples: slice = slice(None)) -> Array:
        """Return what arrives over a projection in each step, (samples, steps, pre) float32."""
        sent = self.raster(projection.pre, samples)
        late = np.zeros_like(sent)
        if projection.delay < sent.shape[1]:
            late[:, projection.delay :] = sent[:, : sent.shape[1] - projection.delay]
        return late

    def traces_into(
        self, name: str, projections: tuple[Projection, ...], weights: int, seed: int = 0
    ) -> Mapping[Projection, Array]:
        """Return, per projection, what a weight of one adds to v at some moments.

        Resets make v forget; on the whole they shorten its memory, by the rate of the spikes.

        Args:
            name: of the population that receives.
            projections: from populations that send spikes or counts.
            weights: how many there are; the more, the fewer moments.
            seed: of the choice of moments.

        Returns:
            (pre, moments) float32 each.
        """
        cell, samples = self.clocked.populations[name].cell, min(SAMPLES, self.traces.samples)
        steps = self.traces.steps
        keep_u = float(cell.keep_u.mean()) if cell.has_current else 0.0
        keep_v = float(cell.keep_v.mean())
        if name in self.traces.spikes:
            cells = self.traces.samples * steps * cell.keep_v.size
            keep_v *= 1.0 - min(self.traces.spikes[name].total / max(cells, 1), 1.0)
        moments = int(np.clip(WORK // max(weights, 1), *TIMES))
        rng = np.random.default_rng(seed)
        chosen = np.sort(rng.permutation(samples * steps)[:moments])
        place = np.full(samples * steps, -1)
        place[chosen] = np.arange(chosen.size)
        at = place.reshape(samples, steps)
        found = {}
        for each in projections:
            came = self.arriving(each, slice(samples))
            u, v = np.zeros_like(came[:, 0]), np.zeros_like(came[:, 0])
            out = np.zeros((came.shape[2], chosen.size), np.float32)
            for t in range(steps):
                u = u * np.float32(keep_u) + came[:, t]
                v = v * np.float32(keep_v) + u
                some = at[:, t] >= 0
                out[:, at[some, t]] = v[some].T
            found[each] = out
        return found
