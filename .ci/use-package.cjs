'use strict'

const http = require('node:http')
const { once } = require('node:events')
const { RawSocket, closeSocket, connect, tcpInfo, tune, tuneServer } = require('socket-tuner')
const { TunedAgent } = require('socket-tuner/http')

const host = '127.0.0.1'

async function main() {
  const server = http.createServer((request, response) => response.end('answer'))
  const { port } = await RawSocket.open(4).bind({ address: host }).listenOn(server)
  tuneServer(server, { settings: { TCP_NODELAY: true }, close: 'deliver' })

  const socket = connect({ host, port, settings: { TCP_MAXSEG: 1000 } })
  await once(socket, 'connect')
  const report = tune(socket, { TCP_NODELAY: true, TCP_USER_TIMEOUT: 5000 })
  const { state } = tcpInfo(socket)
  const closed = await closeSocket(socket, 'deliver')

  const agent = new TunedAgent()
  for (let i = 0; i < 2; i++) {
    const [response] = await once(http.get({ host, port, agent }), 'response')
    await once(response.resume(), 'close')
  }
  const { created, reused } = agent.counters()
  agent.destroy()
  server.close()
  if (
    report.TCP_USER_TIMEOUT.status !== 'applied' ||
    state !== 'ESTABLISHED' ||
    closed.timeWait !== 'avoided' ||
    created !== 1 ||
    reused !== 1
  ) {
    throw new Error(JSON.stringify({ report, state, closed, created, reused }))
  }
  console.log('require', process.version, closed.mode, closed.timeWait)
}

void main()
