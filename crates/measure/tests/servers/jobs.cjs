// Jobs of BullMQ for the tests: `node jobs.cjs PORT` writes some, takes one, and waits to be ended.
const { Queue, Worker } = require("bullmq");

const connection = { host: "127.0.0.1", port: Number(process.argv[2]) };
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

(async () => {
    const mail = new Queue("mail", { connection });
    for (let n = 0; n < 4; n++) await mail.add("job", { n });
    await mail.add("job", {}, { priority: 5 });
    await mail.add("job", {}, { delay: 1 });
    await mail.add("job", {}, { delay: 3600 * 1000 });
    const paused = new Queue("paused", { connection });
    await paused.pause();
    await paused.add("job", {});
    await paused.add("job", {});
    const busy = new Queue("busy", { connection });
    await busy.add("job", {});
    await busy.add("job", {});
    await sleep(20);
    const worker = new Worker("busy", () => sleep(600 * 1000), { connection, concurrency: 1 });
    await worker.waitUntilReady();
    console.log("ready");
})();
