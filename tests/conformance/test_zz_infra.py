from sqlalchemy import text
from builders import *
from redis import Redis
def test_store(store):
    j = a_stored_job(store)
    h = claimed(store, j); assert the_job(store, j).state == "running"
    assert settled(store, h, [done(h, 0), failed(h, 1)])
    assert_all_rows_accounted_for(store, j)
def test_redis(redis_url):
    Redis.from_url(redis_url).set("maestrale:call:x", 1, px=1000)
def test_own(own_postgres):
    own_postgres.stop(); assert not own_postgres.answers(); own_postgres.start()
    own_postgres.stop(9); own_postgres.start()
def test_sub(): a_submission()
