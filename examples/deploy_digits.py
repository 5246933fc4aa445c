"""The README's example: a trained graph to Loihi 1, step by step."""

from pathlib import Path

import numpy as np

import spikeport as sp
import spikeport.demo

here = Path(spikeport.demo.__file__).parent
x = np.load(here / "digits.npz")["x"][:100]  # (samples, steps, 64), 0 or 1

net = sp.load(here / "digits.nir", dialect="nir", dt=1e-4)
image = sp.compile(net, chip="loihi1", calibration=x)
chip, ideal = sp.run(image, x), sp.run(net, x)  # Traces: integers on cores, floats
parity = sp.compare(ideal, chip)  # aligned by the lags in the Traces
cost = sp.cost(image, chip, column="davies2018")

print(f"{parity.different} of {parity.cells} cells differ; first: {parity.first_difference}")
print(f"{cost.joules_per_sample:.2e} J per sample on {image.resources['cores']} core")
