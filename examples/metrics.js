'use strict'

/** Metrics of closes and ports for Prometheus, with prom-client. */
const net = require('node:net')
const { once } = require('node:events')
const promClient = require('prom-client')
const { closeSocket } = require('socket-tuner')
const { watchPorts } = require('socket-tuner/ports')
const { registerMetrics } = require('socket-tuner/metrics')

const host = '127.0.0.1'

async function main() {
  const server = net.createServer((socket) => socket.resume())
  await once(server.listen(0, host), 'listening')
  const { port } = server.address()

  const watch = watchPorts({ destinations: [{ remoteAddress: host, remotePort: port }] })
  const metrics = registerMetrics(promClient, { watch })

  const socket = net.connect(port, host)
  await once(socket, 'connect')
  await closeSocket(socket, 'deliver')

  const text = await promClient.register.metrics()
  console.log(text)
  if (!text.includes('socket_tuner_closes_total{mode="deliver"} 1')) process.exitCode = 1
  metrics.stop()
  watch.stop()
  server.close()
}

void main()
