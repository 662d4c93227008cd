'use strict'

/** Brings connections of both families into each lasting state, and keeps them there. */
const net = require('node:net')
const { once } = require('node:events')
const { connect, listen, setOption, tcpInfo } = require('../../../dist')
const { config, ready } = require('./parent')

const { firstPort = 9_201, each = 3 } = config
const HOSTS = ['127.0.0.1', '::1', '::ffff:127.0.0.1']

/** A filter by which the kernel drops all input of the socket (socket(7)). */
const deaf = { SO_ATTACH_FILTER: [{ code: 6, jt: 0, jf: 0, k: 0 }] }
const deafen = (socket) => setOption(socket, 'SO_ATTACH_FILTER', deaf.SO_ATTACH_FILTER)

/** Resolves when the socket is in a state. Polls once in every turn of the event loop. */
async function reaches(socket, state) {
  while (tcpInfo(socket).state !== state) await new Promise((resolve) => setImmediate(resolve))
}

async function pair(server, host) {
  const accepted = once(server, 'connection')
  const client = net.connect({ host, port: server.address().port, allowHalfOpen: true })
  const [[peer]] = await Promise.all([accepted, once(client, 'connect')])
  for (const socket of [client, peer]) socket.on('error', () => {})
  return { client, peer: peer.resume() }
}

const ways = {
  established: () => {},
  async closeWaitAndFinWait2({ client, peer }) {
    client.end()
    await reaches(peer, 'CLOSE_WAIT')
    await reaches(client, 'FIN_WAIT2')
  },
  async finWait1({ client, peer }) {
    deafen(peer)
    client.end()
    await reaches(client, 'FIN_WAIT1')
  },
  async lastAck({ client, peer }) {
    client.end()
    await reaches(peer, 'CLOSE_WAIT')
    deafen(client)
    // Both directions have ended, so Node closes the socket; the kernel keeps sending its FIN.
    peer.end()
    await once(peer, 'close')
  },
  async timeWait({ client, peer }) {
    client.destroy()
    await once(peer, 'end')
    peer.destroy()
    await once(peer, 'close')
  },
}

async function main() {
  const servers = []
  for (const [index, host] of ['127.0.0.1', '::1', '::'].entries()) {
    const server = net.createServer({ allowHalfOpen: true })
    await listen(server, { host, port: firstPort + index })
    servers.push(server)
  }
  const held = []
  for (const [index, host] of HOSTS.entries()) {
    for (const way of Object.values(ways)) {
      for (let i = 0; i < each; i++) {
        const made = await pair(servers[index], host)
        await way(made)
        held.push(made)
      }
    }
    for (let i = 0; i < each; i++) {
      // The client drops the answer to its SYN: SYN_SENT here, SYN_RECV at the server.
      const { port } = servers[index].address()
      const socket = connect({ host, port, settings: deaf })
      held.push(socket.on('error', () => {}))
    }
  }
  ready({ ports: servers.map((server) => server.address().port), held: held.length }, {})
}

void main()
