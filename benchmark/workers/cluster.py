"""Jobs on a Ray cluster: one Ray task each, tried again on another node where one is lost.

Ray is optional: ``pip install "kshot-nas[ray]"``, on every node.
"""

from __future__ import annotations

import importlib
import logging
import math
import os
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from benchmark.cli.errors import UserError
from benchmark.workers.jobs import one_thread
from benchmark.workers.mail import Mailbox, Sender
from benchmark.workers.node import EVERYBODY, PROBE, lacking, run_here
from benchmark.workers.relay import Event, Tell

Result = TypeVar("Result")
_SECONDS_FOR_CHECK = 300.0
_FORWARDED = "KSHOT_"
_SECONDS_BETWEEN_DRAINS = 0.25
"""The board shows no more pictures a second, and each question to the mailbox takes its time."""


@dataclass(frozen=True)
class ClusterSettings:
    """What a job gets, and where.

    Args:
        address: of the cluster, ``host:port``; ``"auto"`` for the one that this machine is of.
        cpus: processor cores of a job, more than 0.
        gpus: GPUs of a job; 0.25 lets four jobs share one.
        retries: how often a job begins again whose node or process was lost.
    """

    address: str = "auto"
    cpus: float = 1.0
    gpus: float = 0.0
    retries: int = 3

    def __post_init__(self) -> None:
        """Refuse what Ray would not take, one clear line each."""
        if self.address.startswith("ray://"):
            raise UserError(
                f"--address {self.address} is Ray's client, which sees no shared storage; run this "
                "command on a node of the cluster, with its host:port or auto"
            )
        if not 0 < self.cpus < float("inf"):
            raise UserError(f"--cpus-per-job must be above 0, got {self.cpus:g}")
        whole = self.gpus <= 1 or float(self.gpus).is_integer()
        if not 0 <= self.gpus < float("inf") or not whole:
            raise UserError(
                f"--gpus-per-job is a part of one GPU, or a whole number, got {self.gpus:g}"
            )
        if self.retries < 0:
            raise UserError(f"--retries must be 0 or more, got {self.retries}")


class Cluster:
    """The nodes of a Ray cluster as an executor.

    On the way in every node that may run a job is asked whether it sees ``results`` and ``paths``,
    can write to the first, and has this version of the code; nothing is run before all do.

    Args:
        settings: what a job gets.
        results: the results folder, absolute, on storage that all nodes share.
        paths: what else a job reads, absolute.
        version: of the code, as ``code_version`` tells it on a node.
        code_version: picklable.
        show: shown every event.

    Raises:
        UserError: no Ray, no cluster, no node for such a job, or nodes that lack something, by
            name.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        results: Path,
        paths: Sequence[Path],
        code_version: Callable[[], str],
        show: Callable[[Event], None],
    ) -> None:
        self._settings, self._results, self._paths = settings, results, paths
        self._code_version, self._show = code_version, show
        self._ray: Any = None
        self._mailbox: Any = None
        self._remotes: dict[Callable[..., Any], Any] = {}
        self._connected_here = False
        self._token = secrets.token_hex(8)
        self._refs: dict[Future[Any], Any] = {}
        self._drained = -math.inf

    def __enter__(self) -> Cluster:
        self._ray = _ray()
        if not self._ray.is_initialized():
            _connect(self._ray, self._settings.address)
            self._connected_here = True
        try:
            self._check_nodes()
            self._mailbox = self._ray.remote(num_cpus=0)(Mailbox).options(
                scheduling_strategy=_on(self._ray.get_runtime_context().get_node_id())
            )
            self._mailbox = self._mailbox.remote()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            for ref in list(self._refs.values()):
                with suppress(Exception):
                    self._ray.cancel(ref)
        self._leave()

    @property
    def limit(self) -> int | None:
        """None: all jobs wait in the cluster, which may grow with them."""
        return None

    def tell(self) -> Tell:
        """What jobs call with their progress."""
        return Sender(self._mailbox)

    def drain(self) -> None:
        """Show what jobs have told so far, if it was not asked for just now."""
        now = time.monotonic()
        if now - self._drained < _SECONDS_BETWEEN_DRAINS:
            return
        self._drained = now
        for event in self._ray.get(self._mailbox.take.remote()):
            self._show(event)

    def submit(self, function: Callable[..., Result], *given: Any) -> Future[Result]:
        """Run on whatever node has room; a job that is lost with its node begins again elsewhere.

        It then goes on from its last checkpoint, as after any interruption.
        """
        ref = self._remote_of(function).remote(*given)
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()
        self._refs[future] = ref
        inner = ref.future()
        inner.add_done_callback(lambda done: self._hand_on(done, future))
        return future

    def _remote_of(self, function: Callable[..., Any]) -> Any:
        """A function as Ray has it: sent to each process once, and not with every job."""
        if function not in self._remotes:
            probe, folder = self._probe, str(Path.cwd())
            environment = {k: v for k, v in os.environ.items() if k.startswith(_FORWARDED)}

            def job(*given: Any) -> Any:
                return run_here(probe, folder, environment, one_thread, function, *given)

            self._remotes[function] = self._ray.remote(
                num_cpus=self._settings.cpus,
                num_gpus=self._settings.gpus,
                max_retries=self._settings.retries,
                # A process of its own for each job would import torch each time.
                max_calls=0,
            )(job)
        return self._remotes[function]

    @property
    def _probe(self) -> Path:
        """By this file, which lies there until the end, a node knows the results folder."""
        return self._results / f"{EVERYBODY}{self._token}"

    def _hand_on(self, done: Future[Any], future: Future[Any]) -> None:
        self._refs.pop(future, None)
        error = done.exception()
        if error is None:
            future.set_result(done.result())
        else:
            cause = getattr(error, "cause", None)
            if cause is not None:
                # What was raised on the node; Ray's account says where in the code.
                cause.__cause__ = error
            future.set_exception(cause or _in_words(error))

    def _check_nodes(self) -> None:
        """Ask every node that may run a job for what a job needs."""
        nodes = [
            node
            for node in self._ray.nodes()
            if node["Alive"]
            and node["Resources"].get("CPU", 0) >= self._settings.cpus
            and node["Resources"].get("GPU", 0) >= self._settings.gpus
        ]
        if not nodes:
            raise UserError(
                f"no node of the cluster has {self._settings.cpus:g} CPUs and "
                f"{self._settings.gpus:g} GPUs for a job; start such nodes, or change "
                "--cpus-per-job and --gpus-per-job"
            )
        token = self._token
        self._probe.write_text(token, encoding="utf-8")
        ask = self._ray.remote(num_cpus=0, max_retries=0)(lacking)
        refs = {
            node["NodeID"]: ask.options(scheduling_strategy=_on(node["NodeID"])).remote(
                self._results, self._paths, token, node["NodeID"], self._code_version
            )
            for node in nodes
        }
        here = self._code_version()
        done, _ = self._ray.wait(
            list(refs.values()), num_returns=len(refs), timeout=_SECONDS_FOR_CHECK
        )
        complaints = []
        for node in nodes:
            name, ref = _name_of(node), refs[node["NodeID"]]
            if ref not in done:
                complaints.append(f"{name} did not answer in {_SECONDS_FOR_CHECK:.0f} s")
                continue
            complaint = self._answer(ref, node["NodeID"], here, token)
            if complaint:
                complaints.append(f"{name} {complaint}")
        if complaints:
            raise UserError("; ".join([*complaints, "nothing was run"]))

    def _answer(self, ref: Any, node: str, here: str, token: str) -> str:
        """What is wrong with a node, or nothing."""
        try:
            complaint, version = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            return f"cannot run this code: {str(error).strip().splitlines()[-1]}"
        if complaint:
            return str(complaint)
        if not (self._results / f"{PROBE}{node}-{token}").exists():
            return f"writes to another {self._results} than this machine reads: share that folder"
        if version != here:
            return f"has the code at {version}, this machine at {here}: install the same there"
        return ""

    def _leave(self) -> None:
        for path in self._results.glob(f"{PROBE}*-{self._token}"):
            path.unlink(missing_ok=True)
        if self._mailbox is not None:
            with suppress(self._ray.exceptions.RayError):
                self._ray.kill(self._mailbox)
            self._mailbox = None
        if self._connected_here:
            self._ray.shutdown()
            self._connected_here = False


def _ray() -> Any:
    """The package ray. Raises ``UserError`` where it is not installed."""
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise UserError(
            '--executor ray needs Ray: pip install "kshot-nas[ray]", here and on every node'
        ) from None


def _connect(ray: Any, address: str) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError, AssertionError) as error:
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"no Ray cluster at {address} ({line}); start one with ray start --head, see "
            "docs/cluster.md"
        ) from None


def _on(node: str) -> Any:
    """A strategy that places work on one node alone."""
    strategies = importlib.import_module("ray.util.scheduling_strategies")
    return strategies.NodeAffinitySchedulingStrategy(node_id=node, soft=False)


def _name_of(node: dict[str, Any]) -> str:
    return f"node {node.get('NodeManagerHostname', '')} ({node['NodeManagerAddress']})"


def _in_words(error: BaseException) -> UserError:
    """What Ray says of a job that is lost, in a line."""
    line = " ".join(str(error).split())[:300]
    return UserError(f"lost with its node or process, every time it was tried: {line}")
