'use strict'

// Run by test/register/register.test.ts under socket-tuner/register, of which it knows nothing: an http
// server, in a cluster worker, in a worker thread, or one that listens when it has failed to, and again
// when it was closed. Prints its port and ends with its standard input.
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
  // On the wildcard address, as most servers.
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
  // What a thread is given is what was there when the process began.
  delete process.env.SOCKET_TUNER
  process.chdir('/')
  new Worker(__filename, { argv: ['thread'] })
  endWithParent()
} else {
  void serve()
  if (isMainThread && how !== 'cluster') endWithParent()
}
