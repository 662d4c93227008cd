'use strict'

// Run by test/node/cluster.test.ts: a cluster whose only worker listens. Prints as JSON the state of the
// handles of the worker's server and of the server by which the primary process listens.
const cluster = require('node:cluster')
const { once } = require('node:events')
const net = require('node:net')
const { isInPrimary, whenTakenByCluster } = require('../../dist/node/cluster')

if (process.argv[2] === 'none') cluster.schedulingPolicy = cluster.SCHED_NONE

function stateOf(server) {
  const { _handle: handle } = server
  return handle === null ? null : { fd: typeof handle.fd }
}

async function work() {
  const server = net.createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.send({ worker: stateOf(server), isInPrimary: isInPrimary(server) })
  server.close()
  process.disconnect()
}

function lead() {
  const report = { taken: [] }
  const own = net.Server.prototype.listen
  net.Server.prototype.listen = function listen(...args) {
    this.prependOnceListener('listening', () => {
      report.listening = stateOf(this)
      const { fd } = this._handle
      whenTakenByCluster(this, (taken) => report.taken.push(taken === fd))
      process.nextTick(() => (report.afterwards = stateOf(this)))
    })
    return own.apply(this, args)
  }
  const worker = cluster.fork()
  worker.on('message', (message) => Object.assign(report, message))
  worker.on('exit', () => process.stdout.write(JSON.stringify(report)))
}

if (cluster.isPrimary) lead()
else work()
