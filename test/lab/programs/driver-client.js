'use strict'

/**
 * A program that uses a driver: connects, makes a request and closes, any number of times. Its modules are the examples
 * of docs/drivers.md.
 */
const { once } = require('node:events')
const { existsSync, mkdirSync, symlinkSync, writeFileSync } = require('node:fs')
const net = require('node:net')
const { join } = require('node:path')
const { pathToFileURL } = require('node:url')
const { closeTotals, getCloseMode, getOption } = require('../../../dist')
const { config, count, ready, warnings } = require('./parent')

/** `modules` has texts by file name. The module `example.js` exports a `client`. */
const { driver, modules } = config
const ROOT = join(__dirname, '..', '..', '..')
const PACKAGES = join(__dirname, '..', 'drivers', 'node_modules')

/** The connections of the kafkajs client. */
const admins = new WeakMap()

/** How each driver makes a request, and how its documentation closes it. */
const drivers = {
  pg: {
    use: async (client) => {
      await client.connect()
      await client.query('SELECT 1')
    },
    close: (client) => client.end(),
  },
  postgres: { use: (sql) => sql`SELECT 1`, close: (sql) => sql.end() },
  mysql2: { use: (client) => client.query('SELECT 1'), close: (client) => client.end() },
  mariadb: { use: (client) => client.query('SELECT 1'), close: (client) => client.end() },
  ioredis: { use: (client) => client.ping(), close: (client) => client.disconnect() },
  redis: {
    use: async (client) => {
      await client.connect()
      await client.ping()
    },
    close: (client) => client.close(),
  },
  mqtt: {
    use: (client) => client.publishAsync('greeting', 'hello', { qos: 1 }),
    close: (client) => client.endAsync(),
  },
  kafkajs: {
    use: async (client) => {
      const admin = client.admin()
      admins.set(client, admin)
      await admin.connect()
      await admin.listTopics()
    },
    close: (client) => admins.get(client).disconnect(),
  },
  mongodb: {
    use: (client) => client.db('admin').command({ ping: 1 }),
    close: (client) => client.close(),
  },
}

/** The sockets that the driver connected, and their errors. */
const sockets = new Set()
const errors = {}
const { connect } = net.Socket.prototype
net.Socket.prototype.connect = function (...args) {
  sockets.add(this)
  this.on('error', ({ code, message }) => count(errors, code ?? message))
  return connect.apply(this, args)
}

/** Writes the modules into a folder from which they can load the packages, including socket-tuner. */
function written() {
  const own = join(PACKAGES, 'socket-tuner')
  if (!existsSync(own)) symlinkSync(ROOT, own)
  const folder = join(PACKAGES, '.examples', `${driver}-${process.pid}`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  for (const [name, text] of Object.entries(modules)) writeFileSync(join(folder, name), text)
  return pathToFileURL(join(folder, 'example.js'))
}

const { use, close } = drivers[driver]
const url = written()
let number = 0

const shown = ['SO_KEEPALIVE', 'TCP_KEEPIDLE', 'TCP_KEEPINTVL', 'TCP_KEEPCNT', 'TCP_USER_TIMEOUT']

function stateOf(socket) {
  return {
    ...Object.fromEntries(shown.map((name) => [name, getOption(socket, name)])),
    localAddress: socket.localAddress,
    close: getCloseMode(socket),
  }
}

/**
 * Runs one client from its connect() to the close of all its connections.
 *
 * @returns the number of its connections, and the result of `look` for each while it was open
 */
async function one(look = () => undefined) {
  // A query makes Node load the module again.
  const { client } = await import(`${url}?${++number}`)
  client.on?.('error', ({ code, message }) => count(errors, code ?? message))
  await use(client)
  const states = [...sockets].filter(({ readyState }) => readyState === 'open').map(look)
  await close(client)
  for (const socket of sockets) if (!socket.closed) await once(socket, 'close')
  const { size } = sockets
  sockets.clear()
  return { states, size }
}

async function run({ times }) {
  let connections = 0
  for (let i = 0; i < times; i++) connections += (await one()).size
  return { connections, errors, warnings, totals: closeTotals() }
}

ready({}, { look: async () => (await one(stateOf)).states, run })
