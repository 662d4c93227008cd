'use strict'

// Run by test/register/register-signals.test.ts with and without socket-tuner/register. Makes connections to
// itself, prints 'ready', and then receives a signal. Exits when its standard input ends.
const { once } = require('node:events')
const { writeSync } = require('node:fs')
const net = require('node:net')

const [how, signal] = process.argv.slice(2)
const CONNECTIONS = 3

async function connectToItself() {
  const server = net.createServer((socket) => {
    socket.resume()
    socket.write('hello')
    socket.on('end', () => socket.destroySoon())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  for (let i = 0; i < CONNECTIONS; i++) {
    const [[accepted], client] = await Promise.all([
      once(server, 'connection'),
      connected(server.address().port),
    ])
    const closed = Promise.all([once(client, 'close'), once(accepted, 'close')])
    client.destroy()
    await closed
  }
}

async function connected(port) {
  const client = net.connect(port, '127.0.0.1')
  await once(client, 'data')
  return client
}

function print(text) {
  writeSync(1, `${text}\n`)
}

const ways = {
  'no listener': () => undefined,
  'a listener that exits': () => {
    process.on(signal, () => {
      print('handled')
      process.exit(7)
    })
  },
  'a listener that goes on': () => {
    process.on(signal, () => print('handled'))
  },
  'a listener that raises it again': () => {
    process.once(signal, () => {
      print('handled')
      process.kill(process.pid, signal)
    })
  },
  'a listener that was taken off': () => {
    const listener = () => print('handled')
    process.on(signal, listener)
    process.off(signal, listener)
  },
  'no time to listen': () => undefined,
}

async function main() {
  await connectToItself()
  ways[how]()
  process.stdin.resume()
  process.stdin.on('end', () => process.exit(0))
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP']
  const listeners = signals.map((name) => process.listenerCount(name))
  const named = process.eventNames().filter((name) => signals.includes(name))
  print(JSON.stringify({ listeners, named }))
  print('ready')
  if (how === 'no time to listen') for (;;);
}

void main()
