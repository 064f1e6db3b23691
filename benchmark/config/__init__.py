"""The settings of every part, presets, and command line options made of them."""
