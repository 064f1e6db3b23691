"""The method. Tensors in, tensors out: no command line, no paths, no printing, no global state.

``import kshot_core as ks`` gives the public names: ``ks.KShot``, ``ks.SimplexNet``, ``ks.Trainer``.
Each is imported when it is first asked for, so that a program that needs one room of the package
does not wait for the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kshot_core.evaluation.scores import Scores as Scores
    from kshot_core.evaluation.scores import predict as predict
    from kshot_core.metrics.correlation import METRICS as METRICS
    from kshot_core.metrics.correlation import kendall_tau_b as kendall_tau_b
    from kshot_core.retraining.fleet import Fleet as Fleet
    from kshot_core.retraining.standalone import StandaloneRecipe as StandaloneRecipe
    from kshot_core.retraining.standalone import build_fleet as build_fleet
    from kshot_core.retraining.standalone import train_standalone as train_standalone
    from kshot_core.retraining.trainer import Retraining as Retraining
    from kshot_core.retraining.trainer import RetrainRecipe as RetrainRecipe
    from kshot_core.retraining.trainer import top_k as top_k
    from kshot_core.sampling import SAMPLERS as SAMPLERS
    from kshot_core.sampling import Sampler as Sampler
    from kshot_core.sampling import sample as sample
    from kshot_core.sampling.balanced import Balanced as Balanced
    from kshot_core.sampling.fair import Fair as Fair
    from kshot_core.sampling.uniform import Uniform as Uniform
    from kshot_core.sampling.valid import Valid as Valid
    from kshot_core.search.limits import Limits as Limits
    from kshot_core.search.methods import METHODS as METHODS
    from kshot_core.search.methods import Evaluated as Evaluated
    from kshot_core.search.methods import SearchSettings as SearchSettings
    from kshot_core.search.methods import nsga2 as nsga2
    from kshot_core.search.methods import random_search as random_search
    from kshot_core.settings import setting as setting
    from kshot_core.sharing import SHARING as SHARING
    from kshot_core.sharing import Sharing as Sharing
    from kshot_core.sharing import Strategy as Strategy
    from kshot_core.sharing.few_shot import FewShot as FewShot
    from kshot_core.sharing.few_shot import FewShotSettings as FewShotSettings
    from kshot_core.sharing.fixed import Fixed as Fixed
    from kshot_core.sharing.one_shot import OneShot as OneShot
    from kshot_core.sharing.random import RandomCodes as RandomCodes
    from kshot_core.sharing.simplex import SimplexNet as SimplexNet
    from kshot_core.sharing.simplex import SimplexSettings as SimplexSettings
    from kshot_core.space import Arch as Arch
    from kshot_core.space import Listable as Listable
    from kshot_core.space import Priced as Priced
    from kshot_core.space import Space as Space
    from kshot_core.space import check_arch as check_arch
    from kshot_core.space import encode as encode
    from kshot_core.space import in_range as in_range
    from kshot_core.space import uniform_arch as uniform_arch
    from kshot_core.space import uniforms as uniforms
    from kshot_core.spaces import DARTS as DARTS
    from kshot_core.spaces import DARTSPTB as DARTSPTB
    from kshot_core.spaces import SPACES as SPACES
    from kshot_core.spaces import MobileNetV2 as MobileNetV2
    from kshot_core.spaces import NASBench101 as NASBench101
    from kshot_core.spaces import NASBench201 as NASBench201
    from kshot_core.spaces import NASBenchMacro as NASBenchMacro
    from kshot_core.spaces import Proxyless as Proxyless
    from kshot_core.tasks import TASKS as TASKS
    from kshot_core.tasks.images import ImageClassification as ImageClassification
    from kshot_core.tasks.images import ImageSet as ImageSet
    from kshot_core.tasks.language import LanguageModelling as LanguageModelling
    from kshot_core.tasks.language import TextSet as TextSet
    from kshot_core.tasks.task import Task as Task
    from kshot_core.training.distributed import Processes as Processes
    from kshot_core.training.lockstep import Lockstep as Lockstep
    from kshot_core.training.recipe import Recipe as Recipe
    from kshot_core.training.regularisation import WidthRegularisation as WidthRegularisation
    from kshot_core.training.trainer import DivergedError as DivergedError
    from kshot_core.training.trainer import Trainer as Trainer
    from kshot_core.training.trainer import fit as fit
    from kshot_core.weights.bank import KShot as KShot
    from kshot_core.weights.widen import widen_copies as widen_copies

_NAMES = {
    "evaluation.scores": ("Scores", "predict"),
    "metrics.correlation": ("METRICS", "kendall_tau_b"),
    "retraining.fleet": ("Fleet",),
    "retraining.standalone": ("StandaloneRecipe", "build_fleet", "train_standalone"),
    "retraining.trainer": ("RetrainRecipe", "Retraining", "top_k"),
    "sampling": ("SAMPLERS", "Sampler", "sample"),
    "sampling.balanced": ("Balanced",),
    "sampling.fair": ("Fair",),
    "sampling.uniform": ("Uniform",),
    "sampling.valid": ("Valid",),
    "search.limits": ("Limits",),
    "search.methods": ("METHODS", "Evaluated", "SearchSettings", "nsga2", "random_search"),
    "settings": ("setting",),
    "sharing": ("SHARING", "Sharing", "Strategy"),
    "sharing.few_shot": ("FewShot", "FewShotSettings"),
    "sharing.fixed": ("Fixed",),
    "sharing.one_shot": ("OneShot",),
    "sharing.random": ("RandomCodes",),
    "sharing.simplex": ("SimplexNet", "SimplexSettings"),
    "space": (
        "Arch",
        "Listable",
        "Priced",
        "Space",
        "check_arch",
        "encode",
        "in_range",
        "uniform_arch",
        "uniforms",
    ),
    "spaces": (
        "DARTS",
        "DARTSPTB",
        "SPACES",
        "MobileNetV2",
        "NASBench101",
        "NASBench201",
        "NASBenchMacro",
        "Proxyless",
    ),
    "tasks": ("TASKS",),
    "tasks.images": ("ImageClassification", "ImageSet"),
    "tasks.language": ("LanguageModelling", "TextSet"),
    "tasks.task": ("Task",),
    "training.distributed": ("Processes",),
    "training.lockstep": ("Lockstep",),
    "training.recipe": ("Recipe",),
    "training.regularisation": ("WidthRegularisation",),
    "training.trainer": ("DivergedError", "Trainer", "fit"),
    "weights.bank": ("KShot",),
    "weights.widen": ("widen_copies",),
}
"""Public names by the module that defines them."""

_HOMES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    """The public name, imported now. Raises ``AttributeError`` if there is no such name."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """What there is, asked for already or not."""
    return sorted({*globals(), *_HOMES})
