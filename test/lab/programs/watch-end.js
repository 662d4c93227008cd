'use strict'

/** Hides /proc/sys in its own mount namespace while a watch runs, and reports how the watch ends. */
const { execFileSync } = require('node:child_process')
const { setImmediate: nextTurn } = require('node:timers/promises')
const { watchPorts } = require('../../../dist/ports')
const { ready, warnings } = require('./parent')

async function run() {
  const watch = watchPorts({ destinations: [{ remoteAddress: '127.0.0.1', remotePort: 9 }] })
  const { value } = await watch[Symbol.asyncIterator]().next()
  const before = { looks: value.remotePort, running: watch.running }
  execFileSync('mount', ['-t', 'tmpfs', 'none', '/proc/sys'])
  const error = await watch.ended.catch(({ code, message }) => ({ code, message }))
  // Node emits a process warning in a later turn.
  await nextTurn()
  const after = { running: watch.running, latest: watch.latest.length, error }
  return { before, after, warnings }
}

ready({}, { run })
