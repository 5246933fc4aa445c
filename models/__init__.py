"""What is modelled: neuron kinds and their steps; imports compiler only."""

if __name__ != "spikeport.models":
    raise ImportError("import this folder as spikeport.models; see pyproject.toml, package-dir")
