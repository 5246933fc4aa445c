"""Place a Program on cores with synapse lists: Loihi, SpiNNaker."""
