"""From a retimed `Clocked` to weights per axon type (TrueNorth)."""
