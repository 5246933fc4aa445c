"""Nouns and pure verbs from a graph file to integers on cores; imports nothing else of ours."""

if __name__ != "spikeport.compiler":
    raise ImportError("import this folder as spikeport.compiler; see pyproject.toml, package-dir")
