// Small apps with Judoscale's packages for Node.js in them: `node apps.cjs NAME FILE`, as apps.py.

const { renameSync, writeFileSync } = require('node:fs')

const [name, file] = process.argv.slice(2)
const often = { report_interval_seconds: 1, log_level: 'error' }

const ready = (word) => {
  writeFileSync(`${file}.new`, String(word))
  renameSync(`${file}.new`, file)
}

const apps = {
  express() {
    const { Judoscale, middleware } = require('judoscale-express')
    const app = require('express')()
    app.use(middleware(new Judoscale(often)))
    app.get('/', (_, response) => response.send('hello'))
    const server = app.listen(0, '127.0.0.1', () => ready(server.address().port))
  },

  async bullmq() {
    const { Queue, Worker } = require('bullmq')
    const { Judoscale } = require('judoscale-bullmq')
    const connection = { url: process.env.REDIS_URL, maxRetriesPerRequest: null }
    const mailer = new Queue('mailer', { connection })
    for (let job = 0; job < 4; job++) await mailer.add('slow', {})
    await mailer.add('urgent', {}, { priority: 1 })
    await mailer.add('later', {}, { delay: 600_000 })
    const busy = new Promise((resolve) => {
      // The job that it takes is never done.
      new Worker('mailer', () => new Promise(() => resolve()), { connection, concurrency: 1 })
    })
    await busy
    new Judoscale(often)
    ready('sent')
  },
}

apps[name]()
