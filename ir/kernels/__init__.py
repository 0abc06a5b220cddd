"""What each kernel costs and where it applies, as data; `fastism_compiler.emit.kernels.table` computes them."""
