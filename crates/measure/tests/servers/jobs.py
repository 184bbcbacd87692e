"""Jobs of Celery and RQ for the tests: `jobs.py celery|rq URL` writes some; workers import it."""

import os
import sys
import time

from celery import Celery

app = Celery("jobs", broker=os.environ.get("BROKER", "memory://"))
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)


@app.task(name="jobs.wait")
def wait():
    pass


@app.task(name="jobs.hold")
def hold():
    time.sleep(600)


def held():
    time.sleep(600)


def main(what, url):
    if what == "celery":
        # Case A24: 2, 5, none and 40 in the lists of the four steps.
        for priority, count in ((0, 2), (3, 5), (9, 40)):
            for _ in range(count):
                wait.apply_async(priority=priority)
        # With the time that Judoscale's adapter adds.
        wait.apply_async(queue="timed", published_at=time.time() - 30)
        wait.apply_async(queue="later", countdown=3600)
        for _ in range(3):
            hold.apply_async(queue="held")
    elif what == "celery-plain":
        for _ in range(4):
            wait.apply_async(queue="plain")
    elif what == "celery-hold":
        for _ in range(2):
            hold.apply_async(queue="held")
    else:
        from datetime import datetime, timedelta, timezone

        from redis import Redis
        from rq import Queue

        connection = Redis.from_url(url)
        default, mail = Queue("default", connection=connection), Queue("mail", connection=connection)
        gone = default.enqueue("jobs.held")
        for _ in range(3):
            default.enqueue("jobs.held")
        # Its id stays in the list, its job does not.
        connection.delete(f"rq:job:{gone.id}")
        now = datetime.now(timezone.utc)
        mail.enqueue_at(now - timedelta(seconds=40), "jobs.held")
        mail.enqueue_at(now + timedelta(hours=1), "jobs.held")


if __name__ == "__main__":
    main(*sys.argv[1:])
