"""Training of the bank and the simplex-net in turns (paper section 3, algorithms 1 and 2).

``fit`` yields the figures of one epoch at a time. Everything random comes from the trainer's own
generators and all of its state can be taken out as tensors, so that a run stopped after any epoch
and restored ends with the same bytes.

Shapes: B examples of a batch, K copies, m architectures (groups) of a simplex step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from kshot_core.sampling import Sampler, sample
from kshot_core.sharing import Sharing
from kshot_core.space import Arch
from kshot_core.streams import stream
from kshot_core.tasks.batches import TrainingBatches
from kshot_core.tasks.images import CLASSIFICATION
from kshot_core.tasks.task import Memory, Task
from kshot_core.training.averaging import WeightAverage
from kshot_core.training.code_figures import relative_entropy, spread, unbalanced
from kshot_core.training.distributed import ALONE, Processes
from kshot_core.training.passes import Epoch, Interrupted, Stop, go_on
from kshot_core.training.recipe import Recipe
from kshot_core.training.regularisation import WidthRegularisation
from kshot_core.training.states import (
    frozen,
    named_statistics,
    optimizer_state,
    part_of,
    refused_if_unfit,
    restore_optimizer,
    statistics_of,
)
from kshot_core.training.steps import Engine, Step, run_step
from kshot_core.weights.bank import KShot


class DivergedError(RuntimeError):
    """The loss is no longer a number, or so large that nothing is learnt any more."""


class Trainer:
    """Bank, simplex-net, their optimisers and the random streams of one training.

    Args:
        shared: the bank.
        sharing: the strategy; trained by simplex steps if it has parameters.
        sampler: draws the paths of weight steps and of simplex steps.
        examples: what is trained on.
        recipe: settings.
        seed: of the order of examples, their augmentation, and the paths.
        engine: runs the steps; ``Lockstep`` has one that runs them with those of other trainings.
        processes: those that train together; ``examples`` gives this one its part.
        widths: r_c, for spaces that have widths.
        task: whose losses these are.
        stop: asked after every step whether to stop there; in several processes all get the same
            answer.
    """

    def __init__(
        self,
        shared: KShot,
        sharing: Sharing,
        sampler: Sampler,
        examples: TrainingBatches,
        recipe: Recipe,
        seed: int,
        engine: Engine = run_step,
        processes: Processes = ALONE,
        widths: WidthRegularisation | None = None,
        task: Task = CLASSIFICATION,
        stop: Stop = go_on,
    ) -> None:
        processes.part.of(recipe.batch_size)
        num_images = recipe.images_of_simplex_step
        processes.part.of(num_images)
        if task.carries and num_images % recipe.num_groups:
            raise ValueError(
                f"a simplex step of {num_images} sequences with a carried state does not divide "
                f"among {recipe.num_groups} groups"
            )
        if sharing.K != shared.K:
            raise ValueError(f"the strategy has K = {sharing.K}, the bank K = {shared.K}")
        self.shared, self.sharing, self.sampler = shared, sharing, sampler
        self.examples, self.recipe, self.engine, self.task = examples, recipe, engine, task
        self.processes, self.stop = processes, stop
        self.bank = list(shared.parameters())
        self._coasting: list[nn.Parameter] = []
        # One copy has one code: there is nothing for a simplex step to learn.
        self.simplex = list(sharing.parameters()) if shared.K > 1 else []
        if self.simplex and recipe.num_groups % processes.part.num:
            raise ValueError(
                f"the {recipe.num_groups} groups of a simplex step do not divide among "
                f"{processes.part.num} processes; set num_groups to a multiple of that"
            )
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
        # r_c needs codes that are learnt, and widths that differ.
        needed = self.simplex and recipe.regularisation > 0 and widths and widths.threshold > 0
        self.widths = widths if needed else None
        purposes = ["batches", "paths", "simplex batches", "simplex paths"]
        purposes += ["widths"] if self.widths else []
        self.streams = {purpose: stream(seed, purpose) for purpose in purposes}
        self.epoch = self.num_weight_steps = self.num_simplex_steps = 0
        sizes = {"batches": recipe.batch_size, "simplex batches": num_images}
        self._under_way = Epoch(examples, sizes, self.streams, task.carries)
        # In the middle of an epoch processes differ in their statistics, figures and streams.
        self._of_each: dict[str, Tensor] = {}
        trained: dict[str, nn.Module] = {"shared": shared, "sharing": sharing}
        self._average = WeightAverage(trained, recipe.average_epochs)

    def run_epoch(self) -> dict[str, float]:
        """Train one epoch, or the rest of one that was stopped.

        Returns:
            epoch (from 1), mean ``weight_loss``, ``simplex_loss`` (where there was a step; without
            r_c) and ``width_regularisation`` (r_c, where it was part of one),
            ``learning_rate`` of the last step, ``num_weight_steps`` and ``num_simplex_steps`` of
            the whole training so far, and ``code_entropy``: mean entropy of the weight steps'
            codes as a share of log K (1 is uniform, 0 is one-hot). With K > 1 also ``code_sd``,
            the standard deviation of a coefficient over the epoch's architectures, mean over the
            K, and ``top_copy_share``, the share of them whose largest coefficient is the copy that
            most have in common: 1 where all prefer the same one.

        Raises:
            DivergedError: a loss was not finite, or beyond what the task calls exploded.
            Interrupted: ``stop`` said so; the state is that between two steps.
        """
        recipe, warm = self.recipe, self.epoch < self.recipe.warmup_epochs
        learns = self.simplex_optimizer is not None and not warm
        under_way, self._of_each = self._under_way, {}
        batches = under_way.batches("batches")
        apart = learns and recipe.schedule == "alternate" and recipe.simplex_batches == "extra"
        # The cosine runs over the share of images seen, whatever kind of step saw them.
        self._set_learning_rate(batches.num_done - 1)
        for x, y, memory in batches:
            self._set_learning_rate(batches.num_done - 1)
            # Counted over the whole training, as in algorithm 2: an epoch may be no multiple.
            step = self.num_weight_steps + self.num_simplex_steps
            if learns and recipe.schedule == "joint":
                under_way.add(self._joint_step(x, y, memory))
            elif learns and (step + 1) % recipe.simplex_every == 0 and not apart:
                under_way.add(self._simplex_step(x, y, memory))
            else:
                under_way.add(self._weight_step(x, y, warm, memory))
                # r - 1 weight steps for each simplex step, as when they share the epoch's batches.
                if apart and self.num_weight_steps % (recipe.simplex_every - 1) == 0:
                    under_way.add(self._simplex_step(*under_way.next_batch("simplex batches")))
            if self.stop():
                own = self._under_way.own() | named_statistics("shared/", self.shared)
                self._of_each = self.processes.gathered(own)
                raise Interrupted
        self.epoch += 1
        if warm and self.epoch == recipe.warmup_epochs and recipe.warmup == "one-shot":
            self._start_all_from_the_first()
        means, codes = under_way.finish()
        # Running statistics are each process's own; all are to go on with the same ones.
        self.processes.average([*means.values(), *statistics_of(self.shared)])
        figures: dict[str, float] = {"epoch": self.epoch}
        figures |= {name: value.item() for name, value in means.items()}
        for name, value in figures.items():
            exploded = name.endswith("_loss") and value > self.task.exploded
            if exploded or not math.isfinite(value):
                raise DivergedError(
                    f"{name} is {value:g} in epoch {self.epoch}: training diverged; "
                    "lower the learning rate or clip the gradient"
                )
        self._average.follow(recipe.epochs - self.epoch)
        if codes is not None and self.shared.K > 1:
            figures |= spread(codes)
        figures["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        figures["num_weight_steps"] = self.num_weight_steps
        figures["num_simplex_steps"] = self.num_simplex_steps
        return figures

    def _set_learning_rate(self, step: int) -> None:
        """That of an epoch's step number ``step``, from 0."""
        low, high = self.recipe.min_learning_rate, self.recipe.learning_rate
        per_epoch = max(len(self.examples) // self.recipe.batch_size, 1)
        progress = (self.epoch + max(step, 0) / per_epoch) / self.recipe.epochs
        share = 0.5 * (1 + math.cos(math.pi * progress))
        for group in self.optimizer.param_groups:
            group["lr"] = low + (high - low) * share
        if self.simplex_optimizer is not None and self.recipe.simplex_cosine:
            for group in self.simplex_optimizer.param_groups:
                group["lr"] = self.recipe.simplex_learning_rate * share

    def _start_all_from_the_first(self) -> None:
        """Give every copy the weights of copy 0, and their momentum."""
        with torch.no_grad():
            for parameter in self.bank:
                parameter.copy_(parameter[:1].expand_as(parameter))
                momentum = self.optimizer.state[parameter].get("momentum_buffer")
                if momentum is not None:
                    momentum.copy_(momentum[:1].expand_as(momentum))

    def _weight_step(
        self, x: Tensor, y: Tensor, warm: bool, memory: Memory | None = None
    ) -> dict[str, Tensor]:
        """Train the bank with the codes as they are (eq. 9)."""
        archs = self.sampler(self.streams["paths"])
        codes = self._codes(archs, warm)
        codes = codes.to(self.bank[0], non_blocking=True)
        # Several paths see the same images; their gradients add up.
        m, weights = len(archs), codes.new_ones(len(archs))
        if self.recipe.compensate:
            weights = weights / codes.square().sum(1)
        self._zero_bank_gradients()
        x, y = x.expand(m, *x.shape), y.expand(m, *y.shape)
        losses = self._run(x, y, archs, codes, weights, memory)
        self._under_way.codes.append(codes)
        self._update_bank(self._norm_of_merged(codes, weights))
        return {"weight_loss": losses.mean(), "code_entropy": relative_entropy(codes)}

    def _codes(self, archs: Sequence[Arch], warm: bool) -> Tensor:
        """Codes (m, K) of a weight step's paths."""
        K, warmup = self.shared.K, self.recipe.warmup
        if warm and warmup == "uniform":
            return torch.full((len(archs), K), 1 / K)
        if warm and warmup == "one-shot":
            return torch.eye(K)[:1].expand(len(archs), K)
        with torch.no_grad():
            codes: Tensor = self.sharing(archs)
        return codes

    def _norm_of_merged(self, codes: Tensor, weights: Tensor) -> Tensor | None:
        """What the norm of the bank's gradient is to be divided by for the merged weights' norm.

        A path of gradient g leaves w λ_k g on copy k, of norm w |λ| |g| over the copies. Several
        paths take the root of the mean square. None where the bank's own norm is what counts.
        """
        if self.recipe.clip_norm == "bank" or self.shared.K == 1:
            return None
        return (weights.square() * codes.square().sum(1)).mean().sqrt()

    def _simplex_step(
        self, x: Tensor, y: Tensor, memory: Memory | None = None
    ) -> dict[str, Tensor]:
        """Train the simplex-net with the bank as it is, on m paths of B/m images (eq. 8, 17)."""
        archs = sample(self.sampler, self.recipe.num_groups, self.streams["simplex paths"])
        with frozen(self.bank):
            loss, others = self._grouped_loss(x, y, archs, memory)
        self._update_simplex()
        return {"simplex_loss": loss, **others}

    def _joint_step(self, x: Tensor, y: Tensor, memory: Memory | None = None) -> dict[str, Tensor]:
        """Train bank and simplex-net by the same gradient (appendix G)."""
        archs = sample(self.sampler, self.recipe.num_groups, self.streams["paths"])
        self._zero_bank_gradients()
        loss, others = self._grouped_loss(x, y, archs, memory)
        self.processes.fill_gradients(self.bank)
        with torch.no_grad():
            self._under_way.codes.append(self.sharing(archs))
        self._update_bank()
        self._update_simplex()
        return {"weight_loss": loss, **others}

    def _grouped_loss(
        self, x: Tensor, y: Tensor, archs: list[Arch], memory: Memory | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss of m architectures, each on its own B/m images; a remainder is left out.

        Of several processes each runs its part of the paths, whose images are its part of the
        batch. Leaves the gradient, and that of r_c, on whatever asks for one.
        """
        assert self.simplex_optimizer is not None
        self.simplex_optimizer.zero_grad()
        others = {}
        if self.widths is not None:
            distance = self.widths(self.sharing, archs, self.streams["widths"])
            (self.recipe.regularisation * distance).backward()  # type: ignore[no-untyped-call]
            others["width_regularisation"] = distance.detach()
        codes = self.sharing(archs)
        if self.recipe.balance > 0:
            imbalance = unbalanced(self.sharing(archs))
            (self.recipe.balance * imbalance).backward()  # type: ignore[no-untyped-call]
            others["imbalance"] = imbalance.detach()
        own = self.processes.part.of(len(archs))
        archs, codes = archs[own], codes[own]
        m, size = len(archs), len(x) // len(archs)
        x, y = (one[: m * size].view(m, size, *one.shape[1:]) for one in (x, y))
        losses = self._run(x, y, archs, codes, codes.new_full((m,), 1 / m), memory)
        return losses.mean(), others

    def _run(
        self,
        x: Tensor,
        y: Tensor,
        archs: Sequence[Arch],
        codes: Tensor,
        weights: Tensor,
        memory: Memory | None,
    ) -> Tensor:
        settings = self.recipe.batch_paths, self.recipe.precision, self.task, memory
        return self.engine(Step(self.shared, x, y, archs, codes, weights, *settings))

    def _zero_bank_gradients(self) -> None:
        # A gradient of None leaves a parameter alone, one of zeros lets it decay and coast.
        coasts = self.recipe.unsampled == "decay"
        self._coasting = [p for p in self.bank if p.grad is not None] if coasts else []
        self.optimizer.zero_grad()

    def _update_bank(self, relative_norm: Tensor | None = None) -> None:
        """Clip and step; ``relative_norm`` is the bank's norm over the one that is bounded."""
        self.processes.average([p.grad for p in self.bank if p.grad is not None])
        for parameter in self._coasting:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        if self.recipe.gradient_clip > 0:
            self._clip(relative_norm)
        self.optimizer.step()
        self.num_weight_steps += 1

    def _clip(self, relative_norm: Tensor | None) -> None:
        most = self.recipe.gradient_clip
        if relative_norm is None:
            nn.utils.clip_grad_norm_(self.bank, most)
            return
        norm = nn.utils.get_total_norm([p.grad for p in self.bank if p.grad is not None])
        # With a tensor for a bound a GPU need not be waited for.
        nn.utils.clip_grads_with_norm_(self.bank, most, norm / relative_norm)

    def _update_simplex(self) -> None:
        assert self.simplex_optimizer is not None
        self.processes.average([p.grad for p in self.simplex if p.grad is not None])
        self.simplex_optimizer.step()
        self.num_simplex_steps += 1

    def state(self) -> dict[str, Tensor]:
        """A copy of everything that the rest of the training depends on, as tensors by name."""
        state = {f"shared/{name}": value for name, value in self.shared.state_dict().items()}
        state |= {f"sharing/{name}": value for name, value in self.sharing.state_dict().items()}
        state |= optimizer_state("sgd", self.optimizer, self.bank)
        if self.simplex_optimizer is not None:
            state |= optimizer_state("adam", self.simplex_optimizer, self.simplex)
        state |= {f"stream/{name}": value.get_state() for name, value in self.streams.items()}
        state |= {f"average/{name}": value for name, value in self._average.state().items()}
        counts = [self.epoch, self.num_weight_steps, self.num_simplex_steps]
        state["counts"] = torch.tensor(counts)
        # Under "decay" a parameter coasts from the first step that used it.
        state["used"] = torch.tensor([parameter.grad is not None for parameter in self.bank])
        state |= self._under_way.state() | self._of_each
        return {name: value.clone() for name, value in state.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up a state that ``state()`` of an equal trainer returned.

        Raises:
            ValueError: the state is of another network or strategy.
        """
        with refused_if_unfit():
            state = self.processes.own_of(state)
            self.shared.load_state_dict(part_of(state, "shared/"))
            self.sharing.load_state_dict(part_of(state, "sharing/"))
            restore_optimizer("sgd", self.optimizer, state)
            if self.simplex_optimizer is not None:
                restore_optimizer("adam", self.simplex_optimizer, state)
            for name, generator in self.streams.items():
                generator.set_state(state[f"stream/{name}"].cpu())
            counts = state["counts"].tolist()
            self.epoch, self.num_weight_steps, self.num_simplex_steps = counts
            self._average.restore(part_of(state, "average/"), self.recipe.epochs - self.epoch)
            for parameter, used in zip(self.bank, state["used"].tolist(), strict=True):
                parameter.grad = torch.zeros_like(parameter) if used else None
            self._under_way.restore(state, self.bank[0].device)


def fit(trainer: Trainer) -> Iterator[dict[str, float]]:
    """Train to the recipe's last epoch, from wherever the trainer stands; yield each's figures."""
    while trainer.epoch < trainer.recipe.epochs:
        yield trainer.run_epoch()
