'use strict'

/** Watches the connections of its namespace, and ends some in known ways. */
const net = require('node:net')
const { once } = require('node:events')
const { setTimeout: delay } = require('node:timers/promises')
const { closeSocket } = require('../../../dist')
const { watchConnections } = require('../../../dist/ports')
const { config, ready } = require('./parent')

if (config.uid !== undefined) {
  process.setgid(config.uid)
  process.setuid(config.uid)
}

const found = []
const watch = watchConnections({ ...config.watch, onConnection: (each) => found.push(each) })
const accepted = []
const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {})
  accepted.push(socket)
})

async function pair() {
  const client = net.connect({
    port: server.address().port,
    host: '127.0.0.1',
    allowHalfOpen: true,
  })
  client.on('error', () => {})
  const both = once(server, 'connection')
  await once(client, 'connect')
  const [peer] = await both
  for (const [from, to] of [
    [client, peer],
    [peer, client],
  ]) {
    from.write('hello')
    await once(to, 'data')
    to.resume()
  }
  return { client, peer }
}

/** Also after an error, which once() would throw. */
const closed = (socket) =>
  new Promise((resolve) => {
    if (socket.closed) resolve()
    else socket.once('close', resolve)
  })
const ended = (socket) => (socket.readableEnded ? undefined : once(socket, 'end'))

const ways = {
  async 'the client closes first'({ client, peer }) {
    client.end()
    await ended(peer)
    peer.end()
  },
  async 'the server closes first'({ client, peer }) {
    peer.end()
    await ended(client)
    client.end()
  },
  async 'the client resets'({ client }) {
    client.resetAndDestroy()
  },
  async 'the server resets'({ peer }) {
    peer.resetAndDestroy()
  },
  async 'the client delivers'({ client, peer }) {
    await closeSocket(client, 'deliver')
    peer.end()
  },
}

/** Ends one connection, and returns what was reported of both ends. */
async function end(way) {
  const { client, peer } = await pair()
  const { localPort, remotePort } = client
  await ways[way]({ client, peer })
  await Promise.all([closed(client), closed(peer)])
  const of = (port, other) => (each) =>
    each.localPort === port && (each.remotePort ?? other) === other
  for (;;) {
    const ends = {
      client: found.find(of(localPort, remotePort)),
      server: found.findLast(of(remotePort, localPort)),
    }
    if (ends.client && ends.server) {
      const short = ({ end, closedBy }) => `${end} ${closedBy}`
      return { client: short(ends.client), server: short(ends.server) }
    }
    await delay(5)
  }
}

/** Holds up the event loop while a child ends connections, and returns all counts. */
async function overflow(connections) {
  const before = watch.counters()
  const { spawnSync } = require('node:child_process')
  const code = `
    const net = require('node:net')
    const server = net.createServer((socket) => socket.on('error', () => {}).resume().end())
    let left = ${connections}
    const next = () => {
      if (left-- === 0) return server.close()
      net.connect(server.address().port, '127.0.0.1').resume().on('close', next)
    }
    server.listen(0, '127.0.0.1', next)`
  spawnSync(process.execPath, ['-e', code], { stdio: 'inherit' })
  for (;;) {
    const { seen, lost, notConnected } = watch.counters()
    const all = seen + lost + notConnected - before.seen - before.lost - before.notConnected
    if (all >= 2 * connections) return { all, lost: lost - before.lost }
    await delay(5)
  }
}

server.listen(0, '127.0.0.1', () => {
  ready({}, { end, overflow, uid: () => process.getuid() })
})
