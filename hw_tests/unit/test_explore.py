"""The search for recipes: what it tries, what it keeps, and that its model only says what next."""

from itertools import pairwise

import numpy as np
import pytest

import spikeport as sp
from spikeport import backends
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.network import Affine, Input, Linear, Network, Output
from spikeport.compiler.quantize.recipe import Recipe, parse_wish
from spikeport.compiler.semantics import apply_settings, preset
from spikeport.deployment import retimed_for
from spikeport.explore import Goal, Search, best_of, ladder
from spikeport.models.neurons.lif import Lif
from spikeport.prepared import prepare
from spikeport.recipe_words import in_short, options_of, recipe_of
from spikeport.trials import Bench, memory_by_projection, memory_of


def leaky(size):
    one = np.ones(size)
    return Lif(8e-4 * one, 8 * one, 0 * one, one, 0 * one)


def two_layers(seed=0):
    """Sixteen inputs, twelve leaky neurons, four more; weights that 8 bits do not hold."""
    rng = np.random.default_rng(seed)
    nodes = {
        "in": Input((16,)),
        "fc1": Affine(rng.normal(0.1, 0.4, (12, 16)), rng.normal(0, 0.1, 12)),
        "a": leaky(12),
        "fc2": Linear(rng.normal(0.2, 0.5, (4, 12))),
        "b": leaky(4),
        "out": Output((4,)),
    }
    contract = apply_settings(preset("nir"), ["dt=1e-4"])
    return Network(nodes, tuple(pairwise(nodes)), contract, name="two layers")


def spikes(seed=1, samples=12):
    rng = np.random.default_rng(seed)
    return (rng.random((samples, 60, 16)) < 0.3).astype(np.uint8)


def bench(chip="loihi1", **arrays):
    given = prepare(two_layers(), chip, {"x": spikes(), **arrays})
    target = backends.find_chip(chip)
    return Bench(given, target, retimed_for(given, target), given.data, True)


@pytest.fixture(scope="module")
def ready():
    return bench()


def searched(where, base=None, goal=None, progress=lambda done, total: None):
    """Search, with fewer trials than people get."""
    search = Search(where, base or Recipe(), goal or Goal(), progress)
    search.most, search.slow = 45, 4
    search.run()
    return search


@pytest.fixture(scope="module")
def explored(ready):
    return searched(ready)


def test_no_row_is_beaten_by_any_recipe_that_was_tried(explored):
    front = best_of(explored.trials, explored.goal.order)
    assert len(front) > 3
    for row in front:
        beaten = [
            t for t in explored.trials
            if (t.memory, t.cores) <= (row.memory, row.cores) and t.cores <= row.cores
            and t.worst[1] > row.worst[1]
        ]  # fmt: skip
        assert not beaten
    for cheap, dear in pairwise(front):
        assert cheap.memory < dear.memory


def test_the_rows_reach_from_the_fewest_bits_to_two_synapses(explored):
    front = best_of(explored.trials, explored.goal.order)
    assert front[0].memory < explored.trials[-1].memory / 3
    assert any(wish.is_split for wish in front[-1].recipe.weights.values())
    assert front[-1].worst[1] > front[0].worst[1]


def test_the_search_finds_rows_that_no_uniform_recipe_is(explored):
    alike = {state for _, state in explored.done if len(set(state)) == 1}
    front = best_of(explored.trials, explored.goal.order)
    mixed = [each for each in front if explored.states[id(each)] not in alike]
    assert mixed


def test_a_search_for_a_target_finds_it_cheaper_than_holding_all_alike(ready, explored):
    alike = (each for each in explored.trials if len(set(explored.states[id(each)])) == 1)
    uniform = [each for each in alike if not each.recipe.correct]
    wanted = sorted({each.worst[1] for each in uniform})[-2] + 1e-9
    search = searched(ready, goal=Goal(loss=1 - wanted))
    reached = [each for each in search.trials if search.goal.reached(each)]
    enough = [each for each in uniform if each.worst[1] >= wanted]
    assert min(each.memory for each in reached) <= min(each.memory for each in enough)


def test_every_row_is_what_its_options_say_again(ready, explored):
    for trial in best_of(explored.trials, explored.goal.order)[::3]:
        again, _ = ready.attempt(pasted(options_of(trial.recipe)))
        assert (again.memory, again.synapses, again.cores) == (
            trial.memory, trial.synapses, trial.cores
        )  # fmt: skip
        assert again.agreement == trial.agreement


def pasted(options: str) -> Recipe | None:
    """Read options as a command does."""
    import shlex

    words = shlex.split(options)
    weights = [words[k + 1] for k, word in enumerate(words) if word == "--weights"]
    others = {
        word[2:]: words[k + 1]
        for k, word in enumerate(words)
        if word.startswith("--") and word not in ("--weights", "--correct")
    }
    return recipe_of(weights, "--correct" in words, **others)


def test_what_the_recipe_names_is_kept(ready):
    base = Recipe({"fc1": parse_wish("5")}, decays="gain")
    search = searched(ready, base)
    assert all(str(each.recipe.wish("fc1")) == "5" for each in search.trials)
    assert all(each.recipe.decays == "gain" for each in search.trials)
    assert len({str(each.recipe.wish("fc2")) for each in search.trials}) > 5


def test_nothing_to_vary_is_refused(ready):
    with pytest.raises(LoweringError, match="nothing is left to search"):
        Search(ready, Recipe({"": parse_wish("4")}), Goal(), lambda done, total: None)


def test_an_interruption_keeps_what_was_measured(ready):
    def impatient(done, total):
        if done == 5:
            raise KeyboardInterrupt

    search = searched(ready, progress=impatient)
    assert search.interrupted
    assert len(search.trials) == 5


def test_an_interruption_before_anything_was_measured_is_one(ready):
    def impatient(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searched(ready, progress=impatient)


def test_the_same_search_finds_the_same(explored):
    again = searched(bench())
    found, known = ([options_of(t.recipe) for t in each.trials] for each in (again, explored))
    assert found == known


def test_a_budget_is_kept_to_and_searched_up_to(ready, explored):
    memory = sorted(each.memory for each in explored.trials)[len(explored.trials) // 2]
    search = searched(ready, goal=Goal(memory=memory))
    held = [each for each in search.trials if search.goal.held(each)]
    known = [each for each in explored.trials if each.memory <= memory]
    assert max(t.worst[1] for t in held) >= max(t.worst[1] for t in known) - 0.002


@pytest.mark.parametrize("recipe", ["4", "8", "8+8@0.5", "8:sign-size", "8+8:sign"])
def test_the_memory_of_projections_adds_up_to_the_chips(ready, recipe):
    image = ready.image(Recipe({"": parse_wish(recipe)}))
    assert sum(memory_by_projection(image).values()) == memory_of(image)
    assert memory_of(image) == image.resources["synaptic_memory_bits"]


def test_a_chip_without_a_formula_counts_the_bits_of_its_weights():
    nodes = {"in": Input((3,)), "w": Linear(np.array([[0.5, 0.0, 0.4]])), "n": leaky(1)}
    nodes["out"] = Output((1,))
    contract = apply_settings(preset("nir"), ["dt=1e-4"])
    net = Network(nodes, tuple(pairwise(nodes)), contract, name="one neuron")
    image = sp.compile(net, "spinnaker1")
    assert memory_of(image) == 2 * image.program.synapses[0].weight_bits


def test_the_ladder_of_a_chip_with_one_weight_per_pair_has_bits_alone():
    assert [str(wish) for wish in ladder(backends.find_chip("speck2f"))] == [
        "2", "3", "4", "5", "6", "8"
    ]  # fmt: skip


def test_the_ladder_of_loihi_has_lists_and_splits():
    assert [str(wish) for wish in ladder(backends.find_chip("loihi1"))] == [
        "2", "3", "4", "5", "6", "8", "8:size", "8:sign-size", "8+4", "8+8@0.25", "8+8@0.5",
        "8+8", "8+8:sign",
    ]  # fmt: skip


def test_options_are_short_and_read_back():
    held = {"a b": parse_wish("8+8@0.25:sign"), "c": parse_wish("4"), "d": parse_wish("4")}
    recipe = in_short(Recipe(held, rounding="output", correct=True), held)
    said = options_of(recipe)
    assert said == "--weights 4 --weights 'a b=8+8@0.25:sign' --rounding output --correct"
    assert pasted(said) == recipe


def test_no_options_are_no_recipe():
    assert recipe_of(None) is None
    assert options_of(None) == options_of(Recipe()) == ""


def test_a_name_with_an_equals_sign_is_read():
    assert recipe_of(["a=b=4"]).weights == {"a=b": parse_wish("4")}


def test_an_accuracy_decides_before_agreement():
    found = bench(labels=np.arange(12) % 4)
    search = Search(found, Recipe(), Goal(0.5, by_accuracy=True), lambda done, total: None)
    image = found.image(None)
    trial = found.measure(image, None, found.some)
    assert search.goal.lost(trial) == 1 - trial.accuracy
    assert search.goal.lost(trial) <= search.goal.order(trial) <= search.goal.lost(trial) + 1e-3
