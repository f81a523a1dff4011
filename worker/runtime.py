"""The composition root: one event loop and one set of clients per worker process."""

import asyncio
import gc
import logging
import os
import random
import secrets
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import uvloop
from celery import Celery
from prometheus_client.metrics_core import Metric
from redis.asyncio import BlockingConnectionPool, Redis

from models.limits import Limit
from models.prices import PriceTable, load_prices
from models.settings import Settings
from models.states import JobKind
from models.store import fleet, jobs
from models.store.engine import open_store
from worker.asking import Asker
from worker.call_counts import CallCounts
from worker.clock import Clock
from worker.database import Database
from worker.evaluating.libraries import Stores
from worker.evaluating.losses import Losses
from worker.evaluating.scorers import Scorers
from worker.exporter import Exporter, Sources, expose
from worker.gateway.gateway import Gateway
from worker.gateway.local import LocalGateway
from worker.gateway.remote import RemoteApi
from worker.gateway.routes import Routes
from worker.kinds import embed, evaluate, generate
from worker.kinds.train import Trainings
from worker.ledger.claims import Claims
from worker.ledger.ledger import Ledger
from worker.limiter import Limiter
from worker.logs import bound
from worker.money import Purses
from worker.ours import OurModels
from worker.paying import Payer, Way
from worker.remote.batches import Batches
from worker.remote.operations import Operations
from worker.remote.trainings import HostedTrainings
from worker.retrying import PauseReason
from worker.seats import Seats
from worker.shards import Run as RunRow
from worker.shards import Shards
from worker.sharing import Sharing
from worker.signs import Signs
from worker.training import Run
from worker.training.scorer import Scorer
from worker.webhooks.deliverer import Deliverer

log = logging.getLogger(__name__)

START_TIMEOUT_S = 60.0
SCRAPE_TIMEOUT_S = 5.0


class Runtime:
    """Everything a worker process holds open, on its own loop in its own thread."""

    def __init__(self, settings: Settings, app: Celery) -> None:
        self.pid = os.getpid()
        self._settings = settings
        self._app = app
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop", daemon=True)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._exporter: Exporter | None = None

    def start(self) -> "Runtime":
        """Opens everything; raises what could not be opened, with nothing left running."""
        address = self._settings.metrics_address
        self._thread.start()
        try:
            self._call(self._open(), START_TIMEOUT_S)
        except BaseException:
            self._end_loop()
            raise
        self._exporter = Exporter.open(address, self._scrape) if address else None
        return self

    def run_shard(self, job_id: str, no: int) -> str:
        """Blocks the calling (Celery) thread until the shard is settled or handed back."""
        with bound(job=job_id, shard=no):  # the loop's task begins in this thread's context
            return str(self._call(self.shards.run(job_id, no)))

    def tick(self) -> str:
        """One tick of the clock, if it is due."""
        return str(self._call(self.clock.tick()))

    def drain(self) -> None:
        """Hands back what has not started; what is in flight finishes. Returns at once."""
        self._loop.call_soon_threadsafe(self.shards.drain)

    def close(self) -> None:
        """Waits for calls in flight (at most the drain time), commits, closes."""
        try:
            self._call(self._close(), self._settings.drain_s + 30)
        finally:
            if self._exporter is not None:
                self._exporter.close()
            self._end_loop()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _call(self, coroutine: Any, timeout_s: float | None = None) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout_s)

    async def _open(self) -> None:
        settings = self._settings
        self.owner = f"{socket.gethostname()}:{self.pid}:{secrets.token_hex(3)}"
        self.store = open_store(settings)
        self.threads = ThreadPoolExecutor(4, thread_name_prefix="store")
        self.database = Database(self.store, self.threads)
        self.redis = _open_redis(settings)
        self.limiter = self._open_limiter()  # reads the database: what is missing is said first
        self.gateway = await Gateway.from_settings(settings).open()
        self.local = LocalGateway(Routes(settings.home), timeout_s=settings.call_timeout_s)
        claims = Claims(self.redis, self.owner)
        self.ledger = Ledger(self.store, settings.home / "spool", claims)
        self.ledger.open()
        self.figures = CallCounts()
        self.purses = Purses(
            self.database.write, self._stop_job, self.owner, ttl_s=settings.lease_s
        )
        prices = load_prices(settings.prices_file)
        self.asker = self._open_asker(prices)
        self.losses = self._open_losses()
        self.shards = self._open_shards()
        self.remote = await RemoteApi.from_settings(settings).open()
        self.operations = self._open_operations(prices)
        self.clock = self._open_clock()
        await self.clock.open()
        self.deliverer = Deliverer(settings, self.database)
        await self.deliverer.open()
        _calm_the_collector()

    def _open_asker(self, prices: PriceTable) -> Asker:
        ours = OurModels(self.database.read, self._settings.base_url)
        payer = Payer(
            ledger=self.ledger,
            limiter=self.limiter,
            gateway=self.gateway,
            prices=prices,
            purses=self.purses,
            figures=self.figures,
            random=random.SystemRandom(),
            local=Way(Seats(self.limiter, self.local), self.local),
            is_ours=ours.has,
        )
        return Asker(
            server=self._settings.base_url,
            ledger=self.ledger,
            payer=payer,
            withholds=ours.withholds,
            local=self.local,
        )

    def _open_shards(self) -> Shards:
        settings = self._settings
        return Shards(
            database=self.database,
            ledger=self.ledger,
            asker=self.asker,
            app=self._app,
            owner=self.owner,
            lease_s=settings.lease_s,
            drain_s=settings.drain_s,
            rows_in_flight=settings.rows_in_flight,
            pausing=self._pause,
            runs=self._kinds(),
        )

    def _open_clock(self) -> Clock:
        settings = self._settings
        return Clock(
            settings,
            self.shards,
            self.ledger,
            self.database,
            self._app,
            self.owner,
            self.purses,
            Sharing(
                self.database, self.shards, self.limiter, self.owner, settings.shards_in_flight
            ),
            Signs(
                settings,
                self.database,
                self.shards,
                self.ledger,
                self.limiter,
                self.figures,
                self.owner,
            ),
            self.operations,
        )

    def _kinds(self) -> dict[JobKind, RunRow]:
        """How a row of each kind is run."""
        settings = self._settings
        wandb_key = settings.wandb_key.get_secret_value()
        start = partial(Run.start, python=settings.train_python, wandb_key=wandb_key)
        trainings = Trainings(
            write=self.database.write, read=self.database.read, home=settings.home, start=start
        )
        return {
            JobKind.GENERATE: generate.run_row,
            JobKind.EMBED: embed.run_row,
            JobKind.TRAIN: trainings.run_row,
            JobKind.EVALUATE: evaluate.Evaluations(self.losses, Stores()).run_row,
        }

    def _open_losses(self) -> Losses:
        home, python = self._settings.home, self._settings.train_python
        return Losses(
            self.database.read, home, Scorers(partial(Scorer.start, home=home, python=python))
        )

    def _open_operations(self, prices: PriceTable) -> Operations:
        batches = Batches(
            api=self.remote,
            store=self.store,
            write=self.database.write,
            prices=prices,
            folder=self._settings.home / "remote",
        )
        trainings = HostedTrainings(
            api=self.remote,
            write=self.database.write,
            prices=prices,
            folder=self._settings.home / "remote",
            wandb_key=self._settings.wandb_key.get_secret_value(),
        )
        return Operations(
            write=self.database.write,
            read=self.database.read,
            ring_for=self.shards.ring_for,
            handlers={"batch": batches, "training": trainings},
            random=random.SystemRandom(),
        )

    def _open_limiter(self) -> Limiter:
        settings = self._settings
        limiter = Limiter(
            self.redis,
            settings.account,
            settings.limits,
            calls_in_flight=settings.rows_in_flight,
            on_learnt=self._remember_limit,
        )
        with self.store.read() as connection:
            learnt = fleet.limits_learnt(connection, settings.account)
        for model, limit in learnt.items():
            limiter.seed(model, limit)
        return limiter

    async def _close(self) -> None:
        self.shards.drain()
        await self.asker.drained(self._settings.drain_s)
        await self.losses.close()
        await self.clock.close()
        await self.operations.close()
        await self.remote.close()
        await self.deliverer.close()
        await self.ledger.close()
        await self.purses.close()  # after the last commit: all of it is free again
        await self.limiter.close()
        await self.gateway.close()
        await self.local.close()
        await self.redis.aclose()
        self.threads.shutdown(wait=True)
        self.store.close()

    def _scrape(self) -> list[Metric]:
        """The figures as the loop sees them, for the exporter's thread."""

        async def told() -> list[Metric]:
            sources = Sources(self.figures, self.limiter, self.shards, self.ledger, self.deliverer)
            return expose(sources)

        found: list[Metric] = self._call(told(), SCRAPE_TIMEOUT_S)
        return found

    def _stop_job(self, job_id: str, reason: str) -> None:
        self.shards.stop_job(job_id, reason)

    def _pause(self, job_id: str, reason: PauseReason, detail: str) -> None:
        log.error("job %s paused (%s): %s", job_id, reason, detail)
        self._later(self.database.write(jobs.pause, job_id, f"{reason}: {detail}"))

    def _remember_limit(self, model: str, limit: Limit) -> None:
        write = self.database.write(fleet.limit_learnt, self._settings.account, model, limit)
        self._later(write)

    def _later(self, coroutine: Any) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _calm_the_collector() -> None:
    """Thousands of calls in flight are live objects, not garbage: look at them less often.

    But often enough: a connection that breaks leaves some 80 objects in a circle, with its body.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 10)


def _open_redis(settings: Settings) -> Redis:
    pool = BlockingConnectionPool.from_url(
        settings.broker_url,
        max_connections=8,
        timeout=5,
        socket_timeout=3,
        socket_connect_timeout=3,
        client_name="maestrale-limiter",
    )
    return Redis(connection_pool=pool)
