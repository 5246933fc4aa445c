"""brian2-loihi, in Brian2's NumPy mode: Loihi's neuron, bit for bit."""

from __future__ import annotations

from common import arguments, measure

import brian2  # isort: skip
import brian2_loihi as loihi  # isort: skip
from workloads import DECAY_U, DECAY_V  # isort: skip


def build(workload):
    """Return (network, spike monitors, steps)."""
    steps, neurons = workload.events()
    # Its generator delivers a step earlier than the others' do.
    groups = [loihi.LoihiSpikeGeneratorGroup(workload.sizes[0], neurons, steps + 1)]
    monitors, synapses = [], []
    for size, threshold in zip(workload.sizes[1:], workload.thresholds[1:]):  # noqa: B905
        groups.append(
            loihi.LoihiNeuronGroup(
                size, refractory=1, threshold_v_mant=threshold, decay_v=DECAY_V, decay_I=DECAY_U
            )
        )
        monitors.append(brian2.SpikeMonitor(groups[-1], record=False))
    for at, (pre, post, _, targets, weights) in enumerate(workload.connections):
        mixed = loihi.synapse_sign_mode.MIXED
        synapses.append(loihi.LoihiSynapses(groups[pre], groups[post], sign_mode=mixed))
        synapses[-1].connect(i=workload.sources(at), j=targets)
        synapses[-1].w = weights.astype(int)
    network = loihi.LoihiNetwork(*groups, *monitors, *synapses)
    brian2.Network.run(network, 0 * brian2.ms)  # makes its code
    return network, monitors, workload.steps


def main():
    brian2.prefs.codegen.target = "numpy"
    measure(
        arguments(),
        build,
        lambda model: model[0].run(model[2]),
        lambda model: [monitor.num_spikes for monitor in model[1]],
        version="0.5.2",
    )


if __name__ == "__main__":
    main()
