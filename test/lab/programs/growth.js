'use strict'

/**
 * Repeats one operation on request, and then reports the resources of the process: memory, descriptors, and the
 * handles that keep the event loop alive.
 */
const { once } = require('node:events')
const { readdirSync } = require('node:fs')
const net = require('node:net')
const { join } = require('node:path')
const { setTimeout: delay } = require('node:timers/promises')
const { Worker } = require('node:worker_threads')
const library = require('../../../dist')
const ports = require('../../../dist/ports')
const { collectAll, ownMemory } = require('./collect')
const { config, ready } = require('./parent')

const CONNECTIONS_AT_ONCE = 50
const WORKERS_AT_ONCE = 4
const modes = ['fin', 'deliver', 'lingering', 'reset']

library.configure({ hazards: 'ignore' })

/** The operations. Each makes the given number of calls. */
const tasks = {
  async options(calls) {
    const { getOption, setOption, tune } = library
    const raw = library.RawSocket.open(4)
    for (let left = calls; left > 0; left -= 100) {
      for (let pairs = 40; pairs > 0; pairs--) {
        setOption(raw, 'TCP_KEEPIDLE', pairs)
        getOption(raw, 'TCP_KEEPIDLE')
      }
      setOption(raw, 'SO_LINGER', { enabled: false, seconds: 0 })
      setOption(raw, 'TCP_CONGESTION', 'reno')
      setOption(raw, 'SO_MAX_PACING_RATE', 1_000_000n)
      getOption(raw, 'TCP_CONGESTION')
      getOption(raw, 'SO_LINGER')
      // Five options, three times.
      for (let times = 3; times > 0; times--) {
        const on = times % 2 === 0
        tune(raw, { TCP_NODELAY: on, SO_KEEPALIVE: on, IP_TOS: 8, TCP_KEEPCNT: 5, TCP_SYNCNT: 4 })
      }
    }
    raw.close()
  },

  async sockets(calls) {
    for (let left = calls; left > 0; left--) {
      library.RawSocket.open(4).close()
      if (left % 10_000 === 0) await delay(0)
    }
  },

  async closes(calls) {
    const server = net.createServer((socket) => socket.on('error', () => undefined).resume())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const close = async (_, index) => {
      const socket = net.connect(server.address().port, '127.0.0.1')
      await once(socket, 'connect')
      socket.write('some bytes')
      await library.closeSocket(socket, modes[index % modes.length])
    }
    for (let left = calls; left > 0; left -= CONNECTIONS_AT_ONCE) {
      await Promise.all(Array.from({ length: CONNECTIONS_AT_ONCE }, close))
    }
    server.close()
    await once(server, 'close')
  },

  async census(calls) {
    for (let left = calls; left > 0; left--) {
      await ports.countSockets({
        states: ['ESTABLISHED', 'LISTEN', 'TIME_WAIT'],
        groupBy: ['localAddress', 'localPort', 'remoteAddress', 'remotePort', 'state'],
        timers: true,
      })
    }
  },

  async workers(calls) {
    const end = () =>
      new Promise((resolve, reject) => {
        const worker = new Worker(join(__dirname, 'growth-worker.js'))
        worker.once('error', reject).once('exit', resolve)
        // Every second thread is terminated while it works.
        if (calls-- % 2 === 0) worker.once('message', () => worker.terminate())
      })
    for (let left = calls; left > 0; left -= WORKERS_AT_ONCE) {
      await Promise.all(Array.from({ length: WORKERS_AT_ONCE }, end))
    }
  },
}

async function held() {
  await collectAll()
  return {
    memory: ownMemory(),
    descriptors: readdirSync('/proc/self/fd').length,
    resources: process.getActiveResourcesInfo().length,
  }
}

ready(
  {},
  {
    /** Makes more calls, and returns the resources of the process. */
    async more(calls) {
      await tasks[config.task](calls)
      return held()
    },
  },
)
