"""From floats to the integers of a chip, with a row for everything that was lost."""
