'use strict'

// Run by test/register/register.test.ts under socket-tuner/register, to which it has no reference. Makes
// one request to 127.0.0.1 in each of the named ways, one after another.
const http = require('node:http')
const http2 = require('node:http2')
const https = require('node:https')
const net = require('node:net')
const tls = require('node:tls')

const { port, ca, ways, localAddress = '127.0.0.3' } = JSON.parse(process.argv[2])
const host = '127.0.0.1'
const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
const secure = { ca, servername: 'localhost' }

/** Returns a lookup that resolves to these addresses. */
function resolvingTo(...addresses) {
  const all = addresses.map((address) => ({ address, family: 4 }))
  return (name, options, callback) => {
    if (options.all) process.nextTick(callback, null, all)
    else process.nextTick(callback, null, addresses[0], 4)
  }
}

/** Sends a request, and closes when it has the answer. The server waits, so this side closes first. */
function askOn(socket) {
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('close', () => resolve())
    socket.on('data', () => socket.destroy())
    socket.write(REQUEST.replace('close', 'keep-alive'))
  })
}

function get(module, options) {
  return new Promise((resolve, reject) => {
    const request = module.get({ host, port, ...options }, (response) => {
      response.resume()
      response.on('end', resolve)
    })
    request.on('error', reject)
  })
}

async function http2Get() {
  const session = http2.connect(`https://localhost:${port}`, {
    ...secure,
    lookup: resolvingTo(host),
  })
  const stream = session.request({ ':path': '/' })
  stream.resume()
  await new Promise((resolve, reject) => {
    session.on('error', reject)
    stream.on('error', reject)
    stream.on('end', resolve)
  })
  session.destroy()
}

function connected(options) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(options, () => resolve(socket))
    socket.on('error', reject)
  })
}

const all = {
  'net.connect': () => askOn(net.connect({ host, port })),
  'socket.connect': () => askOn(new net.Socket().connect(port, host)),
  'import net': async () => askOn((await import('node:net')).connect(port, host)),
  'a dead address first': () =>
    askOn(net.connect({ host: 'dead.test', port, lookup: resolvingTo('127.0.0.9', host) })),
  'a lookup in the same tick': () =>
    askOn(
      net.connect({
        host: 'here.test',
        port,
        family: 4,
        lookup: (n, o, found) => found(null, host, 4),
      }),
    ),
  'a local address': () => askOn(net.connect({ host, port, localAddress })),
  http: () => get(http, { agent: false }),
  'http.Agent': () => get(http),
  fetch: async () => (await fetch(`http://${host}:${port}`)).text(),
  'tls.connect': () => askOn(tls.connect({ host, port, ...secure })),
  'tls.connect, two addresses': () =>
    askOn(
      tls.connect({ host: 'dead.test', port, lookup: resolvingTo('127.0.0.9', host), ...secure }),
    ),
  'tls over net': async () =>
    askOn(tls.connect({ socket: await connected({ host, port }), ...secure })),
  https: () => get(https, { ...secure, agent: new https.Agent() }),
  http2: http2Get,
}

async function main() {
  for (const way of ways) await all[way]()
  // Closes the agents' connections too.
  http.globalAgent.destroy()
  process.stdout.write(JSON.stringify(ways))
}

main().then(
  () => process.exit(),
  (error) => {
    console.error(error)
    process.exit(70)
  },
)
