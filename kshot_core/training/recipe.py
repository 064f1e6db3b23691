"""The settings of a training of supernets and simplex-net."""

from __future__ import annotations

from dataclasses import dataclass

from kshot_core.checks import (
    check_above_zero,
    check_at_least,
    check_below_one,
    check_not_negative,
)
from kshot_core.names import check_one_of
from kshot_core.settings import SEVERAL_COPIES, TRAINED_CODES, WIDTHS, setting
from kshot_core.training.precision import PRECISIONS


@dataclass(frozen=True)
class Recipe:
    """How supernets are trained. The defaults are NAS-Bench-201's recipe for weight sharing.

    Args:
        epochs: passes over the training images.
        average_epochs: the training ends with the mean of the weights, bank and simplex-net, at the
            ends of its last so many epochs; 0 with those of the last. Tau of single checkpoints
            rises and falls by .1 within 20 epochs (LOG.md, "longer and with larger batches").
        batch_size: images of a weight step; a simplex step divides as many among its groups.
        learning_rate: of SGD at the start; follows a cosine to ``min_learning_rate``.
        min_learning_rate: of SGD at the end.
        momentum: of SGD.
        nesterov: Nesterov's form of momentum.
        weight_decay: of SGD, on the bank.
        gradient_clip: largest norm of the gradient; 0 leaves it alone.
        clip_norm: whose norm that is. ``"bank"``: of the bank's gradient, which a code λ makes
            ‖λ‖ times the merged weights' (1/‖λ‖ times with ``compensate``), so that the bound is
            another one at each K. ``"merged"``: of the merged weights' gradient, at every K the
            same bound.
        warmup_epochs: first epochs, in which the simplex-net waits.
        warmup: codes of those epochs. ``"uniform"``: 1/K (the paper), under which all copies get
            the same gradient and stay one mean plus what they differed by at the start.
            ``"own"``: the strategy's own codes from the first step. ``"one-shot"``: copy 0 alone
            is trained, and at the end all copies start from it, momentum included (few-shot
            NAS, Zhao et al. 2021).
        schedule: ``"alternate"`` trains bank and simplex-net in turns (algorithm 2); ``"joint"``
            trains both in every step on ``num_groups`` paths (appendix G).
        simplex_every: one step in so many trains the simplex-net; 2 is the paper's alternation.
        simplex_batches: ``"shared"`` takes the simplex steps' images out of the epoch, as the
            paper does, which leaves fewer weight steps than one-shot training has; ``"extra"``
            draws them besides, so that every K gets equally many weight steps.
        num_groups: m, the architectures of a simplex step, each with B/m images.
        simplex_batch_size: images of a simplex step where they are ``"extra"``; 0 for
            ``batch_size``. Batch-norm over the 4 images that 64 leave each of 16 paths makes
            another network of it; the paper's 1,024 leave 64.
        simplex_learning_rate: of Adam on the simplex-net; the paper does not state its optimiser.
        simplex_weight_decay: of Adam on the simplex-net.
        simplex_cosine: whether the simplex-net's rate falls along a cosine to 0, as the weights'
            does to their least, instead of staying as it is.
        balance: weight of log K - H(mean code) over a simplex step's architectures, which is 0
            where all copies are used alike (mixtures of experts need it too: Shazeer et al. 2017).
        regularisation: α, the weight of r_c in the simplex-net's loss (eq. 17), where a space
            has widths.
        unsampled: ``"freeze"`` leaves an operation of a layer alone, all its copies and channels,
            of which a step used nothing (torch >= 2); copies whose code is 0 and channels beyond
            a path's width still decay and coast. ``"decay"`` applies weight decay and momentum to
            all weights in every step, as the published runs did.
        compensate: under a code λ the merged weight moves with Σλ² of the learning rate; True
            divides the gradient by Σλ². Off by default: merging K independent copies also divides
            the squared norm of the weights by about K, and under batch-norm a step's effect is
            relative to that norm, so that the two cancel.
        batch_paths: several paths of one step run in one pass, where the network can do that;
            False runs them one by one, which is slower and rounds differently.
        precision: of forward passes, ``"float32"`` or ``"bfloat16"``; see ``precise``.
    """

    epochs: int = setting(250, "passes over the training images", often=True)
    average_epochs: int = setting(
        0, "end with the mean of the weights after the last so many epochs; 0: the last"
    )
    batch_size: int = setting(64, "images of a training step", often=True)
    learning_rate: float = setting(0.025, "of SGD at the start", often=True)
    min_learning_rate: float = setting(0.001, "of SGD at the end of its cosine")
    momentum: float = setting(0.9, "of SGD")
    nesterov: bool = setting(True, "Nesterov's form of momentum", needs="momentum")
    weight_decay: float = setting(5e-4, "of SGD on the supernets' weights")
    gradient_clip: float = setting(5.0, "largest norm of the gradient; 0 for no clipping")
    clip_norm: str = setting(
        "bank",
        "whose norm that is: the bank's (another bound at each K), or the merged weights'",
        needs=SEVERAL_COPIES,
    )
    warmup_epochs: int = setting(
        10, "first epochs, in which the simplex-net waits", needs=SEVERAL_COPIES, often=True
    )
    warmup: str = setting(
        "uniform",
        "codes of those: uniform (1/K), own, or one-shot (copy 0, then all from it)",
        needs=SEVERAL_COPIES,
    )
    schedule: str = setting(
        "alternate",
        "alternate: supernets and simplex-net in turns (algorithm 2); joint: together",
        needs=TRAINED_CODES,
    )
    simplex_every: int = setting(
        2, "one step in so many trains the simplex-net", needs=TRAINED_CODES
    )
    simplex_batches: str = setting(
        "shared",
        "shared: simplex steps use the epoch's images (paper), extra: further ones",
        needs=TRAINED_CODES,
    )
    num_groups: int = setting(
        16,
        "m, architectures in a simplex step, each with its part of the batch",
        needs=TRAINED_CODES,
    )
    simplex_batch_size: int = setting(
        0, "images of a simplex step with extra images; 0 for the batch size", needs=TRAINED_CODES
    )
    simplex_learning_rate: float = setting(1e-3, "of Adam on the simplex-net", needs=TRAINED_CODES)
    simplex_weight_decay: float = setting(0.0, "of Adam on the simplex-net", needs=TRAINED_CODES)
    simplex_cosine: bool = setting(
        False,
        "the simplex-net's rate falls along a cosine to 0 instead of staying",
        needs=TRAINED_CODES,
    )
    balance: float = setting(
        0.0, "weight of a term that is 0 where all copies are used alike", needs=TRAINED_CODES
    )
    regularisation: float = setting(
        1.0,
        "weight of r_c, which tells widths apart (paper eq. 17), where there are any",
        needs=WIDTHS,
    )
    unsampled: str = setting(
        "freeze", "freeze: leave unused operations alone; decay: they decay and coast too"
    )
    compensate: bool = setting(
        False, "divide the weights' gradient by the sum of the squared code", needs=SEVERAL_COPIES
    )
    batch_paths: bool = setting(
        True, "several paths of a step in one pass; one by one is slower, rounds otherwise"
    )
    precision: str = setting(
        "float32",
        "of forward passes: float32, or bfloat16 (faster on a GPU, another result)",
        often=True,
    )

    def __post_init__(self) -> None:
        """Refuse settings that cannot train with ``ValueError``."""
        choices = {
            "schedule": ("alternate", "joint"),
            "simplex_batches": ("shared", "extra"),
            "clip_norm": ("bank", "merged"),
            "warmup": ("uniform", "own", "one-shot"),
            "unsampled": ("freeze", "decay"),
            "precision": PRECISIONS,
        }
        for name, allowed in choices.items():
            check_one_of(name, getattr(self, name), allowed)
        check_at_least(
            self,
            {
                "epochs": 0,
                "average_epochs": 0,
                "batch_size": 2,
                "warmup_epochs": 0,
                "num_groups": 1,
                "simplex_batch_size": 0,
                "simplex_every": 2,
            },
        )
        check_above_zero(self, "learning_rate", "simplex_learning_rate")
        check_not_negative(
            self,
            "min_learning_rate",
            "weight_decay",
            "simplex_weight_decay",
            "gradient_clip",
            "balance",
            "regularisation",
        )
        check_below_one(self, "momentum")
        self._refuse_contradictions()

    def _refuse_contradictions(self) -> None:
        if self.compensate and self.schedule == "joint":
            raise ValueError("compensate is for weight steps; a joint step has many codes at once")
        if self.clip_norm == "merged" and self.schedule == "joint":
            raise ValueError(
                'clip_norm "merged" is for weight steps; a joint step has many codes at once'
            )
        if self.average_epochs == 1 or self.average_epochs > self.epochs:
            raise ValueError(
                f"average_epochs must be 0, for none, or from 2 to the {self.epochs} epochs there "
                f"are, got {self.average_epochs}"
            )
        if self.simplex_batch_size and (
            self.simplex_batches == "shared" or self.schedule == "joint"
        ):
            raise ValueError(
                "simplex_batch_size is of simplex steps that draw images of their own; set "
                'simplex_batches to "extra" and schedule to "alternate", or leave it at 0'
            )
        name = "simplex_batch_size" if self.simplex_batch_size else "batch_size"
        if self.images_of_simplex_step < 2 * self.num_groups:
            raise ValueError(
                f"{name} {self.images_of_simplex_step} leaves fewer than 2 images for each of "
                f"{self.num_groups} groups, and batch-norm needs 2"
            )

    @property
    def images_of_simplex_step(self) -> int:
        """Images that the m paths of a simplex step divide among them."""
        return self.simplex_batch_size or self.batch_size
