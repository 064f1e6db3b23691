"""The method. Tensors in, tensors out: no command line, no paths, no printing, no global state."""
