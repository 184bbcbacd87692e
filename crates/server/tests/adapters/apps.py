"""Small apps with the packages of other autoscalers in them, as their documentation says to use these. Where to report is in
the environment alone.

    apps.py NAME FILE    FILE gets the port that a web app listens on, or a word once jobs are in their queues
"""

import os
import sys
import time
from wsgiref.simple_server import WSGIRequestHandler, make_server

OFTEN = {"REPORT_INTERVAL_SECONDS": 1}


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def ready(word):
    with open(sys.argv[2] + ".new", "w") as file:
        file.write(str(word))
    os.rename(sys.argv[2] + ".new", sys.argv[2])


def serve(app):
    server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
    ready(server.server_port)
    server.serve_forever()


def for_ever():
    while True:
        time.sleep(60)


def flask_app():
    from flask import Flask

    app = Flask("shop")
    app.get("/")(lambda: "hello")
    return app


def flask():
    from judoscale.flask import Judoscale

    app = flask_app()
    app.config["JUDOSCALE"] = OFTEN
    Judoscale(app)
    serve(app)


def django():
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    settings.configure(
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["judoscale.django"],
        JUDOSCALE=OFTEN,
        MIDDLEWARE=[],
        ROOT_URLCONF="__main__",
        SECRET_KEY="for tests",
    )
    globals()["urlpatterns"] = [path("", lambda request: HttpResponse("hello"))]
    serve(get_wsgi_application())


def celery_project():
    from celery import Celery

    # At most as many tasks in a worker's hands as it runs.
    app = Celery("shop", broker=os.environ["REDIS_URL"])
    app.conf.worker_prefetch_multiplier = 1
    app.conf.task_acks_late = True

    @app.task(name="slow")
    def slow(seconds):
        time.sleep(seconds)

    return app


def celery():
    from judoscale.celery import judoscale_celery

    app = celery_project()
    judoscale_celery(app, {**OFTEN, "CELERY": {"TRACK_BUSY_JOBS": True}})
    for _ in range(3):
        app.send_task("slow", [600], queue="slow")
    for priority in (0, 0, 3, 9):
        app.send_task("slow", [1], queue="mailer", priority=priority)
    ready("sent")
    for_ever()


def celery_worker():
    app = celery_project()
    app.worker_main(["worker", "-Q", "slow", "-P", "threads", "-c", "1", "--without-mingle", "--without-gossip"])


def redis():
    from redis import Redis

    return Redis.from_url(os.environ["REDIS_URL"])


def rq():
    from judoscale.rq import judoscale_rq
    from rq import Queue

    for name, jobs in (("default", 4), ("high", 2)):
        for _ in range(jobs):
            Queue(name, connection=redis()).enqueue(time.sleep, 600)
    judoscale_rq(redis(), {**OFTEN, "RQ": {"TRACK_BUSY_JOBS": True}})
    ready("sent")
    for_ever()


def rq_worker():
    from rq import SimpleWorker

    SimpleWorker(["default"], connection=redis()).work()


def hirefire():
    from hirefire_resource import HireFire
    from hirefire_resource.macro.rq import job_queue_latency, job_queue_size
    from hirefire_resource.middleware.wsgi.flask import HireFireMiddleware

    with HireFire.configure() as config:
        config.dyno("web")
        config.dyno("worker", lambda: job_queue_size("default", "high", redis_url=os.environ["REDIS_URL"]))
        config.dyno("mailer", lambda: job_queue_latency("high", redis_url=os.environ["REDIS_URL"]))
    app = flask_app()
    app.wsgi_app = HireFireMiddleware(app)
    serve(app)


def dynoscale():
    from dynoscale.wsgi import DynoscaleWsgiApp

    app = flask_app()
    serve(DynoscaleWsgiApp(app.wsgi_app))


globals()[sys.argv[1]]()
