'use strict'

/** Makes connections of all kinds, `atATime` at once, and repeats those that were refused during a restart. */
const net = require('node:net')
const { closeSocket, setCloseMode } = require('../../../dist')
const { ANSWER, PARTING, REQUEST } = require('./sizes')
const { kinds, names } = require('./soak-kinds')
const { resources } = require('./soak-resources')
const { config, count, ready, warnings } = require('./parent')

const { port, connections, atATime } = config

const requests = Object.fromEntries(
  names.map((name, index) => [name, Buffer.alloc(REQUEST, index)]),
)
const parting = Buffer.alloc(PARTING, 'p')
/** The kinds in proportion to their shares, mixed. */
const order = names
  .flatMap((name) =>
    Array.from({ length: kinds[name] }, (_, nth) => ({ name, at: nth / kinds[name] })),
  )
  .sort((a, b) => a.at - b.at)
  .map(({ name }) => name)

const seen = {
  completed: {},
  answers: {},
  timeWaitsHere: 0,
  reports: {},
  discardedBytes: 0,
  failures: {},
  done: 0,
  begun: 0,
  isOver: false,
}

const lastWords = {
  deliver: (socket) => socket.write(parting) && closeAndTell(socket, 'deliver'),
  fin: (socket) => socket.write(parting) && closeAndTell(socket, 'fin'),
  lingering: (socket) => socket.write(parting) && closeAndTell(socket, 'lingering'),
  reset: (socket) => closeAndTell(socket, 'reset'),
  policy: (socket) => {
    for (const mode of ['reset', 'fin', 'lingering', 'deliver']) setCloseMode(socket, mode)
    socket.write(parting)
    socket.destroySoon()
  },
  ended: (socket) => {
    setCloseMode(socket, { mode: 'deliver', onEnd: 'close' })
    socket.end(parting)
  },
  server: () => undefined,
}

async function closeAndTell(socket, mode) {
  const report = await closeSocket(socket, mode)
  count(
    seen.reports,
    [mode, report.mode, report.timeWait, report.fallback?.message].filter(Boolean).join(', '),
  )
  seen.discardedBytes += report.discardedBytes
  if (report.timeWait === 'here') seen.timeWaitsHere++
}

/** Resolves to whether the connection was served. */
function connection(kind) {
  return new Promise((resolve) => {
    let received = 0
    let failure
    let reported
    const socket = net.connect({ host: '127.0.0.1', port }, () => socket.write(requests[kind]))
    socket.on('data', ({ length }) => {
      received += length
      if (received === ANSWER) reported = lastWords[kind](socket)
    })
    socket.on('error', ({ code }) => (failure = code))
    socket.on('close', async () => {
      await reported
      const isServed = kind === 'refused' ? failure === 'ECONNRESET' : received === ANSWER
      if (failure !== undefined && kind !== 'refused') {
        count(seen.failures, `${failure} ${received === 0 ? 'before' : 'after'} the answer`)
      }
      if (isServed) {
        count(seen.completed, kind)
        seen.answers[kind] = (seen.answers[kind] ?? 0) + received
        seen.done++
      }
      resolve(isServed)
    })
  })
}

async function lane() {
  while (seen.begun < connections) {
    const kind = order[seen.begun++ % order.length]
    while (!(await connection(kind)));
  }
}

async function run() {
  await Promise.all(Array.from({ length: atATime }, lane))
  seen.isOver = true
}

ready({}, { start: () => void run(), seen: () => ({ ...seen, warnings }), resources })
