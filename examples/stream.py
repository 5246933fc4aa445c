"""Running is continuing: a recording in two halves equals the recording in one, bit for bit."""

from pathlib import Path

import numpy as np

import spikeport as sp
import spikeport.demo

here = Path(spikeport.demo.__file__).parent
x = np.load(here / "digits.npz")["x"][:8]
net = sp.load(here / "digits.nir", dialect="nir", dt=1e-4)
image = sp.compile(net, chip="loihi1", calibration=x)

whole = sp.run(image, x, steps=25)
first = sp.run(image, x[:, :10], steps=10)
second = sp.run(image, x[:, 10:], steps=15, state=first.state)

for name in image.program.neurons:
    halves = np.concatenate([first.spikes[name].dense(), second.spikes[name].dense()], axis=1)
    print(f"{name}: {'equal' if (halves == whole.spikes[name].dense()).all() else 'DIFFERENT'}")
