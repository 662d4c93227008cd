'use strict'

// Run by test/register/register.test.ts with and without socket-tuner/register. Prints everything that a program
// can observe of itself and of its sockets. Both outputs must be equal.
const { once } = require('node:events')
const net = require('node:net')
const tls = require('node:tls')

const seen = []

function look(name, emitter) {
  const events = emitter.eventNames().map(String).sort()
  seen.push([name, events.map((event) => `${event} ${emitter.listenerCount(event)}`)])
}

async function main() {
  const server = net.createServer((socket) => {
    socket.once('data', () => {
      socket.write('answer')
      socket.destroySoon()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  const client = net.connect(port, '127.0.0.1')
  client.write('question')
  let text = ''
  client.setEncoding('utf8').on('data', (chunk) => (text += chunk))
  await once(client, 'close')
  const refused = net.connect({ host: '127.0.0.1', port: 1 })
  const [{ code, message }] = await once(refused, 'error')
  server.close()
  await once(server, 'close')
  look('process', process)
  seen.push(['answer', text, client.bytesRead, client.destroyed])
  seen.push(['error', code, message])
  seen.push([net.Socket.prototype.connect.length, net.Server.prototype.listen.length])
  seen.push([Object.keys(net.Socket.prototype), Object.keys(net.Server.prototype)])
  seen.push([Object.keys(net), Object.keys(tls), tls.connect.length])
  process.stdout.write(JSON.stringify(seen))
}

void main()
