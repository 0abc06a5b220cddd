"""The machine at hand: its devices, caches and rates."""
