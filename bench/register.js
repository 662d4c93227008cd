'use strict'

/**
 * Compares the requests per second and the processor time per request over kept connections, with and without
 * socket-tuner/register at both ends. Each turn starts a new server and a new client of each kind. Plain Node runs twice
 * per turn, and the ratio of these two shows the noise. Prints the medians of the ratios of all turns.
 */
const { fork } = require('node:child_process')
const { once } = require('node:events')
const http = require('node:http')
const path = require('node:path')
const { median } = require('./helpers/median')

const REQUESTS = Number(process.env.BENCH_REQUESTS ?? 5_000)
const TURNS = Number(process.env.BENCH_REGISTER_TURNS ?? 7)
/** The blocks of each turn. The best one counts, because other programs disturbed it least. */
const BLOCKS = 5
const AT_A_TIME = 16

const REGISTER = path.join(__dirname, '..', 'dist', 'register', 'index.js')
const section = { settings: { TCP_USER_TIMEOUT: 30_000, TCP_KEEPIDLE: 60 }, close: 'deliver' }
const SOCKET_TUNER = JSON.stringify({ clients: section, servers: section })

function serve() {
  const body = Buffer.alloc(100, 'b')
  const server = http.createServer((request, response) => response.end(body))
  server.listen(0, '127.0.0.1', () => process.send(server.address().port))
  process.on('message', () => process.send(cpuTime()))
  process.on('disconnect', () => process.exit())
}

/** Answers each message with the measured requests per second, and the processor time since the start. */
function load(port) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: AT_A_TIME })
  process.on('message', async (requests) => {
    process.send({ rate: await rate(agent, port, requests), cpu: cpuTime() })
  })
  process.on('disconnect', () => process.exit())
}

/** The processor time of this process, µs. */
function cpuTime() {
  const { user, system } = process.cpuUsage()
  return user + system
}

function ask(agent, port) {
  return new Promise((resolve, reject) => {
    http
      .get({ host: '127.0.0.1', port, agent }, (response) => {
        response.resume()
        response.on('end', resolve)
      })
      .on('error', reject)
  })
}

async function rate(agent, port, requests) {
  let begun = 0
  const lane = async () => {
    while (begun++ < requests) await ask(agent, port)
  }
  const start = process.hrtime.bigint()
  await Promise.all(Array.from({ length: AT_A_TIME }, lane))
  return (requests * 1e9) / Number(process.hrtime.bigint() - start)
}

/** Measures a server and a client, each in a process of its own. */
async function measure(isTuned) {
  const execArgv = isTuned ? ['--require', REGISTER] : []
  const options = { execArgv, env: { ...process.env, SOCKET_TUNER: isTuned ? SOCKET_TUNER : '' } }
  const server = fork(__filename, ['serve'], options)
  const processes = [server]
  const tell = async (child, message) => {
    child.send(message)
    return (await once(child, 'message'))[0]
  }
  try {
    const [port] = await once(server, 'message')
    const client = fork(__filename, ['load', String(port)], options)
    processes.push(client)
    const best = { rate: 0, cpu: Infinity }
    let before = NaN
    for (let block = 0; block <= BLOCKS; block++) {
      const { rate, cpu } = await tell(client, REQUESTS)
      const now = cpu + (await tell(server, 'cpu'))
      // The first block is a warm-up.
      if (block > 0) {
        best.rate = Math.max(best.rate, rate)
        best.cpu = Math.min(best.cpu, (now - before) / REQUESTS)
      }
      before = now
    }
    return best
  } finally {
    for (const child of processes) child.kill()
  }
}

async function main() {
  const seen = { node: [], tuned: [], again: [] }
  const kinds = Object.keys(seen)
  for (let turn = 0; turn < TURNS; turn++) {
    // The order alternates, since it may matter.
    for (let place = 0; place < kinds.length; place++) {
      const kind = kinds[(turn + place) % kinds.length]
      seen[kind].push(await measure(kind === 'tuned'))
    }
  }
  const of = (kind, what) => median(seen[kind].map((one) => one[what]))
  const ratio = (kind, what) =>
    median(seen[kind].map((one, turn) => one[what] / seen.node[turn][what])).toFixed(3)
  const line = (name, rate, cpu) =>
    console.log(name.padEnd(18) + rate.padStart(12) + cpu.padStart(18))
  console.log(
    `${process.version}, ${TURNS} turns, best of ${BLOCKS} times ${REQUESTS} requests, ${AT_A_TIME} at a time`,
  )
  line('', 'requests/s', 'CPU µs/request')
  line('as Node makes it', of('node', 'rate').toFixed(0), of('node', 'cpu').toFixed(1))
  line('under register', of('tuned', 'rate').toFixed(0), of('tuned', 'cpu').toFixed(1))
  line('register / Node', ratio('tuned', 'rate'), ratio('tuned', 'cpu'))
  line('Node / Node', ratio('again', 'rate'), ratio('again', 'cpu'))
}

const [role, port] = process.argv.slice(2)
if (role === 'serve') serve()
else if (role === 'load') load(Number(port))
else void main()
