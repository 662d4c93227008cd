'use strict'

// Run by test/register/register.test.ts under socket-tuner/register, to which it has no reference: an http
// server, in a cluster worker, in a worker thread, or one that listens after a failed attempt, and again
// after it was closed. Prints its port, and exits when its standard input ends.
const cluster = require('node:cluster')
const { once } = require('node:events')
const http = require('node:http')
const { isMainThread, Worker } = require('node:worker_threads')

const how = process.argv[2]

async function serve() {
  const server = http.createServer((request, response) => response.end('answer'))
  if (how === 'again') {
    const other = http.createServer().listen(0)
    await once(other, 'listening')
    server.listen(other.address().port)
    await once(server, 'error')
    server.listen(0)
    await once(server, 'listening')
    server.close()
    other.close()
    await once(server, 'close')
  }
  // Most servers listen on the wildcard address.
  server.listen(0, () => process.stdout.write(`${server.address().port}\n`))
}

function endWithParent() {
  process.stdin.resume()
  process.stdin.on('end', () => process.exit())
}

if (how === 'cluster' && cluster.isPrimary) {
  cluster.fork()
  process.stdin.resume()
  process.stdin.on('end', () => {
    for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGKILL')
    process.exit()
  })
} else if (how === 'thread' && isMainThread) {
  // The thread must receive the configuration that the process started with.
  delete process.env.SOCKET_TUNER
  process.chdir('/')
  new Worker(__filename, { argv: ['thread'] })
  endWithParent()
} else {
  void serve()
  if (isMainThread && how !== 'cluster') endWithParent()
}
