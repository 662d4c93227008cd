'use strict'

/** Opens descriptors up to the limit, starts a watch, closes them, and prints the events of the watch. */
const fs = require('node:fs')
const { setTimeout: delay } = require('node:timers/promises')
const { watchPorts } = require('../../dist/ports')

const PATIENCE_MS = 20_000
const PAUSE_MS = 10

function takeAll() {
  const taken = []
  try {
    for (;;) taken.push(fs.openSync('/dev/null'))
  } catch (error) {
    return { taken, code: error.code }
  }
}

async function until(isReached) {
  const end = performance.now() + PATIENCE_MS
  while (!isReached() && performance.now() < end) await delay(PAUSE_MS)
}

async function main() {
  const { taken, code } = takeAll()
  // With a given source the watch needs no descriptor to start.
  const address = '127.0.0.1'
  const destinations = [{ remoteAddress: address, remotePort: 9, localAddress: address }]
  const watch = watchPorts({ destinations, intervalMs: 10 })
  await until(() => watch.failedReadings > 1 || !watch.running)
  const starved = { code, failure: watch.failure?.code, running: watch.running }
  for (const fd of taken) fs.closeSync(fd)
  await until(() => watch.failure === undefined || !watch.running)
  const fed = { failure: watch.failure?.code, running: watch.running, looks: watch.latest.length }
  watch.stop()
  console.log(JSON.stringify({ starved, fed }))
}

void main()
