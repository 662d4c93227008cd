'use strict'

/** Opens connections, `atATime` at once: request, answer, last message, close. */
const { readFileSync } = require('node:fs')
const net = require('node:net')
const tls = require('node:tls')
const { closeSocket, setCloseMode } = require('../../../dist')
const { ANSWER, PARTING, REQUEST } = require('./sizes')
const { inLanes } = require('./lanes')
const { config, count, ready, warnings } = require('./parent')

const { host, port, cycles, atATime, way, mode, options, ca, stopAfterMs = 200_000 } = config

const request = Buffer.alloc(REQUEST, 'r')
const parting = Buffer.alloc(PARTING, 'p')
/** The TIME_WAIT entries are counted ten times in a run. */
const SAMPLE_EVERY = Math.floor(cycles / 10)

const seen = { completed: 0, bytes: 0, errors: {}, reports: {}, discardedBytes: 0, samples: [] }

const ways = {
  async closeSocket(socket) {
    const report = await closeSocket(socket, { mode, ...options })
    count(
      seen.reports,
      [report.mode, report.timeWait, report.fallback?.message].filter(Boolean).join(', '),
    )
    seen.discardedBytes += report.discardedBytes
  },
  destroySoon: (socket) => socket.destroySoon(),
  end: (socket) => socket.end(),
  dispose: (socket) => socket[Symbol.asyncDispose](),
  destroy: (socket) => socket.destroy(),
}

function connect() {
  if (ca !== undefined) return tls.connect({ host, port, ca, servername: 'localhost' })
  return net.connect({ host, port })
}

function cycle() {
  return new Promise((resolve) => {
    let received = 0
    let reported
    const socket = connect()
    socket.once(ca === undefined ? 'connect' : 'secureConnect', () => {
      if (way !== 'closeSocket' && mode !== undefined) setCloseMode(socket, { mode, ...options })
      socket.write(request)
    })
    socket.on('data', ({ length }) => {
      received += length
      seen.bytes += length
      if (received !== ANSWER) return
      seen.completed++
      socket.write(parting)
      reported = ways[way](socket)
    })
    socket.on('error', ({ code }) => count(seen.errors, code))
    socket.on('close', () => resolve(reported))
  })
}

async function run() {
  await inLanes({ atATime, times: cycles, stopAfterMs }, async (nth) => {
    if ((nth + 1) % SAMPLE_EVERY === 0) seen.samples.push(timeWaitsInNamespace())
    await cycle()
    return !seen.errors.EADDRNOTAVAIL
  })
  return { ...seen, warnings }
}

function timeWaitsInNamespace() {
  return Number(/^TCP:.* tw (\d+)/m.exec(readFileSync('/proc/net/sockstat', 'utf8'))[1])
}

ready({}, { run })
