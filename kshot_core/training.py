"""Training of the bank and the simplex-net in turns (paper section 3, algorithms 1 and 2).

``fit`` yields the figures of one epoch at a time. Everything random comes from the trainer's own
generators and all of its state can be taken out as tensors, so that a run stopped after any epoch
and restored ends with the same bytes.

Shapes: B images of a batch, K copies, m architectures (groups) of a simplex step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kshot_core.bank import KShot
from kshot_core.data import TrainingImages
from kshot_core.precision import PRECISIONS
from kshot_core.sampling import Sampler, sample
from kshot_core.space import Arch
from kshot_core.steps import Engine, Step, run_step
from kshot_core.streams import stream


@dataclass(frozen=True)
class Recipe:
    """How supernets are trained. The defaults are NAS-Bench-201's recipe for weight sharing.

    Args:
        epochs: passes over the training images.
        batch_size: images of a weight step; a simplex step divides as many among its groups.
        learning_rate: of SGD at the start; follows a cosine to ``min_learning_rate``.
        min_learning_rate: of SGD at the end.
        momentum: of SGD.
        nesterov: Nesterov's form of momentum.
        weight_decay: of SGD, on the bank.
        gradient_clip: largest norm of the bank's gradient; 0 leaves it alone.
        warmup_epochs: first epochs in which every code is 1/K and the simplex-net waits.
        schedule: ``"alternate"`` trains bank and simplex-net in turns (algorithm 2); ``"joint"``
            trains both in every step on ``num_groups`` paths (appendix G).
        simplex_every: one step in so many trains the simplex-net; 2 is the paper's alternation.
        simplex_batches: ``"shared"`` takes the simplex steps' images out of the epoch, as the
            paper does, which leaves fewer weight steps than one-shot training has; ``"extra"``
            draws them besides, so that every K gets equally many weight steps.
        num_groups: m, the architectures of a simplex step, each with B/m images.
        simplex_learning_rate: of Adam on the simplex-net; the paper does not state its optimiser.
        simplex_weight_decay: of Adam on the simplex-net.
        unsampled: ``"freeze"`` leaves weights that a step did not use alone (torch >= 2);
            ``"decay"`` applies weight decay and momentum to them too, as the published runs did.
        compensate: under a code λ the merged weight moves with Σλ² of the learning rate; True
            divides the gradient by Σλ². Off by default: merging K independent copies also divides
            the squared norm of the weights by about K, and under batch-norm a step's effect is
            relative to that norm, so that the two cancel.
        batch_paths: several paths of one step run in one pass, where the network can do that;
            False runs them one by one, which is slower and rounds differently.
        precision: of forward passes, ``"float32"`` or ``"bfloat16"``; see ``precise``.
    """

    epochs: int = 250
    batch_size: int = 64
    learning_rate: float = 0.025
    min_learning_rate: float = 0.001
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    gradient_clip: float = 5.0
    warmup_epochs: int = 10
    schedule: str = "alternate"
    simplex_every: int = 2
    simplex_batches: str = "shared"
    num_groups: int = 16
    simplex_learning_rate: float = 1e-3
    simplex_weight_decay: float = 0.0
    unsampled: str = "freeze"
    compensate: bool = False
    batch_paths: bool = True
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Refuse settings that cannot train with ``ValueError``."""
        choices = {
            "schedule": ("alternate", "joint"),
            "simplex_batches": ("shared", "extra"),
            "unsampled": ("freeze", "decay"),
            "precision": PRECISIONS,
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is one of {allowed}, got {getattr(self, name)!r}")
        for name, least in {
            "epochs": 0,
            "batch_size": 2,
            "num_groups": 1,
            "simplex_every": 2,
        }.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.compensate and self.schedule == "joint":
            raise ValueError("compensate is for weight steps; a joint step has many codes at once")
        if self.batch_size < 2 * self.num_groups:
            raise ValueError(
                f"batch_size {self.batch_size} leaves fewer than 2 images for each of "
                f"{self.num_groups} groups, and batch-norm needs 2"
            )


class DivergedError(RuntimeError):
    """The loss is no longer a number."""


class Trainer:
    """Bank, simplex-net, their optimisers and the random streams of one training.

    Args:
        shared: the bank.
        sharing: the strategy; trained by simplex steps if it has parameters.
        sampler: draws the paths of weight steps and of simplex steps.
        images: training images.
        recipe: settings.
        seed: of the order of images, their augmentation, and the paths.
        engine: runs the steps; ``Lockstep`` has one that runs them with those of other trainings.
    """

    def __init__(
        self,
        shared: KShot,
        sharing: nn.Module,
        sampler: Sampler,
        images: TrainingImages,
        recipe: Recipe,
        seed: int,
        engine: Engine = run_step,
    ) -> None:
        if sharing.K != shared.K:
            raise ValueError(f"the strategy has K = {sharing.K}, the bank K = {shared.K}")
        self.shared, self.sharing, self.sampler = shared, sharing, sampler
        self.images, self.recipe, self.engine = images, recipe, engine
        self.bank = list(shared.parameters())
        # One copy has one code: there is nothing for a simplex step to learn.
        self.simplex = list(sharing.parameters()) if shared.K > 1 else []
        self.optimizer = torch.optim.SGD(
            self.bank,
            recipe.learning_rate,
            recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.nesterov,
        )
        self.simplex_optimizer = (
            torch.optim.Adam(
                self.simplex, recipe.simplex_learning_rate, weight_decay=recipe.simplex_weight_decay
            )
            if self.simplex
            else None
        )
        purposes = ("batches", "paths", "simplex batches", "simplex paths")
        self.streams = {purpose: stream(seed, purpose) for purpose in purposes}
        self.epoch = self.num_weight_steps = self.num_simplex_steps = 0

    def run_epoch(self) -> dict[str, float]:
        """Train one epoch.

        Returns:
            epoch (from 1), mean ``weight_loss`` and ``simplex_loss`` (where there was a step),
            ``learning_rate`` of the last step, ``num_weight_steps`` and ``num_simplex_steps`` of
            the whole training so far, and ``code_entropy``: mean entropy of the weight steps'
            codes as a share of log K (1 is uniform, 0 is one-hot).

        Raises:
            DivergedError: a loss was not finite.
        """
        recipe, warm = self.recipe, self.epoch < self.recipe.warmup_epochs
        learns = self.simplex_optimizer is not None and not warm
        batches = self.images.training_batches(recipe.batch_size, self.streams["batches"])
        extra: Iterator[tuple[Tensor, Tensor]] = iter(())
        if learns and recipe.schedule == "alternate" and recipe.simplex_batches == "extra":
            extra = self.images.training_batches(recipe.batch_size, self.streams["simplex batches"])
        per_epoch = len(self.images) // recipe.batch_size
        losses: dict[str, list[Tensor]] = {"weight_loss": [], "simplex_loss": []}
        entropies: list[Tensor] = []
        # The cosine runs over the share of images seen, whatever kind of step saw them.
        for index, (x, y) in enumerate(batches):
            self._set_learning_rate((self.epoch + index / per_epoch) / recipe.epochs)
            if learns and recipe.schedule == "joint":
                losses["weight_loss"].append(self._joint_step(x, y))
                continue
            turn = index % recipe.simplex_every == recipe.simplex_every - 1
            if learns and turn and recipe.simplex_batches == "shared":
                losses["simplex_loss"].append(self._simplex_step(x, y))
                continue
            loss, entropy = self._weight_step(x, y, warm)
            losses["weight_loss"].append(loss)
            entropies.append(entropy)
            # r - 1 weight steps for each simplex step, as when they share the epoch's batches.
            if learns and index % (recipe.simplex_every - 1) == 0:
                for batch in _take_one(extra):
                    losses["simplex_loss"].append(self._simplex_step(*batch))
        self.epoch += 1
        figures: dict[str, float] = {"epoch": self.epoch}
        for name, values in losses.items():
            if values:
                figures[name] = torch.stack(values).mean().item()
                if not math.isfinite(figures[name]):
                    raise DivergedError(
                        f"{name} is {figures[name]} in epoch {self.epoch}: training diverged; "
                        "lower the learning rate or clip the gradient"
                    )
        if entropies:
            figures["code_entropy"] = torch.stack(entropies).mean().item()
        figures["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        figures["num_weight_steps"] = self.num_weight_steps
        figures["num_simplex_steps"] = self.num_simplex_steps
        return figures

    def _set_learning_rate(self, progress: float) -> None:
        low, high = self.recipe.min_learning_rate, self.recipe.learning_rate
        rate = low + 0.5 * (high - low) * (1 + math.cos(math.pi * progress))
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _weight_step(self, x: Tensor, y: Tensor, warm: bool) -> tuple[Tensor, Tensor]:
        """Train the bank with the codes as they are (eq. 9)."""
        archs = self.sampler(self.streams["paths"])
        if warm:
            codes = torch.full((len(archs), self.shared.K), 1 / self.shared.K)
        else:
            with torch.no_grad():
                codes = self.sharing(archs)
        codes = codes.to(self.bank[0], non_blocking=True)
        # Several paths see the same images; their gradients add up.
        m, weights = len(archs), codes.new_ones(len(archs))
        if self.recipe.compensate:
            weights = weights / codes.square().sum(1)
        self._zero_bank_gradients()
        images, labels = x.expand(m, *x.shape), y.expand(m, *y.shape)
        losses = self._run(images, labels, archs, codes, weights)
        self._update_bank()
        return losses.mean(), _relative_entropy(codes)

    def _simplex_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Train the simplex-net with the bank as it is, on m paths of B/m images (eq. 8)."""
        assert self.simplex_optimizer is not None
        archs = sample(self.sampler, self.recipe.num_groups, self.streams["simplex paths"])
        self.simplex_optimizer.zero_grad()
        with _frozen(self.bank):
            loss = self._grouped_loss(x, y, archs)
        self.simplex_optimizer.step()
        self.num_simplex_steps += 1
        return loss

    def _joint_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Train bank and simplex-net by the same gradient (appendix G)."""
        assert self.simplex_optimizer is not None
        archs = sample(self.sampler, self.recipe.num_groups, self.streams["paths"])
        self._zero_bank_gradients()
        self.simplex_optimizer.zero_grad()
        loss = self._grouped_loss(x, y, archs)
        self._update_bank()
        self.simplex_optimizer.step()
        self.num_simplex_steps += 1
        return loss

    def _grouped_loss(self, x: Tensor, y: Tensor, archs: list[Arch]) -> Tensor:
        """Mean loss of m architectures, each on its own B/m images; a remainder is left out.

        Leaves its gradient on whatever asks for one.
        """
        codes = self.sharing(archs)
        m, size = len(archs), len(x) // len(archs)
        x, y = x[: m * size].view(m, size, *x.shape[1:]), y[: m * size].view(m, size)
        return self._run(x, y, archs, codes, codes.new_full((m,), 1 / m)).mean()

    def _run(
        self, x: Tensor, y: Tensor, archs: Sequence[Arch], codes: Tensor, weights: Tensor
    ) -> Tensor:
        recipe = self.recipe
        return self.engine(
            Step(self.shared, x, y, archs, codes, weights, recipe.batch_paths, recipe.precision)
        )

    def _zero_bank_gradients(self) -> None:
        # A gradient of None leaves a parameter alone, one of zeros lets it decay and coast.
        self.optimizer.zero_grad(set_to_none=self.recipe.unsampled == "freeze")

    def _update_bank(self) -> None:
        if self.recipe.gradient_clip > 0:
            nn.utils.clip_grad_norm_(self.bank, self.recipe.gradient_clip)
        self.optimizer.step()
        self.num_weight_steps += 1

    def state(self) -> dict[str, Tensor]:
        """A copy of everything that the rest of the training depends on, as tensors by name."""
        state = {f"shared/{name}": value for name, value in self.shared.state_dict().items()}
        state |= {f"sharing/{name}": value for name, value in self.sharing.state_dict().items()}
        state |= _optimizer_state("sgd", self.optimizer, self.bank)
        if self.simplex_optimizer is not None:
            state |= _optimizer_state("adam", self.simplex_optimizer, self.simplex)
        state |= {f"stream/{name}": value.get_state() for name, value in self.streams.items()}
        counts = [self.epoch, self.num_weight_steps, self.num_simplex_steps]
        state["counts"] = torch.tensor(counts)
        # Under "decay" a parameter coasts from the first step that used it.
        state["used"] = torch.tensor([parameter.grad is not None for parameter in self.bank])
        return {name: value.clone() for name, value in state.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up a state that ``state()`` of an equal trainer returned.

        Raises:
            ValueError: the state is of another network, strategy or recipe.
        """
        try:
            self.shared.load_state_dict(_part(state, "shared/"))
            self.sharing.load_state_dict(_part(state, "sharing/"))
            _restore_optimizer("sgd", self.optimizer, self.bank, state)
            if self.simplex_optimizer is not None:
                _restore_optimizer("adam", self.simplex_optimizer, self.simplex, state)
            for name, generator in self.streams.items():
                generator.set_state(state[f"stream/{name}"].cpu())
            counts = state["counts"].tolist()
            self.epoch, self.num_weight_steps, self.num_simplex_steps = counts
            for parameter, used in zip(self.bank, state["used"].tolist(), strict=True):
                parameter.grad = torch.zeros_like(parameter) if used else None
        except (KeyError, RuntimeError) as error:
            raise ValueError(f"the state does not fit this training: {error}") from None


def fit(trainer: Trainer) -> Iterator[dict[str, float]]:
    """Train to the recipe's last epoch, from wherever the trainer stands; yield each's figures."""
    while trainer.epoch < trainer.recipe.epochs:
        yield trainer.run_epoch()


class _frozen:
    """Parameters that ask for no gradient for a while, so that none is computed for them."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]

    def __enter__(self) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_(False)

    def __exit__(self, *exception: object) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_(True)


def _take_one(batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    for batch in batches:
        yield batch
        return


def _relative_entropy(codes: Tensor) -> Tensor:
    num = codes.shape[1]
    if num == 1:
        return codes.new_ones(())
    entropy: Tensor = -(codes * codes.clamp_min(1e-12).log()).sum(1).mean() / math.log(num)
    return entropy


def _part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: v for name, v in state.items() if name.startswith(prefix)}


def _optimizer_state(
    label: str, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter]
) -> dict[str, Tensor]:
    """Per-parameter tensors; a parameter that never had a gradient has none yet."""
    return {
        f"{label}/{index}/{name}": value
        for index, parameter in enumerate(parameters)
        for name, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def _restore_optimizer(
    label: str,
    optimizer: torch.optim.Optimizer,
    parameters: list[nn.Parameter],
    state: dict[str, Tensor],
) -> None:
    saved: dict[int, dict[str, Any]] = {}
    for name, value in _part(state, f"{label}/").items():
        index, _, key = name.partition("/")
        saved.setdefault(int(index), {})[key] = value.clone()
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": saved, "param_groups": groups})
