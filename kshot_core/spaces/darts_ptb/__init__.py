"""The recurrent cell of DARTS, for language modelling."""

from kshot_core.spaces.darts_ptb.space import DartsPTB

__all__ = ["DartsPTB"]
