"""Training a found architecture from scratch (paper section 5.1, "Retraining", and appendix A).

One network, one process or several. Everything random comes from the training's own stream and all
of its state can be taken out as tensors, so that a training stopped after any epoch and restored
ends with the same bytes.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kshot_core.checks import (
    check_above_zero,
    check_at_least,
    check_below_one,
    check_not_negative,
)
from kshot_core.names import check_one_of
from kshot_core.retraining.auxiliary import with_auxiliary
from kshot_core.retraining.rmsprop import RMSProp
from kshot_core.settings import setting
from kshot_core.streams import stream
from kshot_core.tasks.batches import TrainingBatches
from kshot_core.tasks.images import CLASSIFICATION, ImageSet
from kshot_core.tasks.task import at_least_float32
from kshot_core.training.distributed import ALONE, Processes
from kshot_core.training.passes import Epoch, Interrupted, Stop, go_on
from kshot_core.training.precision import PRECISIONS, precise
from kshot_core.training.states import named_statistics, part_of, refused_if_unfit, statistics_of
from kshot_core.training.trainer import DivergedError


@dataclass(frozen=True)
class RetrainRecipe:
    """How a found architecture is trained.

    The paper states the optimiser's momentum, the batch size, the learning rate with its warm-up
    and decay, and the averaging of weights. The rest is that of MnasNet, whose recipe this is; its
    dropout is left out.

    Args:
        epochs: passes over the training images; the paper states none.
        batch_size: images of a step, of all processes together.
        learning_rate: of RMSProp at its highest.
        warmup_epochs: epochs, also parts of one, in which it rises linearly from 0.
        decay: factor by which it falls every ``decay_epochs``.
        decay_epochs: epochs between two falls, counted from the end of the warm-up, as the paper's
            "and then" has it. MnasNet's own code counts them from the beginning, and so never
            reaches the highest rate.
        momentum: of RMSProp.
        rms_decay: of RMSProp's mean square.
        epsilon: of RMSProp, added to the mean square; see ``RMSProp``.
        weight_decay: of the weights, not of biases and batch-norms.
        label_smoothing: share of the target that is spread over all classes.
        ema: decay of the moving average of weights and running statistics, by step. The average
            looks back on 1 / (1 - ema) steps; so that it is no average of the initial weights
            while there have been fewer, step t (from 0) decays by min(ema, (1 + t) / (10 + t)).
        precision: of forward passes, ``"float32"`` or ``"bfloat16"``; see ``precise``.
    """

    epochs: int = setting(350, "passes over the training images", often=True)
    batch_size: int = setting(
        1024, "images of a training step, of all processes together", often=True
    )
    learning_rate: float = setting(0.128, "of RMSProp at its highest", often=True)
    warmup_epochs: float = setting(5.0, "epochs in which the learning rate rises from 0")
    decay: float = setting(0.97, "factor of the learning rate every decay-epochs after the warm-up")
    decay_epochs: float = setting(2.4, "epochs between two falls of the learning rate")
    momentum: float = setting(0.9, "of RMSProp")
    rms_decay: float = setting(0.9, "of RMSProp's mean square of the gradient")
    epsilon: float = setting(1e-3, "of RMSProp, added to the mean square")
    weight_decay: float = setting(1e-5, "of RMSProp on the weights, not on biases and batch-norms")
    label_smoothing: float = setting(0.1, "share of the target spread over all classes")
    ema: float = setting(
        0.9999, "decay of the moving average of the weights, by step; the average is what is kept"
    )
    precision: str = setting(
        "float32",
        "of forward passes: float32, or bfloat16 (faster on a GPU, another result)",
        often=True,
    )

    def __post_init__(self) -> None:
        """Refuse settings that cannot train with ``ValueError``."""
        check_at_least(self, {"epochs": 1, "batch_size": 2})
        check_above_zero(self, "learning_rate", "decay_epochs", "epsilon")
        check_not_negative(self, "warmup_epochs", "weight_decay")
        check_below_one(self, "momentum", "rms_decay", "label_smoothing", "ema")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be above 0 and at most 1, got {self.decay}")
        check_one_of("precision", self.precision, PRECISIONS)

    def learning_rate_at(self, epoch: float) -> float:
        """The learning rate of a step that begins after ``epoch`` epochs, whole ones and parts."""
        if epoch < self.warmup_epochs:
            return self.learning_rate * epoch / self.warmup_epochs
        # The fifth part of an epoch has no exact number: what is all but there is there.
        num_falls = math.floor((epoch - self.warmup_epochs) / self.decay_epochs + 1e-9)
        return float(self.learning_rate * self.decay**num_falls)

    def ema_at(self, step: int) -> float:
        """The decay of the moving average after step number ``step``, from 0."""
        return min(self.ema, (1 + step) / (10 + step))


class Retraining:
    """A network, the moving average of it, their optimiser and the random stream of one training.

    With several processes each of them has one of these, with equal networks and seeds. Each
    normalises its part of a batch by that part's own statistics; gradients are averaged at every
    step, and running statistics at the end of an epoch, so that all have the same state then.

    Args:
        network: to be trained; keeps running statistics in its batch-norms.
        images: training images, in several processes this one's part of every batch.
        recipe: settings.
        seed: of the order of images and their augmentation.
        processes: those that train together.
        stop: asked after every step whether to stop there; all processes get the same answer.

    Raises:
        ValueError: there are fewer images than a batch has.
    """

    def __init__(
        self,
        network: nn.Module,
        images: TrainingBatches,
        recipe: RetrainRecipe,
        seed: int,
        processes: Processes = ALONE,
        stop: Stop = go_on,
    ) -> None:
        self.steps_per_epoch = len(images) // recipe.batch_size
        if self.steps_per_epoch < 1:
            raise ValueError(f"batch_size {recipe.batch_size} is more than {len(images)} images")
        self.network, self.images, self.recipe = network, images, recipe
        self.processes, self.stop = processes, stop
        self.averaged = copy.deepcopy(network).requires_grad_(False)
        self.optimizer = RMSProp(
            network.parameters(),
            recipe.rms_decay,
            recipe.momentum,
            recipe.epsilon,
            recipe.weight_decay,
        )
        pairs = list(zip(_tensors(self.averaged), _tensors(network), strict=True))
        self._moving = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counting = [pair for pair in pairs if not pair[0].is_floating_point()]
        self.stream = stream(seed, "retraining batches")
        self.epoch = self.num_steps = 0
        sizes, streams = {"batches": recipe.batch_size}, {"batches": self.stream}
        self._under_way = Epoch(images, sizes, streams, carries=False)
        # In the middle of an epoch processes differ in their statistics and figures.
        self._of_each: dict[str, Tensor] = {}

    def run_epoch(self) -> dict[str, float]:
        """Train one epoch, or the rest of one that was stopped.

        Returns:
            epoch (from 1), mean ``loss`` with smoothed labels, ``learning_rate`` of the last step,
            and ``num_steps`` of the whole training so far.

        Raises:
            DivergedError: the loss was not finite, or exploded.
            Interrupted: ``stop`` said so; the state is that between two steps.
        """
        self.network.train()
        self._of_each = {}
        batches = self._under_way.batches("batches")
        for x, y, _ in batches:
            self._under_way.add({"loss": self._step(x, y, self._rate(batches.num_done))})
            if self.stop():
                own = self._under_way.own() | named_statistics("network/", self.network)
                own |= named_statistics("averaged/", self.averaged)
                self._of_each = self.processes.gathered(own)
                raise Interrupted
        rate = self._rate(batches.num_done)
        mean = self._under_way.finish()[0]["loss"]
        self.processes.average([mean, *self._statistics()])
        self.epoch += 1
        loss = mean.item()
        if not loss <= CLASSIFICATION.exploded:
            raise DivergedError(
                f"the loss is {loss:g} in epoch {self.epoch}: training diverged; "
                "lower the learning rate"
            )
        return {
            "epoch": self.epoch,
            "loss": loss,
            "learning_rate": rate,
            "num_steps": self.num_steps,
        }

    def _rate(self, num_done: int) -> float:
        """The learning rate of the last of so many steps of this epoch."""
        return self.recipe.learning_rate_at(self.epoch + (num_done - 1) / self.steps_per_epoch)

    def _statistics(self) -> list[Tensor]:
        return [*statistics_of(self.network), *statistics_of(self.averaged)]

    def _step(self, x: Tensor, y: Tensor, rate: float) -> Tensor:
        """One step; returns the loss, detached."""
        recipe = self.recipe
        self.optimizer.zero_grad()
        with precise(x.device, recipe.precision):
            logits = self.network(x)

        def entropy(logits: Tensor) -> Tensor:
            logits = at_least_float32(logits)
            return F.cross_entropy(logits, y, label_smoothing=recipe.label_smoothing)

        loss = with_auxiliary(self.network, entropy(logits), entropy)
        loss.backward()  # type: ignore[no-untyped-call]
        self.processes.average(self.optimizer.gradients())
        self.optimizer.step(rate)
        self._follow(recipe.ema_at(self.num_steps))
        self.num_steps += 1
        return loss.detach()

    @torch.no_grad()
    def _follow(self, decay: float) -> None:
        """Move the average towards the network; counters are copied."""
        means, news = zip(*self._moving, strict=True)
        torch._foreach_lerp_(means, news, 1 - decay)
        for count, new in self._counting:
            count.copy_(new)

    def state(self) -> dict[str, Tensor]:
        """A copy of everything that the rest of the training depends on, as tensors by name."""
        state = {f"network/{name}": value for name, value in self.network.state_dict().items()}
        state |= {f"averaged/{name}": value for name, value in self.averaged.state_dict().items()}
        state |= {f"square/{at}": value for at, value in enumerate(self.optimizer.squares)}
        state |= {f"momentum/{at}": value for at, value in enumerate(self.optimizer.momenta)}
        state["stream"] = self.stream.get_state()
        state["counts"] = torch.tensor([self.epoch, self.num_steps])
        state |= self._under_way.state() | self._of_each
        return {name: value.clone() for name, value in state.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up a state that ``state()`` of an equal training returned.

        Raises:
            ValueError: the state is of another network.
        """
        with refused_if_unfit():
            state = self.processes.own_of(state)
            self.network.load_state_dict(part_of(state, "network/"))
            self.averaged.load_state_dict(part_of(state, "averaged/"))
            for label, values in (
                ("square", self.optimizer.squares),
                ("momentum", self.optimizer.momenta),
            ):
                for at, value in enumerate(values):
                    value.copy_(state[f"{label}/{at}"].view_as(value))
            self.stream.set_state(state["stream"].cpu())
            self.epoch, self.num_steps = state["counts"].tolist()
            self._under_way.restore(state, next(self.network.parameters()).device)


@torch.no_grad()
def top_k(
    network: nn.Module, images: ImageSet, batch_size: int = 250, num_images: int | None = None
) -> tuple[float, float]:
    """Accuracy of a network in evaluation mode.

    Args:
        network: keeps running statistics; left in evaluation mode.
        images: to classify.
        batch_size: images of a pass, a matter of speed and memory alone.
        num_images: how many, the first ones; None for all.

    Returns:
        percent of the images whose class is the network's first guess, and percent of those whose
        class is among its first five (or as many as there are classes).

    Raises:
        DivergedError: a logit is not finite.
    """
    network.eval()
    right = torch.zeros(2, dtype=torch.long, device=images.labels.device)
    num, finite = 0, torch.ones((), dtype=torch.bool, device=right.device)
    for x, y in images.scoring_batches(batch_size, num_images, keep_remainder=True):
        logits = network(x)
        finite &= logits.isfinite().all()
        hits = logits.topk(min(5, logits.shape[1])).indices == y[:, None]
        right += torch.stack([hits[:, 0].sum(), hits.sum()])
        num += len(y)
    if not finite:
        raise DivergedError("the trained network's logits are not finite: lower the learning rate")
    first, five = right.tolist()
    return 100 * first / num, 100 * five / num


def _tensors(network: nn.Module) -> list[Tensor]:
    """Parameters and buffers."""
    return [*network.parameters(), *network.buffers()]
