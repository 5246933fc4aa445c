"""Runs a saved image once, as a user's script would; `make bench` times the whole process.

python hw_tests/bench/run_saved.py FOLDER WORKLOAD    after hw_tests.bench.save_workload
"""

import json
import sys
from pathlib import Path

import numpy as np

import spikeport as sp
from spikeport.backends import emulator
from spikeport.compiler.traces import Events

path = Path(sys.argv[1]) / sys.argv[2]
image = sp.load_image(path.with_suffix(".image"))
with np.load(path.with_suffix(".events.npz")) as file:
    size = image.program.populations["p0"].size
    given = Events(file["neuron"], file["offsets"], None, 1, int(file["steps"]), (size,))
traces = emulator.run(image, {"p0": given}, given.steps, threads=1, count_cores=True)
spikes = [traces.spikes[name].total for name in image.program.neurons]
print("RESULT " + json.dumps({"spikes": spikes, "steps": traces.steps}))
