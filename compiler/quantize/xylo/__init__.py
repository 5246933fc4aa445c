"""From a retimed `Clocked` to the integers of Xylo."""
