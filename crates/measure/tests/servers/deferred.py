"""Jobs of Procrastinate for the tests: `deferred.py write|work`; the database is that of libpq's variables."""

import asyncio
import sys

import procrastinate

app = procrastinate.App(connector=procrastinate.PsycopgConnector())


@app.task(name="wait", queue="mail")
async def wait():
    await asyncio.sleep(600)


@app.task(name="quick", queue="empty")
async def quick():
    pass


async def main(what):
    async with app.open_async():
        if what == "write":
            await app.schema_manager.apply_schema_async()
            for _ in range(3):
                await wait.defer_async()
            # Two with one lock: the second can't run before the first.
            for _ in range(2):
                await wait.configure(lock="one").defer_async()
            await wait.configure(schedule_in={"hours": 1}).defer_async()
            await wait.configure(queue="late", schedule_in={"seconds": -50}).defer_async()
        else:
            await app.run_worker_async(queues=["mail"], concurrency=1, install_signal_handlers=False)


asyncio.run(main(sys.argv[1]))
