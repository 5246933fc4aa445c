"""What runs or writes an Image, and the chips; imports compiler and models."""

if __name__ != "spikeport.backends":
    raise ImportError("import this folder as spikeport.backends; see pyproject.toml, package-dir")
