"""Place a Program on crossbars: TrueNorth, ODIN, BrainScaleS-2."""
