'use strict'

/** Tries connections that are refused, and says with what errors: this library's, and Node's own. */
const { openSync } = require('node:fs')
const http = require('node:http')
const net = require('node:net')
const { RawSocket, connect, listen } = require('../../../dist')
const { TunedAgent } = require('../../../dist/clients/http')
const { tunedConnector } = require('../../../dist/clients/undici')
const { ready } = require('./parent')

const FIELDS = ['name', 'message', 'code', 'errno', 'syscall', 'address', 'port', 'localAddress']

function told(error) {
  return Object.fromEntries(FIELDS.map((field) => [field, error[field]]))
}

/** What a socket fails with: the same as each event that came before said. */
function failureOf(socket) {
  const attempted = []
  socket.on('connectionAttemptFailed', (_address, _port, _family, error) => attempted.push(error))
  return new Promise((resolve, reject) => {
    socket.on('connect', () => reject(new Error('It was connected')))
    socket.on('error', (error) => {
      const { errors = [error] } = error
      if (attempted.every((one) => errors.includes(one))) resolve(error)
      else reject(new Error(`Attempts failed with ${attempted.join(', ')}`))
    })
  })
}

function family(host) {
  return net.isIPv6(host) ? 6 : 4
}

/** Each gives the error of one connection with net.connect()'s options. */
const ways = {
  node: (options) => failureOf(net.connect({ ...options, autoSelectFamily: false })),
  connect: (options) => failureOf(connect({ ...options, autoSelectFamily: false })),
  'RawSocket.connect': ({ localAddress, localPort, ...options }) => {
    const raw = RawSocket.open(family(options.host))
    if (localAddress !== undefined) raw.bind({ address: localAddress, port: localPort })
    return failureOf(raw.connect(options))
  },
  TunedAgent: (options) => failureOf(http.get({ ...options, agent: new TunedAgent() })),
  tunedConnector: ({ host, port, ...options }) =>
    new Promise((resolve) => {
      const connector = tunedConnector(options)
      connector({ hostname: host, protocol: 'http:', port: String(port) }, resolve)
    }),
  /** The error of the first address of two. */
  'a host name': async ({ host, ...options }) => {
    const addresses = [host, family(host) === 6 ? '::1' : '127.0.0.99']
    const lookup = (_host, _options, callback) => {
      process.nextTick(
        callback,
        null,
        addresses.map((address) => ({ address, family: family(address) })),
      )
    }
    const { errors, message, code } = await failureOf(
      connect({ ...options, host: 'two.test', lookup, autoSelectFamilyAttemptTimeout: 60_000 }),
    )
    const [first] = errors
    if (message !== first.message || code !== first.code) throw new Error(`Another: ${message}`)
    return first
  },
  listen: ({ host, port }) =>
    listen(net.createServer(), { host, port }).then(
      () => Promise.reject(new Error('It listens')),
      (error) => error,
    ),
  'server.listen': ({ host, port }) =>
    new Promise((resolve) => net.createServer().on('error', resolve).listen(port, host)),
  'RawSocket.open': ({ host, mptcp = false }) => {
    RawSocket.open(family(host), {}, { mptcp }).close()
    throw new Error('It was opened')
  },
}

async function attempt({ way, options }) {
  try {
    return told(await ways[way](options))
  } catch (error) {
    // It was thrown, and not emitted.
    if (error.syscall !== undefined) return told(error)
    throw error
  }
}

/** Takes all descriptors that this process may have. */
function exhaust() {
  try {
    for (;;) openSync('/dev/null')
  } catch ({ code }) {
    return code
  }
}

ready({}, { attempt, exhaust })
