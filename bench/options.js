'use strict'

/**
 * Compares the cost of a call of this library with the same loop in C. The two take turns. Prints the median of the
 * ratios of all turns. Also measures other packages if they are installed: `npm ci --prefix bench`.
 */
const { execFileSync } = require('node:child_process')
const { mkdtempSync, rmSync } = require('node:fs')
const net = require('node:net')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { explainConnection, setOption, tune, tcpInfo } = require('../dist')
const { median } = require('./helpers/median')

const CALLS = Number(process.env.BENCH_CALLS ?? 200_000)
const TURNS = Number(process.env.BENCH_TURNS ?? 9)

const even = {
  TCP_NODELAY: false,
  SO_KEEPALIVE: true,
  TCP_KEEPIDLE: 30,
  TCP_KEEPINTVL: 5,
  TCP_KEEPCNT: 4,
  TCP_USER_TIMEOUT: 30_000,
  TCP_NOTSENT_LOWAT: 16_384,
  TCP_LINGER2: 5,
}
const odd = {
  TCP_NODELAY: true,
  SO_KEEPALIVE: false,
  TCP_KEEPIDLE: 60,
  TCP_KEEPINTVL: 10,
  TCP_KEEPCNT: 5,
  TCP_USER_TIMEOUT: 20_000,
  TCP_NOTSENT_LOWAT: 131_072,
  TCP_LINGER2: 10,
}

function compile(folder) {
  const program = join(folder, 'options')
  execFileSync('cc', ['-O2', '-Wall', '-o', program, join(__dirname, 'options.c')], {
    stdio: 'inherit',
  })
  return () => JSON.parse(execFileSync(program, [String(CALLS)], { encoding: 'utf8' }))
}

function nanoseconds(calls, call) {
  const start = process.hrtime.bigint()
  for (let i = 0; i < calls; i++) call(i)
  return Number(process.hrtime.bigint() - start) / calls
}

function optional(name) {
  try {
    return require(require.resolve(name, { paths: [__dirname] }))
  } catch {
    return undefined
  }
}

/** The subjects: name, corresponding loop in C, and a call. */
function subjects(socket) {
  const fd = socket._handle.fd
  const list = [
    ['setOption(socket)', 'set', (i) => setOption(socket, 'TCP_NODELAY', (i & 1) === 1)],
    ['setOption(fd)', 'set', (i) => setOption(fd, 'TCP_NODELAY', (i & 1) === 1)],
    ['net.Socket setNoDelay()', 'set', (i) => socket.setNoDelay((i & 1) === 1)],
    ['tune(socket) of eight', 'batch', (i) => tune(socket, (i & 1) === 1 ? odd : even)],
    ['tcpInfo(socket)', 'info', () => tcpInfo(socket)],
    ['explainConnection(socket)', 'info', () => explainConnection(socket)],
  ]
  const koffi = optional('koffi')
  if (koffi !== undefined) {
    const setsockopt = koffi
      .load(null)
      .func('int setsockopt(int fd, int level, int name, const int *value, uint32_t length)')
    list.push(['koffi setsockopt()', 'set', (i) => setsockopt(fd, 6, 1, [i & 1], 4)])
  }
  const sockopt = optional('sockopt')
  if (sockopt?.setsockopt !== undefined) {
    list.push(['sockopt setsockopt()', 'set', (i) => sockopt.setsockopt(socket, 6, 1, i & 1)])
  }
  return list
}

function measure(socket, inC) {
  const list = subjects(socket)
  for (const [, , call] of list) nanoseconds(CALLS / 10, call)
  const ratios = new Map(list.map(([name]) => [name, []]))
  const times = new Map(list.map(([name]) => [name, []]))
  for (let turn = 0; turn < TURNS; turn++) {
    const base = inC()
    for (const [name, loop, call] of list) {
      const ns = nanoseconds(loop === 'batch' ? CALLS / 8 : CALLS, call)
      ratios.get(name).push(ns / base[loop])
      times.get(name).push(ns)
    }
  }
  console.log(
    `${process.version}, ${TURNS} turns of ${CALLS} calls, each beside the same loop in C`,
  )
  for (const [name] of list) {
    const ratio = median(ratios.get(name)).toFixed(2)
    console.log(
      `${name.padEnd(26)} ${ratio.padStart(6)} x C ${median(times.get(name)).toFixed(0).padStart(8)} ns`,
    )
  }
}

const folder = mkdtempSync(join(tmpdir(), 'socket-tuner-bench-'))
const server = net.createServer((peer) => peer.on('error', () => {}))
server.listen(0, '127.0.0.1', () => {
  const socket = net.connect(server.address().port, '127.0.0.1', () => {
    try {
      measure(socket, compile(folder))
    } finally {
      rmSync(folder, { recursive: true })
      socket.destroy()
      server.close()
    }
  })
})
