'use strict'

// Runs the application in examples/register as it is and tuned by socket-tuner/register, and counts the
// TIME_WAIT entries that it leaves on this host.

const { spawnSync } = require('node:child_process')
const { readFileSync } = require('node:fs')
const path = require('node:path')

const cwd = path.join(__dirname, 'register')

function run(...flags) {
  const options = { cwd, encoding: 'utf8', timeout: 20_000 }
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, 'app.js'], options)
  if (status !== 0) throw new Error(`app.js ended with ${status}: ${stderr}`)
  return timeWaits(Number(stdout))
}

// Of connections to or from a port of this host, in proc(5)'s table: state 06.
function timeWaits(port) {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)
  return lines.filter((line) => {
    const [, local, remote, state] = line.trim().split(/\s+/)
    return state === '06' && (local.endsWith(end) || remote.endsWith(end))
  }).length
}

const before = run()
const tuned = run('--require', require.resolve('socket-tuner/register'))
console.log(`20 requests on connections of their own left TIME_WAIT:`)
console.log(`as it is                         ${before}`)
console.log(`under socket-tuner/register      ${tuned}`)

if (before === 0 || tuned !== 0) process.exitCode = 1
