'use strict'

// An http server in two processes, each with its own listening socket, and a restart without a failed request. For
// Express, use `http.createServer(app)`; for Fastify, `app.server` after `await app.ready()`.
const http = require('node:http')
const { prefork } = require('socket-tuner/prefork')

async function serve(worker) {
  const server = http.createServer((request, response) => response.end(`${process.pid}\n`))
  await worker.listen(server)
  // Called when the last connection is closed: close the database here.
  return () => console.log(`worker ${worker.slot} (${process.pid}) ends`)
}

async function main() {
  const group = await prefork({ workers: 2, host: '127.0.0.1', serve })
  // The workers run this file too.
  if (group === undefined) return
  const { address, port } = group.address

  let failed = 0
  let running = true
  const answered = new Set()
  const asking = (async () => {
    while (running) {
      try {
        answered.add(await ask({ host: address, port, agent: false }))
      } catch {
        failed++
      }
    }
  })()
  await group.restart()
  running = false
  await asking

  console.log(await group.counters())
  console.log(`answered by ${answered.size} processes, ${failed} requests failed`)
  await group.close()
  if (failed > 0 || answered.size < 2) process.exitCode = 1
}

function ask(options) {
  return new Promise((resolve, reject) => {
    http
      .get(options, (response) => response.setEncoding('utf8').once('data', resolve))
      .on('error', reject)
  })
}

void main()
