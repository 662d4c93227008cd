'use strict'

// Runs the application in examples/register with and without socket-tuner/register, and counts the TIME_WAIT entries
// that it leaves on this host.

const { spawnSync } = require('node:child_process')
const { readFileSync } = require('node:fs')
const path = require('node:path')

const cwd = path.join(__dirname, 'register')

function run(...flags) {
  const options = { cwd, encoding: 'utf8', timeout: 20_000 }
  const before = timeWaits()
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, 'app.js'], options)
  if (status !== 0) throw new Error(`app.js ended with ${status}: ${stderr}`)
  const end = `:${Number(stdout).toString(16).toUpperCase().padStart(4, '0')}`
  // The port may have belonged to another program whose connections are still in TIME_WAIT.
  const added = [...timeWaits()].filter((ends) => !before.has(ends))
  return added.filter((ends) => ends.split(' ').some((address) => address.endsWith(end))).length
}

// Returns both ends of each connection in TIME_WAIT, which is state 06 in the table of proc(5).
function timeWaits() {
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)
  const sockets = lines.map((line) => line.trim().split(/\s+/))
  const waiting = sockets.filter(([, , , state]) => state === '06')
  return new Set(waiting.map(([, local, remote]) => `${local} ${remote}`))
}

const asItIs = run()
const tuned = run('--require', require.resolve('socket-tuner/register'))
console.log(`20 requests on connections of their own left TIME_WAIT:`)
console.log(`as it is                         ${asItIs}`)
console.log(`under socket-tuner/register      ${tuned}`)

if (asItIs === 0 || tuned !== 0) process.exitCode = 1
