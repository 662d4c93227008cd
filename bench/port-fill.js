'use strict'

/**
 * Measures the rate of connections to one address and port while the client's ports fill with TIME_WAIT entries, for
 * this library's connect() and for net.connect(). Each runs in a network namespace of its own, so this needs Linux and
 * root. Prints the rate in each tenth of the ports, and the ratio of the last tenth to the first.
 */
const { execFileSync, spawn } = require('node:child_process')
const { writeFileSync } = require('node:fs')
const net = require('node:net')
const { connect } = require('../dist')

const HOST = '127.0.0.1'
const PORT = 9_001
const PORTS = 28_232
const AT_A_TIME = 16
const SECONDS = Number(process.env.BENCH_SECONDS ?? 12)
const ways = { 'net.connect()': net.connect, 'connect()': connect }

function serve() {
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.on('end', () => socket.destroy())
    socket.resume()
  })
  server.listen({ host: HOST, port: PORT, backlog: 4096 }, () => process.send('listening'))
  process.on('disconnect', () => process.exit())
}

/** Closes each connection at once, which leaves TIME_WAIT here. Returns the time of each connection, ms. */
async function fill(open) {
  const times = []
  const start = performance.now()
  let failed = false
  const one = () =>
    new Promise((resolve) => {
      const socket = open({ host: HOST, port: PORT })
      socket.on('connect', () => {
        times.push(performance.now() - start)
        socket.destroy()
      })
      socket.on('error', () => (failed = true))
      socket.on('close', resolve)
    })
  const lane = async () => {
    while (!failed && performance.now() - start < SECONDS * 1000) await one()
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, lane))
  return times
}

/** Connections per second in each tenth of the ports, as far as the run got. */
function rates(times) {
  const tenth = Math.floor(PORTS / 10)
  const result = []
  for (let end = tenth; end <= times.length; end += tenth) {
    const from = end === tenth ? 0 : times[end - tenth - 1]
    result.push(Math.round((1000 * tenth) / (times[end - 1] - from)))
  }
  return result
}

/** Lets V8 compile the code by connections that are refused, which leave nothing behind. */
async function warmUp() {
  for (let i = 0; i < 1_000; i++) {
    const socket = connect({ host: '127.0.0.2', port: 9 })
    await new Promise((resolve) => socket.on('error', () => {}).on('close', resolve))
  }
}

async function inNamespace(way) {
  execFileSync('ip', ['link', 'set', 'lo', 'up'])
  for (const [name, value] of [
    ['tcp_tw_reuse', '0'],
    ['ip_local_port_range', '32768 60999'],
    ['tcp_max_tw_buckets', '131072'],
    // Otherwise a late retransmission could end some entries.
    ['tcp_rfc1337', '1'],
  ]) {
    writeFileSync(`/proc/sys/net/ipv4/${name}`, value)
  }
  const server = spawn(process.execPath, [__filename, 'server'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  await new Promise((resolve) => server.once('message', resolve))
  await warmUp()
  const times = await fill(ways[way])
  server.disconnect()
  const perSecond = rates(times)
  const ratio = perSecond.length === 10 ? (perSecond[9] / perSecond[0]).toFixed(2) : 'not reached'
  const percent = ((100 * times.length) / PORTS).toFixed(1)
  console.log(
    `${way.padEnd(14)} ${percent.padStart(5)} % of ${PORTS} ports in ${SECONDS} s or less`,
  )
  console.log(`  per s in each tenth: ${perSecond.join(' ')}; last to first: ${ratio}`)
}

function main() {
  if (process.platform !== 'linux' || process.getuid() !== 0) {
    console.log('port-fill: needs Linux and root, for a network namespace of its own')
    return
  }
  for (const way of Object.keys(ways)) {
    execFileSync('unshare', ['--net', process.execPath, __filename, way], { stdio: 'inherit' })
  }
}

const [, , argument] = process.argv
if (argument === 'server') serve()
else if (argument in ways) void inNamespace(argument)
else main()
