'use strict'

/**
 * Threads that race for descriptor numbers: race-program.js ROUNDS. Half of them open sockets, check that each has the
 * state of a new socket, and close them. The others use their own sockets through objects, even after closing them,
 * when their numbers may belong to other threads. A second kind of round calls native functions with numbers that may
 * be open, closed or belong to another socket. Prints one line of JSON.
 */
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads')
const {
  RawSocket,
  getOption,
  explainConnection,
  queueSizes,
  setCloseMode,
  setOption,
  tcpInfo,
  tune,
} = require('../../dist')
const { native } = require('../../dist/kernel/binding')
const { Random } = require('./random')
const { kinds, snapshot } = require('./sentinels')

const [fresh] = kinds

/** Checks sockets that only this thread uses. */
function watch(rounds) {
  const first = fresh()
  const expected = snapshot(first).filter((option) => !/^(SO_COOKIE|IP_MTU) /.test(option))
  native.closeFd(first)
  const faults = new Set()
  for (let round = 0; round < rounds; round++) {
    const fds = [fresh(), fresh()]
    for (const fd of fds) {
      const now = new Set(snapshot(fd))
      for (const option of expected) if (!now.has(option)) faults.add(`was ${option}`)
      if (native.closeFd(fd) < 0) faults.add('a socket was closed by another thread')
    }
  }
  return [...faults]
}

/** All ways to change a socket through an object. */
const changes = [
  (raw) => setOption(raw, 'SO_KEEPALIVE', true),
  (raw) => tune(raw, { TCP_NODELAY: true, SO_LINGER: { enabled: true, seconds: 0 } }),
  (raw) => raw.tune({ TCP_KEEPIDLE: 77 }),
  (raw) => setCloseMode(raw, 'reset'),
  (raw) => raw.bind({ address: '127.0.0.1' }),
]

const looks = [
  (raw) => getOption(raw, 'SO_TYPE'),
  (raw) => tcpInfo(raw),
  (raw) => queueSizes(raw),
  (raw) => explainConnection(raw),
  (raw) => raw.localAddress,
]

function use(rounds) {
  const faults = new Set()
  for (let round = 0; round < rounds; round++) {
    const raw = RawSocket.open(4)
    for (const call of [...changes, ...looks]) call(raw)
    raw.close()
    for (const call of [...changes, ...looks]) {
      try {
        call(raw)
        faults.add('a closed RawSocket could be used')
      } catch ({ code }) {
        if (code !== 'ERR_SOCKET_TUNER_DESTROYED') faults.add(`threw ${code}`)
      }
    }
  }
  return [...faults]
}

/** Makes calls with numbers that other threads open and close. Each must return a number or an errno. */
function prod(rounds) {
  const { constants } = native
  const random = new Random(rounds)
  const bytes = new Uint8Array(600)
  const program = new Int32Array(22)
  const { SOL_SOCKET, SO_KEEPALIVE, IPPROTO_TCP, TCP_NODELAY } = constants
  const calls = [
    (fd) => native.getInt(fd, SOL_SOCKET, SO_KEEPALIVE),
    (fd) => native.setInt(fd, IPPROTO_TCP, TCP_NODELAY, 1),
    (fd) => native.getBytes(fd, SOL_SOCKET, SO_KEEPALIVE, bytes),
    (fd) => native.setBytes(fd, SOL_SOCKET, SO_KEEPALIVE, bytes.subarray(0, 4)),
    (fd) => native.applyBatch(fd, program.fill(1), bytes, 2),
    (fd) => native.tcpInfo(fd, bytes),
    (fd) => native.localAddress(fd, bytes),
    (fd) => native.unsentBytes(fd),
    (fd) => native.discardInput(fd),
  ]
  const faults = new Set()
  for (let call = 0; call < 50 * rounds; call++) {
    const result = random.pick(calls)(random.pick(workerData.numbers))
    if (!Number.isInteger(result)) faults.add(`gave ${String(result)}`)
  }
  return [...faults]
}

/** Opens and closes the sockets with these numbers. */
function shuffle(rounds) {
  for (let round = 0; round < rounds; round++) {
    const fds = kinds.slice(0, 4).map((make) => make())
    for (const fd of fds) native.closeFd(fd)
  }
  return []
}

const jobs = { watch, use, prod, shuffle }

async function race(names, rounds, numbers) {
  const results = names.map(
    (job) =>
      new Promise((resolve, reject) => {
        const worker = new Worker(__filename, { workerData: { job, rounds, numbers } })
        worker.once('message', resolve).once('error', reject)
      }),
  )
  return (await Promise.all(results)).flat()
}

async function main() {
  const rounds = Number(process.argv[2])
  // The numbers that the threads will get next.
  const fds = Array.from({ length: 40 }, fresh)
  for (const fd of fds) native.closeFd(fd)
  const faults = [
    ...(await race(['watch', 'use', 'watch', 'use'], rounds, fds)),
    ...(await race(['prod', 'shuffle', 'prod', 'shuffle'], rounds, fds)),
  ]
  console.log(JSON.stringify({ faults, rounds }))
}

if (isMainThread) void main()
else parentPort.postMessage(jobs[workerData.job](workerData.rounds))
