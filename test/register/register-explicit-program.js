'use strict'

// Run by test/register/register.test.ts under socket-tuner/register. Connects with this library's own
// connect(), which register must not change. Prints the IP_TTL of its sockets, and how the first one
// is closed.
const { once } = require('node:events')
const { connect, closeSocket, getOption, setCloseMode } = require('../../dist')
const net = require('node:net')

async function main() {
  const port = Number(process.argv[2])
  const own = connect({ host: '127.0.0.1', port, settings: { IP_TTL: 61 } })
  await once(own, 'connect')
  const byName = connect({ host: 'localhost', port, family: 4, settings: { IP_TTL: 61 } })
  await once(byName, 'connect')
  const reset = net.connect({ host: '127.0.0.1', port })
  setCloseMode(reset, 'reset')
  await once(reset, 'connect')
  const ttl = [own, byName, reset].map((socket) => getOption(socket, 'IP_TTL'))
  const { mode } = await closeSocket(own, 'deliver')
  byName.destroy()
  reset.destroy()
  process.stdout.write(JSON.stringify({ ttl, mode }))
}

void main()
