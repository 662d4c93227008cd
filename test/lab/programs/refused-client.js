'use strict'

/** Tries connections that are refused, and reports the errors of this library and of Node. */
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

/** Resolves to the error of a socket, and checks that earlier events reported the same. */
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

/** The ways to connect. Each returns the error of one connection with the options of net.connect(). */
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
    // The error was thrown, not emitted.
    if (error.syscall !== undefined) return told(error)
    throw error
  }
}

/** Opens descriptors up to the limit of this process. */
function exhaust() {
  try {
    for (;;) openSync('/dev/null')
  } catch ({ code }) {
    return code
  }
}

ready({}, { attempt, exhaust })
