"""Place a Program one layer a core: Speck, Akida."""
