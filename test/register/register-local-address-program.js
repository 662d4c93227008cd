'use strict'

// Run by test/register/local-address.test.ts, with and without socket-tuner/register. Connects to 127.0.0.1 from its own
// local address in each way, and prints the outcome: the error, or the bound address, whether connect() chose
// the port, and two options.
const http = require('node:http')
const net = require('node:net')
const tls = require('node:tls')
const { getOption } = require('../../dist')

const { port, tlsPort, ca, localAddress, localPort } = JSON.parse(process.argv[2])
const host = '127.0.0.1'
const own = { port, localAddress, localPort }

/** Returns a lookup that calls back in the same tick, or in a later one. */
function resolvingTo(addresses, sync) {
  const all = addresses.map((address) => ({ address, family: 4 }))
  return (name, options, callback) => {
    const answer = () => (options.all ? callback(null, all) : callback(null, addresses[0], 4))
    if (sync) answer()
    else process.nextTick(answer)
  }
}

const ways = {
  'net.connect': () => net.connect({ ...own, host }),
  'socket.connect': () => new net.Socket().connect({ ...own, host }),
  'a name': () => net.connect({ ...own, host: 'a.test', lookup: resolvingTo([host, '127.0.0.9']) }),
  'a lookup in the same tick': () =>
    net.connect({ ...own, host: 'a.test', lookup: resolvingTo([host], true) }),
  'http.Agent': () =>
    http
      .get({ host, port, agent: new http.Agent({ localAddress, localPort }) })
      .on('error', () => {}),
  'tls.connect': () => tls.connect({ ...own, port: tlsPort, host, ca, servername: 'localhost' }),
}

/** Resolves with the outcome of a socket, or of a request, which emits its socket's error. */
function outcomeOf(client) {
  return new Promise((resolve) => {
    client.once('error', ({ code, syscall, address, message }) => {
      resolve({ code, syscall, address, message })
    })
    const connected = (socket) => {
      resolve({
        from: socket.localAddress,
        withoutPort: getOption(socket, 'IP_BIND_ADDRESS_NO_PORT'),
        keepIdle: getOption(socket, 'TCP_KEEPIDLE'),
        segment: getOption(socket, 'TCP_MAXSEG'),
      })
    }
    client.once('connect', () => connected(client))
    client.once('socket', (socket) => socket.once('connect', () => connected(socket)))
  })
}

async function main() {
  const outcomes = {}
  for (const [way, connect] of Object.entries(ways)) {
    const client = connect()
    outcomes[way] = await outcomeOf(client)
    client.on('error', () => {}).destroy()
  }
  process.stdout.write(JSON.stringify(outcomes))
}

main().then(() => process.exit())
