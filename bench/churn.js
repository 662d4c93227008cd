'use strict'

/**
 * Compares the processor time per connection of a client that connects, makes a request and closes, with that of the
 * same client with Node's resetAndDestroy(). The server is nginx. Each way to close runs in its own process,
 * and the processes take turns. Prints the median of the ratios of all turns. Elapsed time is not measured, because it
 * would include the kernel's work for the peer.
 */
const { fork } = require('node:child_process')
const { once } = require('node:events')
const net = require('node:net')
const { closeSocket, closeTotals, connect, setCloseMode } = require('../dist')
const { median } = require('./helpers/median')
const { startNginx } = require('./helpers/nginx')

const CONNECTIONS = Number(process.env.BENCH_CONNECTIONS ?? 2_000)
const TURNS = Number(process.env.BENCH_TURNS ?? 15)
const WARM_UPS = 4
const AT_A_TIME = 16
const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
const ANSWER_ENDS = 'bye'

/** The ways to open a socket, and to close it after the answer. */
const ways = {
  'resetAndDestroy()': {
    open: (port) => net.connect(port, '127.0.0.1'),
    close: (socket) => socket.resetAndDestroy(),
  },
  "setCloseMode(socket, 'deliver')": {
    open(port) {
      const socket = net.connect(port, '127.0.0.1')
      setCloseMode(socket, 'deliver')
      return socket
    },
    close: (socket) => socket.destroy(),
  },
  "closeSocket(socket, 'deliver')": {
    open: (port) => net.connect(port, '127.0.0.1'),
    close: (socket) => void closeSocket(socket, 'deliver'),
  },
  "connect({ close: 'deliver' })": {
    open: (port) => connect({ port, host: '127.0.0.1', close: 'deliver' }),
    close: (socket) => socket.destroy(),
  },
}

function cycle({ open, close }, port) {
  return new Promise((resolve, reject) => {
    const socket = open(port)
    socket.on('data', (chunk) => {
      if (chunk.toString('latin1', chunk.length - ANSWER_ENDS.length) === ANSWER_ENDS) close(socket)
    })
    socket.on('error', reject)
    socket.on('close', resolve)
    socket.write(REQUEST)
  })
}

/** For each message of the parent, makes that number of connections, and replies with the processor time of each, µs. */
function serveAsClient(name, port) {
  const way = ways[name]
  process.on('message', async (connections) => {
    let begun = 0
    const lane = async () => {
      while (begun++ < connections) await cycle(way, port)
    }
    const before = process.cpuUsage()
    await Promise.all(Array.from({ length: AT_A_TIME }, lane))
    const { user, system } = process.cpuUsage(before)
    process.send({ microseconds: (user + system) / connections, totals: closeTotals() })
  })
}

async function turn(client) {
  client.send(CONNECTIONS)
  const [result] = await once(client, 'message')
  return result
}

async function main() {
  const nginx = await startNginx(ANSWER_ENDS)
  const clients = new Map(
    Object.keys(ways).map((name) => [name, fork(__filename, ['client', name, nginx.port])]),
  )
  const [base] = clients.keys()
  const spent = new Map(Object.keys(ways).map((name) => [name, []]))
  const lasts = new Map()
  try {
    for (let i = 0; i < WARM_UPS + TURNS; i++) {
      // Each way is equally often the first.
      const names = [...clients.keys()]
      const order = [...names.slice(i % names.length), ...names.slice(0, i % names.length)]
      for (const name of order) {
        const { microseconds, totals } = await turn(clients.get(name))
        lasts.set(name, totals)
        if (i >= WARM_UPS) spent.get(name).push(microseconds)
      }
    }
  } finally {
    for (const client of clients.values()) client.kill()
    await nginx.stop()
  }
  console.log(
    `${process.version}, ${TURNS} turns of ${CONNECTIONS} connections, ${AT_A_TIME} at a time`,
  )
  for (const [name, values] of spent) {
    const ratio = median(values.map((value, i) => value / spent.get(base)[i]))
    const { closes, timeWaitLeft } = lasts.get(name)
    const counted = closes.deliver > 0 ? `, ${closes.deliver} delivered, ${timeWaitLeft} left` : ''
    console.log(
      `${name.padEnd(32)} ${median(values).toFixed(1).padStart(6)} us  ${ratio.toFixed(3)}${counted}`,
    )
  }
}

const [role, name, port] = process.argv.slice(2)
process.on('disconnect', () => process.exit())
if (role === 'client') serveAsClient(name, Number(port))
else void main()
