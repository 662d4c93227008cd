'use strict'

/**
 * Opens connections at a steady rate, closes each with a FIN, and watches its ports, until none is left or the watch
 * reports the trouble `stopAt`. The watch measures `lookCostsMs` as the cost of each reading, as on a machine of that
 * speed.
 */
const net = require('node:net')
const { watchPorts } = require('../../../dist/ports')
const { native } = require('../../../dist/kernel/binding')
const { config, ready } = require('./parent')

const { port, host = '127.0.0.1', perSecond, intervalMs, stopAt, lookCostsMs } = config
const TICK_MS = 20
/** Once connect() is slow, more connections at a time would leave the watch no time on the event loop. */
const atATime = Math.ceil((2 * perSecond * TICK_MS) / 1000)
const AT_MOST_MS = 120_000

function fixCosts() {
  process.cpuUsage = () => ({ user: 0, system: 0 })
  const { dumpSockets } = native
  native.dumpSockets = (families, states, groupBy, filter, done) =>
    dumpSockets(families, states, groupBy, filter, (total, records, interrupted) =>
      // A reading takes two dumps: of the listening and bound ports, and of the connections.
      done(total, records, interrupted, (lookCostsMs * 1000) / 2),
    )
}

function once() {
  return new Promise((resolve) => {
    const socket = net.connect(port, host, () => socket.destroy())
    let failure
    socket.on('error', (error) => (failure = error))
    socket.on('close', () => resolve(failure))
  })
}

async function run() {
  fixCosts()
  const destinations = [{ remoteAddress: host, remotePort: port }]
  const watch = watchPorts({ destinations, intervalMs })
  const reports = []
  let isOver = false
  const reading = (async () => {
    for await (const report of watch) {
      reports.push(report)
      isOver ||= report.troubles.includes(stopAt)
    }
  })()
  const begun = performance.now()
  let made = 0
  let failure
  while (failure === undefined && !isOver && performance.now() - begun < AT_MOST_MS) {
    const due = Math.floor(((performance.now() - begun) * perSecond) / 1000)
    for (const until = Math.min(due, made + atATime); made < until; made++)
      void once().then((error) => (failure ??= error))
    await new Promise((resolve) => setTimeout(resolve, TICK_MS))
  }
  const over = Date.now()
  watch.stop()
  await reading
  return { made, over, code: failure?.code, reports }
}

ready({}, { run })
