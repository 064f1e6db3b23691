"""The recurrent cell of DARTS, for language modelling."""

from kshot_core.spaces.darts_ptb.space import DARTSPTB

__all__ = ["DARTSPTB"]
