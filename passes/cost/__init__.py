"""The cost model: machine rates, and what rows, tiles and programs cost."""
