'use strict'

/**
 * Run by test/close/lost-carrier.test.ts: closes a TLS socket while Node is inside OpenSSL and the connection
 * below is destroyed, and prints the reports. A process of its own, since Node would crash it.
 */
const { once } = require('node:events')
const net = require('node:net')
const tls = require('node:tls')
const { closeSocket } = require('../../dist')

const { certificate, side, mode } = JSON.parse(process.argv[2])

function close(socket, carrier) {
  if (mode === 'twice') {
    const first = closeSocket(socket, { mode: 'fin' })
    carrier.destroy()
    return Promise.all([first, closeSocket(socket, { mode: 'reset' })])
  }
  carrier.destroy()
  return Promise.all([closeSocket(socket, { mode })])
}

async function main() {
  const server = tls.createServer(certificate)
  const carriers = []
  server.on('connection', (carrier) => carriers.push(carrier)).on('tlsClientError', () => undefined)
  const reports = new Promise((resolve) => {
    server.on('secureConnection', (socket) => {
      socket.on('error', () => undefined)
      if (side === 'server') resolve(close(socket, carriers[0]))
    })
    server.listen(0, '127.0.0.1', () => {
      const carrier = net.connect(server.address().port, '127.0.0.1')
      const client = tls.connect({ socket: carrier, rejectUnauthorized: false })
      for (const socket of [carrier, client]) socket.on('error', () => undefined)
      client.resume()
      client.once('secureConnect', () => {
        if (side === 'client') resolve(close(client, carrier))
      })
    })
  })
  console.log(JSON.stringify((await reports).map(({ fallback }) => fallback?.code)))
  for (const carrier of carriers) carrier.destroy()
  server.close()
  await once(server, 'close')
}

void main()
