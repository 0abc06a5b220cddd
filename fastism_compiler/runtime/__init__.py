"""Running programs: engines, lanes, devices, the model itself, verification."""
