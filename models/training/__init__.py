"""The reference simulator that trains: a differentiable run of the same steps, and its loops."""
