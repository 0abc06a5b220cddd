"""Deciding before running: memory, block sizes, buckets of ranges, the plan, autotuning."""
