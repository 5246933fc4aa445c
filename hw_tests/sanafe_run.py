"""Run networks on SANA-FE 2.2.9, in an interpreter of its own that has sanafe and NumPy.

    python sanafe_run.py NETWORKS.npz ANSWERS.npz

SANA-FE is under the GPL: this script imports nothing of spikeport, and spikeport nothing of it.

Both files hold arrays named NUMBER/NAME. Of every network are read, with one entry per neuron in
the order in which the cores look at them: `core`, `threshold`, `bias`, `subtract` (a spike takes
the threshold off instead of setting 0), `sparse` (which unit serves the synapses of a neuron);
with one entry per synapse `pre`, `post`, `weight`; and `steps`. Written are, with one entry per
step, the seconds of both timing models (`simple`, `detailed`), `joules`, `fired`, `synapses`,
`hops`, `updated`; the totals `joules_in_all` and `packets`; who spiked when: `step`, `neuron`; and
every packet in the order in which its core sent it: `sent_in` (step), `sent_by` (neuron), `sent_to`
(core).
"""

import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import sanafe

ENERGIES = ("synapse_energy", "dendrite_energy", "soma_energy", "network_energy")


def main(asked, answered):
    """Answer every network of a file."""
    with np.load(asked) as file:
        arrays = dict(file)
    description, answers = small_loihi(Path(answered).with_suffix(".yaml")), {}
    for number in dict.fromkeys(name.partition("/")[0] for name in arrays):
        start = number + "/"
        network = {k[len(start) :]: v for k, v in arrays.items() if k.startswith(start)}
        answer = run(network, description)
        answers.update({start + key: value for key, value in answer.items()})
    np.savez(answered, **answers)


def small_loihi(path):
    """Return the chip that SANA-FE calls Loihi without its inputs, for they take a second."""
    text = (files("sanafe.examples") / "loihi.yaml").read_text(encoding="utf-8")
    path.write_text(text.replace("loihi_inputs[0..1023]", "loihi_inputs[0..0]"), encoding="utf-8")
    return sanafe.load_arch(str(path))


def run(network, description):
    """Return what happens in every step."""
    steps, chip = int(network["steps"]), loaded(network, description)
    options = {"processing_threads": 1, "perf_trace": True}
    first = chip.sim(steps, timing_model="simple", spike_trace=True, **options)
    chip.reset()
    second = chip.sim(steps, timing_model="detailed", message_trace=True, **options)
    trace = first["perf_trace"]
    spikes = [(t, each.neuron_offset) for t, row in enumerate(first["spike_trace"]) for each in row]
    packets = [
        (t, each["mid"], each["src_neuron_offset"], each["dest_core_id"])
        for t, row in enumerate(second["message_trace"])
        for each in row
        if not each["placeholder"]
    ]
    step, neuron = np.array(spikes, np.int64).reshape(-1, 2).T
    sent_in, _, sent_by, sent_to = np.array(sorted(packets), np.int64).reshape(-1, 4).T
    return {
        "simple": np.array(trace["sim_time"]),
        "detailed": np.array(second["perf_trace"]["sim_time"]),
        "joules": np.sum([trace[name] for name in ENERGIES], axis=0),
        "joules_in_all": np.array(first["energy"]["total"]),
        "packets": np.array(first["packets_sent"]),
        "synapses": np.array(trace["spikes"]),
        **{name: np.array(trace[name]) for name in ("fired", "hops", "updated")},
        "step": step,
        "neuron": neuron,
        "sent_in": sent_in,
        "sent_by": sent_by,
        "sent_to": sent_to,
    }


def loaded(network, description):
    """Return a chip with a network on it."""
    model, cores, size = sanafe.Network(), description.cores(), network["core"].size
    group = model.create_neuron_group(
        "all",
        size,
        {"leak_decay": 1.0, "input_decay": 0.0, "reset": 0.0},
        soma_hw_name="loihi_lif",
        default_synapse_hw_name="loihi_dense_synapse",
        default_dendrite_hw_name="loihi_dendrites",
        log_spikes=True,
    )
    for at in range(size):
        if network["sparse"][at]:
            group[at].set_attributes(default_synapse_hw_name="loihi_sparse_synapse")
        given = {
            "threshold": float(network["threshold"][at]),
            "bias": float(network["bias"][at]),
            "reset_mode": "soft" if network["subtract"][at] else "hard",
        }
        group[at].set_attributes(model_attributes=given)
        group[at].map_to_core(cores[int(network["core"][at])])
    if network["pre"].size:
        pairs = list(zip(network["pre"].tolist(), network["post"].tolist(), strict=True))
        group.connect_neurons_sparse(
            group, {"weight": network["weight"].astype(float).tolist()}, pairs
        )
    chip = sanafe.SpikingChip(description)
    chip.load(model)
    return chip


if __name__ == "__main__":
    main(*sys.argv[1:])
