"""Run networks on xylosim, in an interpreter of its own that has xylosim 0.1.3 and NumPy.

    python xylosim_oracle.py NETWORKS.npz ANSWERS.npz

Both files hold arrays named NUMBER/NAME. Of every network are read: `w_in` (inputs, hidden),
`w_rec`, `w_out`, `shift_in`, `shift_rec`, `shift_out`, `dash_syn`, `dash_mem`, `v_threshold`,
`bias`, the last four also with `_out` for the readouts, and `input` (steps, inputs). Written are
`u`, `v`, `spikes` and the same with `_out`, each (steps, neurons).
"""

import sys

import numpy as np
from xylosim.v2 import XyloLayer, XyloSynapse


def main(asked, answered):
    """Answer every network of a file."""
    with np.load(asked) as file:
        arrays = dict(file)
    answers = {}
    for number in dict.fromkeys(name.partition("/")[0] for name in arrays):
        start = number + "/"
        network = {k[len(start) :]: v for k, v in arrays.items() if k.startswith(start)}
        answers.update({start + key: value for key, value in run(network).items()})
    np.savez_compressed(answered, **answers)


def run(network):
    """Return what every neuron did in every step."""
    hidden = network["w_rec"].shape[0]
    # xylosim keeps pointers into these lists: they must live as long as the layer.
    kept = [synapses(network[key]) for key in ("w_in", "w_rec", "w_out")]
    layer = XyloLayer(
        synapses_in=kept[0],
        synapses_rec=kept[1],
        synapses_out=kept[2],
        aliases=[[] for _ in range(hidden)],
        threshold=network["v_threshold"].tolist(),
        threshold_out=network["v_threshold_out"].tolist(),
        has_bias=bool(network["bias"].any() or network["bias_out"].any()),
        bias=network["bias"].tolist(),
        bias_out=network["bias_out"].tolist(),
        weight_shift_inp=int(network["shift_in"]),
        weight_shift_rec=int(network["shift_rec"]),
        weight_shift_out=int(network["shift_out"]),
        dash_mem=network["dash_mem"].tolist(),
        dash_mem_out=network["dash_mem_out"].tolist(),
        dash_syns=[[dash, 0] for dash in network["dash_syn"].tolist()],
        dash_syns_out=[[dash] for dash in network["dash_syn_out"].tolist()],
        name="spikeport",
    )
    sent = layer.evolve(network["input"].tolist())
    return {
        "u": np.array(layer.rec_i_syn, np.int16).T,
        "v": np.array(layer.rec_v_mem, np.int16).T,
        "spikes": np.array(layer.rec_recurrent_spikes, np.uint8),
        "u_out": np.array(layer.rec_i_syn_out, np.int16).T,
        "v_out": np.array(layer.rec_v_mem_out, np.int16).T,
        "spikes_out": np.array(sent, np.uint8),
    }


def synapses(weights):
    """Return the synapses of every row of (pre, post) weights that are not zero."""
    return [
        [XyloSynapse(int(post), 0, int(row[post])) for post in np.flatnonzero(row)]
        for row in weights
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])
