'use strict'

/** A cluster whose workers listen() on their own sockets, all on the same port with SO_REUSEPORT. */
const cluster = require('node:cluster')
const net = require('node:net')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { getOption, listen } = require('../../dist')

const settings = { SO_REUSEPORT: true }

async function inWorker() {
  const server = net.createServer()
  const { port } = await listen(server, {
    host: '127.0.0.1',
    port: Number(process.env.PORT),
    settings,
  })
  const onPath = net.createServer()
  await listen(onPath, { path: join(tmpdir(), `socket-tuner-cluster-${process.pid}`) })
  // getOption() would throw if the socket belonged to the primary.
  const ownPath = getOption(onPath, 'SO_TYPE') === 1
  onPath.close()
  process.send({ port, own: getOption(server, 'SO_REUSEPORT'), ownPath })
}

function inPrimary() {
  const said = []
  const fork = (port) => {
    const worker = cluster.fork({ PORT: String(port) })
    worker.on('message', (message) => {
      said.push(message)
      if (said.length < 2) {
        fork(message.port)
        return
      }
      console.log(JSON.stringify(said))
      process.exit()
    })
    worker.on('exit', (code) => process.exit(code || 1))
  }
  fork(0)
}

if (cluster.isPrimary) inPrimary()
else void inWorker()
