"""Results of deployments, written by hand: what the pages are tested on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

DAVIES = "Davies et al., IEEE Micro 38(1):82-99, 2018, table 2 p.96"
FRADY = "Frady et al., NICE 2020, table 2: 0.19 mJ / 32 chips, per reset of one chip"
SANAFE = "SLAM-Lab/SANA-FE@8951ab0 arch/loihi.yaml, fitted on Nahuku boards (TCAD 2025)"
DEGNAN = "Degnan et al., 2016, as keras-spiking uses it"
HOROWITZ = "Horowitz, ISSCC 2014, fig. 1.1.9"
HOPS = "Davies et al., 2018, table 2: hop E-W"
PER_EVENT = {
    "davies2018": {
        "soma_access": 52.0e-12, "soma_update": 29.0e-12, "synaptic_op": 23.6e-12,
        "packet": 1.7e-12, "hop_east_west": 3.0e-12, "state_reset": 5.94e-6,
    },
    "sanafe": {
        "soma_access": 51.2e-12, "soma_update": 21.6e-12, "spike_out": 69.3e-12,
        "synaptic_op": 35.5e-12, "packet": 111.0e-12, "hop_east_west": 3.0e-12,
        "state_reset": 5.94e-6,
    },
}  # fmt: skip
EVENTS = {
    "soma_access": {"1": 2160.0, "3": 270.0},
    "soma_update": {"1": 841.3, "3": 122.8},
    "spike_out": {"1": 260.4, "3": 31.2},
    "synaptic_op": {"1": 9_920.5, "3": 2_604.0},
    "packet": {"1": 260.4, "3": 0.0},
    "hop_east_west": {"1": 124.0, "3": 0.0},
    "state_reset": {"chip": 1.0},
}


def digits() -> dict[str, Any]:
    """Return a result like that of the digits network: 64 inputs, 80 hidden, 10 outputs."""
    ledger = {column: list(_ledger(column)) for column in PER_EVENT}
    columns = {
        "davies2018": _column("Davies 2018, table 2: pre-silicon simulation at 0.75 V", DAVIES,
                              ledger["davies2018"], 0.2),
        "sanafe": _column("SANA-FE: fitted to Loihi silicon (Nahuku)", SANAFE,
                          ledger["sanafe"], 0.12),
    }  # fmt: skip
    by_population: dict[str, float] = {}
    for entry in ledger["davies2018"]:
        name = entry["population"]
        by_population[name] = by_population.get(name, 0.0) + entry["joules_per_sample"]
    first = {
        "population": "1", "neuron": [41], "sample": 17, "step": 12, "variable": "spikes",
        "reference": 1, "emulator": 0, "cause": "tie at threshold",
    }  # fmt: skip
    return {
        "spikeport": "0.1.0",
        "graph": "digits.nir",
        "chip": {"name": "loihi1", "title": "Intel Loihi (2018)", "level": "oracle-equal"},
        "dt": 1e-4,
        "semantics": {
            "dt": 1e-4, "integration": "euler", "input_gain": "per_equation",
            "tau_unit": "seconds", "current_order": "decay_add_v", "reset": "to_value",
            "reset_when": "same_step", "spike": "binary", "threshold": "greater",
            "initial_v": None, "v_min": None, "refractory": 0.0,
            "recurrent_bias_at_start": True, "feedforward_lag": 0, "recurrent_lag": 1,
            "nodes": {"3": {"reset": "subtract"}}, "dialect": "snntorch",
        },
        "assumed": ["dt", "reset", "reset_when", "initial_v"],
        "repairs": ["node 1: v_reset was absent, taken as 0"],
        "notes": [
            "The biases of 0 and 2 are bias neurons whose first spike arrives at the lag.",
            "v of population 3 comes within 4 bits of its 24 on 2 of 540 samples.",
        ],
        "latency_steps": 2,
        "samples": 540,
        "steps": 25,
        "input": "spikes",
        "decode": "count",
        "stream": False,
        "accuracy": {
            "reference": 530 / 540, "emulator": 529 / 540, "lava": 1.0, "lava_samples": 20,
        },
        "parity": {
            "emulator_vs_reference": {
                "cells": 1_215_000, "different": 214, "first_difference": first,
                "populations": {
                    "1": {"cells": 1_080_000, "different": 203, "lag": 1,
                          "spikes_reference": 140_640, "spikes_emulator": 140_655,
                          "first_difference": first},
                    "3": {"cells": 135_000, "different": 11, "lag": 2,
                          "spikes_reference": 16_860, "spikes_emulator": 16_862,
                          "first_difference": {**first, "population": "3", "neuron": [4],
                                               "sample": 17, "step": 14}},
                },
            },
            "lava_vs_emulator": {
                "cells": 145_800, "different": 0, "first_difference": None, "samples": 20,
                "variables": ["spikes", "u", "v"],
                "populations": {"1": {"cells": 129_600, "different": 0},
                                "3": {"cells": 16_200, "different": 0}},
            },
            "wording": "equal to Lava 0.10 (software); not compared with silicon",
        },
        "resources": {
            "cores": 2, "compartments": 90, "synapses": 5_920,
            "synaptic_memory_bits": 51_968, "synaptic_memory_bits_fullest_core": 43_648,
            "in_axons": 146, "out_axons": 80,
        },
        "limits": {
            "cores": 128, "compartments_per_core": 1024, "in_axons_per_core": 4096,
            "out_axons_per_core": 4096, "synaptic_memory_bits_per_core": 1_048_576,
        },
        "mesh": {"tiles_x": 8, "tiles_y": 4, "cores_per_tile": 4},
        "cores": [
            {"core": 0, "tile_x": 0, "tile_y": 0, "compartments": 80, "in_axons": 65,
             "out_axons": 80, "synapses": 5_120, "synaptic_memory_bits": 43_648,
             "populations": {"1": 80}, "joules_per_sample": 3.9e-7},
            {"core": 1, "tile_x": 0, "tile_y": 0, "compartments": 10, "in_axons": 81,
             "out_axons": 0, "synapses": 800, "synaptic_memory_bits": 8_320,
             "populations": {"3": 10}, "joules_per_sample": 7.9e-8},
        ],
        "energy": {
            "column": "davies2018",
            **columns["davies2018"],
            "by_population": by_population,
            "ledger": ledger["davies2018"],
            "columns": columns,
            "static": "Static power is not included: no public figure gives it per core.",
            "sources": [DAVIES, SANAFE, FRADY],
        },
        "neurobench": {
            "Footprint": 6_856, "ConnectionSparsity": 0.0137, "ActivationSparsity": 0.931,
            "SynapticOperations": {"Effective_MACs": 0, "Effective_ACs": 12_524.5,
                                   "Dense": 148_000},
        },
        "losses": [
            {"object": "0", "what": "weights", "bits": 8, "exponent": -1, "error_rms": 0.00163,
             "error_max": 0.0029, "relative": 0.0081, "detail": "5 120 weights, 61 became 0"},
            {"object": "2", "what": "weights", "bits": 8, "exponent": 0, "error_rms": 0.00231,
             "error_max": 0.0041, "relative": 0.0064, "detail": "800 weights, 4 became 0"},
            {"object": "1", "what": "decay_v", "bits": 12, "exponent": None,
             "error_rms": 2.4e-5, "error_max": 2.4e-5, "relative": 0.00024,
             "detail": "beta 0.9 became 3686/4096"},
            {"object": "1", "what": "threshold", "bits": 17, "exponent": None,
             "error_rms": 0.0, "error_max": 0.0, "relative": 0.0, "detail": ""},
        ],
        "populations": [
            {"name": "1", "kind": "LIF", "shape": [80], "neurons": 80, "lag": 1,
             "reset": "to_value",
             "spikes_per_sample": {"reference": 260.44, "emulator": 260.47, "lava": 261.1}},
            {"name": "3", "kind": "LIF", "shape": [10], "neurons": 10, "lag": 2,
             "reset": "subtract",
             "spikes_per_sample": {"reference": 31.22, "emulator": 31.23, "lava": 31.4}},
        ],
        "backends": {
            "emulator": {"seconds": 0.31},
            "lava": {"ran": True, "seconds": 9.14, "version": "0.10.0",
                     "processes": ["LIF \N{MULTIPLICATION SIGN}1", "Sparse"],
                     "own_processes": ["LifSubtract"]},
        },
        "rasters": [raster("1", 80, 25, 0.13, lag=1, seed=1, differing=3),
                    raster("3", 10, 25, 0.13, lag=2, seed=2, differing=0)],
        "budget": None,
        "files": {"report_html": "report.html", "report_json": "report.json",
                  "report_md": "report.md"},
        "command": "spikeport deploy digits.nir --chip loihi1 --data digits.npz --out out",
    }  # fmt: skip


def timed() -> dict[str, Any]:
    """Return the result of `digits` with time, static energy and baselines, on two linked chips."""
    result = digits()
    result["cores"][0] |= {"seconds_per_step": 7.0e-6, "critical_share": 0.75}
    result["cores"][1] |= {"seconds_per_step": 0.6e-6, "critical_share": 0.25}
    energy = result["energy"]
    for name, column in energy["columns"].items():
        known = name == "davies2018"
        column |= {
            "static_joules_per_sample": 2.0e-5 if known else None,
            "static_interval": [1.0e-5, 4.0e-5] if known else None,
            "total_joules_per_sample": column["joules_per_sample"] + 2.0e-5 if known else None,
            "total_interval": [1.5e-5, 4.8e-5] if known else None,
        }
    energy |= {key: value for key, value in energy["columns"]["davies2018"].items()
               if key.startswith(("static_", "total_"))}  # fmt: skip
    for line in energy["ledger"]:
        cost = line["joules_per_sample"]
        line |= {"plus_minus": [-0.2, 0.2], "interval": [0.8 * cost, 1.2 * cost]}
    energy |= {
        "known": True,
        "by_chip": {"1": 9.0e-8, "0": 3.6e-7, "-1": 5.94e-6},
        "host": {"operations": {"macs_per_sample": 0.0, "packets_per_sample": 485.0},
                 "joules_per_sample": None, "why": "what it does is counted, not priced"},
        "not_comparable": ["not comparable: loihi1 and x are built in other processes"],
    }  # fmt: skip
    result["time"] = time_values()
    result["baselines"] = {
        "operations": {"dense": 148_000.0, "effective_macs": 0.0, "effective_acs": 12_524.5},
        "rows": [
            {"name": "cpu", "title": "a processor", "counts": "dense", "operations": 148_000.0,
             "joules_per_operation": 8.6e-9, "joules_per_sample": 1.2728e-3,
             "interval": [1.0e-3, 1.6e-3], "source": DEGNAN, "basis": "estimate"},
            {"name": "int8", "title": "8-bit operations", "counts": "effective",
             "operations": 12_524.5, "joules_per_operation": 3.0e-14,
             "joules_per_sample": 3.757e-10, "interval": None, "source": HOROWITZ,
             "basis": "quote"},
        ],
        "caveats": ["Arithmetic only: no memory traffic."],
    }  # fmt: skip
    return result


def time_values() -> dict[str, Any]:
    """Return the time of four steps on two cores, the third of them too slow."""
    parts = {"compute": 1.0e-6, "memory": 5.0e-6, "traffic": 0.5e-6, "barrier": 0.5e-6}
    steps = [
        {"step": step, "seconds": 7.0e-6, "least": 4.0e-6, "most": 9.0e-6, **parts,
         "bound": "memory", "core": 0}
        for step in range(4)
    ]  # fmt: skip
    steps[2] |= {"seconds": 1.1e-5, "memory": 1.0e-6, "traffic": 8.5e-6, "least": 1.0e-5,
                 "most": 1.2e-5, "bound": "traffic", "core": 1}  # fmt: skip
    chosen = {
        "known": True, "model": "detailed", "seconds_per_step": 8.0e-6,
        "interval": [6.0e-6, 1.0e-5],
        "latency": {"seconds": 3.2e-5, "interval": [2.4e-5, 4.0e-5], "steps": 4.0},
        "throughput": {"samples_per_second": 31_250.0, "interval": [25_000.0, 41_667.0]},
        "energy_delay": {"joule_seconds": 8.4e-10, "interval": [3.6e-10, 1.9e-9],
                         "of": "dynamic and static"},
    }  # fmt: skip
    return {
        **chosen,
        "column": "davies2018",
        "title": "Davies 2018, table 2: pre-silicon simulation at 0.75 V",
        "uncertainty": 0.25,
        "uncertainty_source": "stated by nobody",
        "source": DAVIES,
        "worst_step": {"sample": 17, "step": 2, "seconds": 1.2e-5},
        "bound": {"compute": 0.0, "memory": 0.75, "traffic": 0.25},
        "parts": {"compute": 1.0e-6, "memory": 4.0e-6, "traffic": 2.5e-6, "barrier": 0.5e-6},
        "critical_cores": [
            {"core": 0, "chip": 0, "tile_x": 0, "tile_y": 0, "populations": {"1": 80},
             "steps": 0.75, "seconds": 7.0e-6},
            {"core": 1, "chip": 1, "tile_x": 4, "tile_y": 0, "populations": {"3": 10},
             "steps": 0.25, "seconds": 0.6e-6},
        ],
        "steps": steps,
        "budget": {
            "seconds": 1.0e-5, "source": "the time step of the network, in real time",
            "over": 0.25, "keeps_up": False, "times": 1.25,
            "cores": [{"core": 1, "share": 0.25, "worst_seconds": 1.2e-5}],
        },
        "pressure": {
            "blocked_per_sample": 12.5,
            "routes": [{"from": [0, 0], "to": [4, 0], "blocked_per_sample": 12.5}],
        },
        "columns": {
            "davies2018": chosen,
            "sanafe": {"known": False, "why": "the column sanafe states no times"},
        },
        "sources": [DAVIES, HOPS],
        "notes": ["the column states no time of packet in"],
    }  # fmt: skip


def _ledger(column: str) -> Iterator[dict[str, Any]]:
    for kind, joules in PER_EVENT[column].items():
        for population, events in EVENTS[kind].items():
            yield {
                "population": population, "kind": kind, "events_per_sample": events,
                "joules_per_event": joules, "joules_per_sample": events * joules,
                "source": FRADY if kind == "state_reset" else
                DAVIES if column == "davies2018" else SANAFE,
                "basis": "measured" if kind == "state_reset" else "simulated",
            }  # fmt: skip


def _column(title: str, source: str, ledger: list[dict[str, Any]], band: float) -> dict[str, Any]:
    by_kind: dict[str, float] = {}
    for entry in ledger:
        by_kind[entry["kind"]] = by_kind.get(entry["kind"], 0.0) + entry["joules_per_sample"]
    total = sum(by_kind.values())
    return {
        "title": title, "source": source, "joules_per_sample": total,
        "interval": [total * (1 - band), total * (1 + band)], "by_kind": by_kind,
    }  # fmt: skip


def raster(
    name: str, neurons: int, steps: int, rate: float, lag: int, seed: int, differing: int
) -> dict[str, Any]:
    """Return a recorded raster in which some neurons are busier than others."""
    rng = np.random.default_rng(seed)
    rates = np.minimum(rate * rng.exponential(1.0, neurons), 0.9)
    reference = rng.random((steps, neurons)) < rates
    chip = reference.copy()
    flipped = rng.choice(chip.size, differing, replace=False)
    chip.ravel()[flipped] ^= True

    def events(spikes: NDArray[np.bool_], shift: int) -> dict[str, list[int]]:
        step, neuron = np.nonzero(spikes)
        return {"step": (step + shift).tolist(), "neuron": neuron.tolist()}

    return {
        "population": name, "neurons": neurons, "steps": steps, "sample": 0, "label": 3,
        "reference": events(reference, 0), "emulator": events(chip, lag),
        "lava": events(chip, lag), "lag": lag,
    }  # fmt: skip
