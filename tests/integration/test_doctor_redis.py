"""The doctor and a real server: its policies, and an ACL that lets nobody look at them."""

from collections.abc import Callable

import redis
from running import Guarded

from models.settings import Settings
from producers.doctor import Verdict, check_redis
from proving.servers import start


def test_a_server_that_may_lose_messages_is_told(
    redis_url: str, make_settings: Callable[..., Settings]
):
    """The tests' own server keeps nothing on disk; evicting, it may even forget while it runs."""
    settings = make_settings(REDIS_URL=redis_url)
    (unkept,) = check_redis(settings)
    assert unkept.verdict is Verdict.NOTE
    assert "appendonly" in unkept.advice
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            evicting, _unkept = check_redis(settings)
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert "noeviction" in evicting.advice


def test_a_server_that_lets_nobody_look_is_no_failure(make_settings: Callable[..., Settings]):
    """Under the shipped ACL: it answers, and the doctor says that it could not look."""
    server = start(Guarded)
    try:
        url = f"redis://maestrale:{server.password}@127.0.0.1:{server.port}/0"
        (found,) = check_redis(make_settings(REDIS_URL=url))
    finally:
        server.remove()
    assert found.verdict is Verdict.NOTE
    assert "ACL" in found.found
    assert server.password not in found.found


def test_a_wrong_password_is_a_failure_and_is_not_shown(
    redis_url: str, make_settings: Callable[..., Settings]
):
    """The finding names the place, never the password."""
    wrong = "redis://:a-wrong-password@" + redis_url.split("@")[1]
    (found,) = check_redis(make_settings(REDIS_URL=wrong))
    assert found.verdict is Verdict.BAD
    assert "a-wrong-password" not in found.found
