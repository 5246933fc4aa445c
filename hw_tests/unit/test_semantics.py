"""The contract: presets, settings in their order, refusals whose advice works, metadata."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

import spikeport as sp
from spikeport.compiler.errors import SemanticsError
from spikeport.compiler.load.write_nir import write_network
from spikeport.compiler.network import Graph, Input, Linear, Network, Output
from spikeport.compiler.parameters import say
from spikeport.compiler.semantics import (
    CHOICES,
    PRESETS,
    Semantics,
    apply_settings,
    from_metadata,
    parse_field,
    preset,
    require_dt,
    require_said,
    to_metadata,
)
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.lif import Lif

LEGAL: dict[str, list[Any]] = {
    **{name: list(values) for name, values in CHOICES.items()},
    "recurrent_bias_at_start": [True, False],
    "bias_at_start": [True, False],
    "initial_v": [None, 0.25, -1.0],
    "v_min": [None, -1.0],
    "refractory": [0.0, 2e-3],
}

WHOLE = ("spike", "tau_unit")  # the first is always drawn, the second is the network's own


def text(value: Any) -> str:
    return "none" if value is None else str(value)


# --- presets ---------------------------------------------------------------------------------


def test_the_default_is_nirs_own_words_under_euler():
    assert Semantics() == Semantics(
        None, "euler", "per_equation", "seconds", "decay_add_v", "to_value", "same_step",
        "binary", "greater", None, None, 0.0, True, 0, 1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("dialect", "differs"),
    [
        ("nir", {}),
        ("snntorch", {"dt": 1e-4}),
        (
            "norse",
            {
                "tau_unit": "seconds_times_dt",
                "input_gain": "unit_current",
                "current_order": "add_v_decay",
            },
        ),
        ("spikingjelly", {"threshold": "greater_equal"}),
        (
            "sinabs",
            {
                "integration": "exact",
                "input_gain": "unit",
                "threshold": "greater_equal",
                "spike": "count",
                "reset": "subtract",
            },
        ),
        (
            "rockpool",
            {
                "integration": "exact",
                "input_gain": "unit",
                "threshold": "greater_equal",
                "spike": "count",
                "reset": "subtract",
                "current_order": "add_decay_v",
            },
        ),
        (
            "spyx",
            {
                "input_gain": "unit",
                "reset": "subtract",
                "reset_when": "next_step",
                "feedforward_lag": 1,
                "bias_at_start": False,
            },
        ),
        ("lava", {"feedforward_lag": 1}),
        (
            "lava-dl",
            {
                "input_gain": "unit",
                "threshold": "greater_equal",
                "feedforward_lag": 1,
                "bias_at_start": False,
            },
        ),
    ],
)
def test_a_preset_is_nir_but_for_what_its_tool_does(dialect: str, differs: dict[str, Any]):
    plain = Semantics().to_dict()
    assert preset(dialect).to_dict() == plain | differs | {"dialect": dialect}


def test_every_preset_has_a_name_and_assumes_only_fields_that_there_are():
    for name, semantics in PRESETS.items():
        assert semantics.dialect == name
        assert set(semantics.assumed) < set(Semantics().to_dict())


def test_an_unknown_dialect_is_refused_with_those_that_there_are():
    with pytest.raises(SemanticsError, match="unknown dialect 'brian'") as caught:
        preset("brian")
    for name in re.findall(r"[\w-]+", caught.value.why.removeprefix("known are ")):
        assert preset(name)
    assert apply_settings(preset("nir"), ["reset=none"]).reset == "none"  # the other way out


# --- settings --------------------------------------------------------------------------------


def test_settings_are_applied_in_order_and_the_last_wins():
    said = apply_settings(Semantics(), ["reset=none", "dt=1e-3", "reset=subtract"])
    assert (said.reset, said.dt) == ("subtract", 1e-3)


def test_what_is_set_is_not_assumed_any_more():
    said = apply_settings(preset("snntorch"), ["reset=subtract"])
    assert said.assumed == ("dt", "reset_when", "initial_v")


def test_what_is_set_for_one_node_stays_assumed_for_the_others():
    said = apply_settings(preset("spikingjelly"), ["lif.reset=subtract"])
    assert said.assumed == ("reset",)


def test_a_node_differs_from_the_default_only_in_what_was_set_there():
    said = apply_settings(
        preset("nir"), ["lif1.reset=subtract", "threshold=greater_equal", "lif1.spike=count"]
    )
    assert said.nodes == {"lif1": {"reset": "subtract", "spike": "count"}}
    assert (said.at("lif1").reset, said.at("lif2").reset) == ("subtract", "to_value")
    assert said.at("lif1").threshold == said.at("lif2").threshold == "greater_equal"
    assert said.at("lif1").nodes == {}


@pytest.mark.parametrize("node", ["lif1.lif", "a.b.c", "0", "spec.lif 1", "x=y", "dt", "nodes"])
def test_a_node_name_may_hold_anything_before_the_last_dot(node: str):
    said = apply_settings(Semantics(), [f"{node}.threshold=greater_equal"])
    assert said.nodes == {node: {"threshold": "greater_equal"}}
    assert said.threshold == "greater"


def test_blanks_around_names_and_values_do_not_matter():
    assert apply_settings(Semantics(), [" reset = subtract "]).reset == "subtract"


def test_none_means_no_clamp_and_the_reset_level():
    said = apply_settings(Semantics(v_min=0.0, initial_v=1.0), ["v_min=none", "initial_v=none"])
    assert (said.v_min, said.initial_v) == (None, None)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("reset=hard", "reset=hard is not a value of reset: it is one of to_value, subtract, none"),
        ("current_order=any", "it is one of decay_add_v, add_v_decay, v_decay_add, add_decay_v"),
        ("recurrent_bias_at_start=perhaps", "is not true or false"),
        ("recurrent_lag=2", "a lag is 0 or 1 steps"),
        ("feedforward_lag=-1", "a lag is 0 or 1 steps"),
        ("dt=0", "dt=0.* is not a usable number"),
        ("dt=-1e-4", "seconds above 0"),
        ("dt=nan", "is not a usable number"),
        ("dt=none", "dt=none is not a usable number"),
        ("dt=1ms", "dt=1ms is not a usable number"),
        ("v_min=inf", "v_min=inf is not a usable number"),
        ("refractory=-1e-3", "refractory is not below 0"),
        ("refractory=none", "is not a usable number"),
        ("initial_v=", "initial_v= is not a usable number"),
        ("reset", "cannot read the setting 'reset': it has the form FIELD=VALUE"),
        ("=subtract", "cannot read the setting"),
        (".reset=subtract", "cannot read the setting"),
        ("lif.=subtract", "cannot read the setting"),
        ("lif.dt=1e-3", "dt cannot be set for node 'lif': it belongs to the whole network"),
        ("lif.tau_unit=seconds", "it belongs to the whole network"),
        ("lif.recurrent_lag=1", "it belongs to the whole network"),
        ("lif.feedforward_lag=1", "it belongs to the whole network"),
    ],
)
def test_a_wrong_setting_says_what_to_do_and_doing_it_works(setting: str, message: str):
    with pytest.raises(SemanticsError, match=message) as caught:
        apply_settings(Semantics(), [setting])
    flag, advice = caught.value.fix.split(" ", 1)
    following = f"dt={advice}" if flag == "--dt" else advice
    assert apply_settings(Semantics(), [following]).to_dict()
    if flag == "--set" and "cannot read" not in message:
        assert following.split("=")[0] == setting.split("=")[0].rpartition(".")[2]


def test_an_unknown_field_lists_the_known_ones_and_each_of_them_can_be_set():
    with pytest.raises(SemanticsError, match="unknown semantics field 'resett'") as caught:
        apply_settings(Semantics(), ["lif.resett=none"])
    known = caught.value.why.removeprefix("known are ").split(", ")
    assert set(known) == set(Semantics().to_dict()) - {"nodes", "parameters", "dialect"}
    for name in known:
        value = LEGAL.get(name, [1])[-1]
        assert getattr(apply_settings(Semantics(), [f"{name}={text(value)}"]), name) == value


# --- NumPy's scalars -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("dt", np.float64(1e-4), 1e-4),
        ("dt", np.float32(0.5), 0.5),
        ("dt", np.array(1e-3), 1e-3),
        ("dt", np.array([1e-3]), 1e-3),
        ("dt", b"1e-3", 1e-3),
        ("recurrent_lag", np.int64(1), 1),
        ("recurrent_lag", np.float64(0.0), 0),
        ("recurrent_bias_at_start", np.bool_(False), False),
        ("recurrent_bias_at_start", b"true", True),
        ("recurrent_bias_at_start", np.int64(1), True),
        ("reset", np.str_("subtract"), "subtract"),
        ("reset", np.bytes_(b"subtract"), "subtract"),
        ("v_min", np.bytes_(b"none"), None),
    ],
)
def test_scalars_of_hdf5_and_numpy_become_pythons(name: str, value: Any, wanted: Any):
    parsed = parse_field(name, value)
    assert parsed == wanted
    assert type(parsed) is type(wanted)


@pytest.mark.parametrize(
    "stored",
    [
        {"dt": np.array([1e-3, 2e-3])},
        {"dt": np.array([])},
        {"reset": b"\xff\xfe"},
        {"reset": np.array(["to_value", "none"])},
        {"lif": {"reset": "none"}},
        {"nodes": "lif"},
        {"dt": True},
    ],
    ids=str,
)
def test_what_is_no_setting_in_a_files_metadata_is_refused_in_words(stored: dict[str, Any]):
    with pytest.raises(SemanticsError):
        from_metadata(stored)


# --- metadata --------------------------------------------------------------------------------


@given(
    whole=some.fixed_dictionaries({}, optional={k: some.sampled_from(v) for k, v in LEGAL.items()}),
    dt=some.none() | some.floats(1e-9, 1.0),
    lags=some.tuples(some.integers(0, 1), some.integers(0, 1)),
    nodes=some.dictionaries(
        some.sampled_from(["lif", "lif1.lif", "x=y", "dialect"]),
        some.fixed_dictionaries(
            {"spike": some.sampled_from(CHOICES["spike"])},  # a node without any would vanish
            optional={k: some.sampled_from(v) for k, v in LEGAL.items() if k not in WHOLE},
        ),
    ),
)
def test_metadata_brings_back_the_same_semantics(
    whole: dict[str, Any], dt: float | None, lags: tuple[int, int], nodes: dict[str, Any]
):
    said = Semantics(
        **whole, dt=dt, feedforward_lag=lags[0], recurrent_lag=lags[1], nodes=nodes, dialect="mine"
    )
    flat = to_metadata(said)
    assert all(type(value) in (str, float, int) for value in flat.values())
    assert from_metadata(flat) == said
    as_hdf5 = {
        key: np.bytes_(value.encode()) if isinstance(value, str) else np.array(value)
        for key, value in flat.items()
    }
    assert from_metadata(as_hdf5) == said


def test_metadata_without_a_dialect_says_that_it_came_from_the_file():
    said = from_metadata({"dt": 1e-3})
    assert (said.dialect, said.assumed) == ("file", ())
    assert said.to_dict() == Semantics(dt=1e-3, dialect="file").to_dict()


def test_semantics_survive_a_nir_file(tmp_path: Path):
    flat = np.ones(2)
    said = apply_settings(
        preset("spikingjelly"), ["dt=3e-4", "lif.a.reset=subtract", "lif.a.v_min=none"]
    )
    net = Network(
        {
            "in": Input((3,)),
            "fc": Linear(np.ones((2, 3))),
            "lif.a": Lif(flat, flat, 0 * flat, flat, 0 * flat),
            "out": Output((2,)),
        },
        (("in", "fc"), ("fc", "lif.a"), ("lif.a", "out")),
        said,
    )
    write_network(net, tmp_path / "net.nir")
    back = sp.load(tmp_path / "net.nir").semantics
    assert back.to_dict() == said.to_dict()


# --- what nobody said ------------------------------------------------------------------------


def test_a_missing_dt_is_refused_with_a_flag_that_helps():
    with pytest.raises(SemanticsError, match="length of a time step is unknown") as caught:
        require_dt(preset("nir"), "spikeport deploy net.nir")
    command, _, dt = caught.value.fix.rpartition(" --dt ")
    assert command.endswith("as in spikeport deploy net.nir")
    assert require_dt(apply_settings(preset("nir"), [f"dt={dt}"])) == 1e-4


def test_a_graph_without_a_dialect_is_refused_with_names_that_work():
    with pytest.raises(SemanticsError, match="what a time step means is unknown") as caught:
        require_said(Semantics(), "spikeport deploy net.nir")
    assert caught.value.fix.endswith(": spikeport deploy net.nir --dialect nir")
    names = caught.value.fix.partition("(")[2].partition(")")[0].split(", ")
    assert names == list(PRESETS)
    for name in names:
        require_said(preset(name))


def test_a_graph_with_metadata_or_a_dt_has_said_enough():
    require_said(from_metadata({}))
    assert require_dt(Semantics(dt=2e-3)) == 2e-3


# --- what exporters lose -----------------------------------------------------------------------


def small() -> Network:
    """One Lif and one CubaLif inside a nested graph, each of two neurons."""

    def pair(value: float) -> np.ndarray[Any, Any]:
        return np.full(2, value)

    lif = Lif(pair(0.01), pair(1.0), pair(0.0), pair(1.0), pair(0.0))
    cuba = CubaLif(*(pair(v) for v in (0.01, 0.005, 1.0, 0.0, 1.0, 0.0, 1.0)))
    inner = Graph(
        {"input": Input((2,)), "n": cuba, "output": Output((2,))},
        (("input", "n"), ("n", "output")),
    )
    return Network(
        {"in": Input((2,)), "lif": lif, "rec": inner, "out": Output((2,))},
        (("in", "lif"), ("lif", "rec"), ("rec", "out")),
    )


def test_a_parameter_goes_into_every_neuron_that_has_it_and_is_listed():
    said = say(small(), ["w_in=10", "r=3", "reset=subtract"])
    assert said.nodes["lif"].r.tolist() == [3.0, 3.0]
    assert said.nodes["rec"].nodes["n"].r.tolist() == [3.0, 3.0]
    assert said.nodes["rec"].nodes["n"].w_in.tolist() == [10.0, 10.0]
    assert said.semantics.parameters == {"w_in": 10.0, "r": 3.0}
    assert said.semantics.to_dict()["parameters"] == {"w_in": 10.0, "r": 3.0}
    assert said.semantics.reset == "subtract"


def test_a_nodes_own_parameter_stands_above_the_one_for_all():
    said = say(small(), ["rec.n.r=7", "r=3"])
    assert said.nodes["lif"].r[0] == 3.0
    assert said.nodes["rec"].nodes["n"].r[0] == 7.0


def test_the_network_that_was_loaded_stays_as_it_was():
    net = small()
    say(net, ["r=3"])
    assert net.nodes["lif"].r.tolist() == [1.0, 1.0]
    assert net.semantics.parameters == {}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("tau=0", "tau=0 is not a usable number: tau is a finite number above 0"),
        ("rec.n.tau_syn=-1e-3", "tau_syn is a finite number above 0"),
        ("w_in=nan", "w_in=nan is not a usable number: w_in is a finite number"),
        ("w_in=ten", "w_in=ten is not a usable number"),
        ("w_inn=10", "unknown semantics field 'w_inn', and no neuron parameter: known are dt, "),
        ("lif.w_in=10", "no neuron parameter of 'lif': known are .* the neurons here have r, tau"),
        ("lif9.r=10", "r is set for 'lif9', but there is no such neuron: neurons here are lif"),
        ("w_in", "cannot read the setting 'w_in'"),
    ],
)
def test_a_wrong_parameter_is_refused_with_what_is_known(setting: str, message: str):
    with pytest.raises(SemanticsError, match=message):
        say(small(), [setting])


def test_an_unknown_name_lists_fields_and_the_networks_parameters():
    with pytest.raises(SemanticsError) as caught:
        say(small(), ["gain=2"])
    for name in ("input_gain", "v_min", "w_in", "tau_mem", "v_reset"):
        assert re.search(rf"\b{name}\b", caught.value.why)


def test_a_wrong_number_is_followed_by_advice_that_works():
    with pytest.raises(SemanticsError) as caught:
        say(small(), ["tau=-1"])
    advice = caught.value.fix.removeprefix("--set ")
    assert say(small(), [advice]).nodes["lif"].tau[0] > 0


def test_what_was_supplied_by_hand_is_written_into_the_nodes(tmp_path: Path):
    said = say(small().with_semantics(preset("snntorch")), ["r=3"])
    write_network(said, tmp_path / "net.nir")
    assert sp.load(tmp_path / "net.nir").nodes["lif"].r.tolist() == [3.0, 3.0]
