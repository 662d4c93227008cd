'use strict'

/**
 * Run by test/close/lost-carrier.test.ts: closes TLS sockets while Node is inside OpenSSL and the connection
 * below is destroyed, and prints a line for each case. It is a process of its own because a defect would make Node
 * crash. The line of that case would be the first that is missing.
 */
const { once } = require('node:events')
const net = require('node:net')
const tls = require('node:tls')
const { closeSocket } = require('../../dist')

const { certificate, cases } = JSON.parse(process.argv[2])

function close(socket, carrier, mode) {
  if (mode === 'twice') {
    const first = closeSocket(socket, 'fin')
    carrier.destroy()
    return Promise.all([first, closeSocket(socket, 'reset')])
  }
  carrier.destroy()
  return Promise.all([closeSocket(socket, mode)])
}

async function reportsOf({ side, mode }) {
  const server = tls.createServer(certificate)
  const carriers = []
  server.on('connection', (carrier) => carriers.push(carrier)).on('tlsClientError', () => undefined)
  const reports = new Promise((resolve) => {
    server.on('secureConnection', (socket) => {
      socket.on('error', () => undefined)
      if (side === 'server') resolve(close(socket, carriers[0], mode))
    })
    server.listen(0, '127.0.0.1', () => {
      const carrier = net.connect(server.address().port, '127.0.0.1')
      const client = tls.connect({ socket: carrier, rejectUnauthorized: false })
      for (const socket of [carrier, client]) socket.on('error', () => undefined)
      client.resume()
      client.once('secureConnect', () => {
        if (side === 'client') resolve(close(client, carrier, mode))
      })
    })
  })
  const told = (await reports).map(({ fallback }) => fallback?.code)
  for (const carrier of carriers) carrier.destroy()
  server.close()
  await once(server, 'close')
  return told
}

async function main() {
  for (const each of cases) console.log(JSON.stringify({ ...each, told: await reportsOf(each) }))
}

void main()
