'use strict'

/** Opens connections at a steady rate, closes each with a FIN, and watches its ports, until none is left. */
const net = require('node:net')
const { watchPorts } = require('../../../dist')
const { config, ready } = require('./parent')

const { port, host = '127.0.0.1', perSecond, intervalMs, stopAfterMs = 120_000 } = config
const TICK_MS = 20

function once() {
  return new Promise((resolve) => {
    const socket = net.connect(port, host, () => socket.destroy())
    let failure
    socket.on('error', (error) => (failure = error))
    socket.on('close', () => resolve(failure))
  })
}

async function run() {
  const destinations = [{ remoteAddress: host, remotePort: port }]
  const watch = watchPorts({ destinations, intervalMs })
  const reports = []
  const reading = (async () => {
    for await (const report of watch) reports.push(report)
  })()
  const begun = performance.now()
  let made = 0
  let failure
  while (failure === undefined && performance.now() - begun < stopAfterMs) {
    const due = Math.floor(((performance.now() - begun) * perSecond) / 1000)
    for (; made < due; made++) void once().then((error) => (failure ??= error))
    await new Promise((resolve) => setTimeout(resolve, TICK_MS))
  }
  const over = Date.now()
  watch.stop()
  await reading
  return { made, over, code: failure?.code, reports }
}

ready({}, { run })
