"""Live PyTorch modules of snnTorch, Norse, sinabs and SpikingJelly, read into a Network.

No framework is imported here: layers are known by the names of their classes and by their
attributes, and tensors hand out NumPy arrays. `trace.py` watches one run of the module,
`origins.py` finds where each tensor came from, one file per tool says what its layers mean,
`build.py` puts the network together and `proof.py` compares it with what the module did.
"""
