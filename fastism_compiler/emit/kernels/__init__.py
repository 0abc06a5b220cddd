"""Kernels: how a linear op runs on deltas, one module each."""
