'use strict'

// Run by test/workers.test.ts in a process of its own, since a defect may end the process:
// rounds of worker threads that load the addon at the same time, use options, and are terminated midway.
// Its argument is the number of rounds.
const { readdirSync } = require('node:fs')
const net = require('node:net')
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads')
// Only the binding, since each of 200 threads would compile the whole library.
const { native } = require('../../dist/kernel/binding')
const { Poller } = require('../../dist/kernel/poller')
const { tcpInfo } = require('../../dist/observe/tcp-info')
const { getOption, setOption } = require('../../dist/options/access')
const { tune } = require('../../dist/options/tune')
const { configure } = require('../../dist/warnings')

const WORKERS = 4

const { AF_INET, SOCK_STREAM } = native.constants

async function main() {
  const before = openDescriptors()
  const totals = { finished: 0, terminated: 0, exitCodes: {}, errors: [] }
  for (let round = 0; round < Number(process.argv[2]); round++) {
    await Promise.all(Array.from({ length: WORKERS }, (_, index) => run(index % 2 === 0, totals)))
  }
  totals.leakedDescriptors = openDescriptors() - before
  totals.hazardsHere = hazardsThrow()
  process.stdout.write(JSON.stringify(totals))
}

function run(terminate, totals) {
  return new Promise((resolve) => {
    const worker = new Worker(__filename, { workerData: { forever: terminate } })
    worker.on('error', (error) => totals.errors.push(String(error)))
    worker.on('message', (message) => {
      if (message === 'finished') totals.finished++
      else if (terminate) {
        totals.terminated++
        worker.terminate()
      }
    })
    worker.on('exit', (code) => {
      totals.exitCodes[code] = (totals.exitCodes[code] ?? 0) + 1
      resolve()
    })
  })
}

/** Counts sockets only, since Node opens other descriptors for its threads. */
function openDescriptors() {
  const { SOL_SOCKET, SO_TYPE } = native.constants
  return readdirSync('/proc/self/fd').filter(
    (fd) => native.getInt(Number(fd), SOL_SOCKET, SO_TYPE) === SOCK_STREAM,
  ).length
}

function work() {
  configure({ hazards: 'throw' })
  const server = net.createServer()
  server.listen(0, '127.0.0.1', () => {
    const client = net.connect(server.address().port, '127.0.0.1', async () => {
      let calls = 0
      const stopPolling = pollFrom(server.address().port)
      do {
        use(server, calls)
        use(client, calls)
        if (++calls === 10) parentPort.postMessage('working')
        // The termination may come between turns of the event loop or during the calls.
        if (calls % 50 === 0) await new Promise(setImmediate)
      } while (workerData.forever || calls < 100)
      client.destroy()
      server.close()
      stopPolling()
      parentPort.postMessage('finished')
    })
  })
}

/** Polls connections, each of which opens the next one. Returns a function that closes them. */
function pollFrom(port) {
  const watched = new Map()
  const open = () => {
    // The poller closes them if the thread is terminated.
    const fd = native.openSocket(AF_INET, SOCK_STREAM, 0)
    const slot = poller.watch(fd)
    watched.set(slot, fd)
    native.connectFd(fd, '127.0.0.1', port)
  }
  const ignore = () => {}
  const events = { opened: open, input: ignore, ended: ignore, failed: ignore, turned: ignore }
  const poller = Poller.open()
  poller.listener = events
  open()
  return () => {
    for (const [slot, fd] of watched) {
      poller.unwatch(slot)
      native.closeFd(fd)
    }
    poller.close()
  }
}

function use(target, calls) {
  setOption(target, 'TCP_KEEPIDLE', 1 + (calls % 1000))
  if (getOption(target, 'TCP_KEEPIDLE') !== 1 + (calls % 1000))
    throw new Error('read another value')
  tune(target, { TCP_NODELAY: calls % 2 === 0, SO_MAX_PACING_RATE: 1_000_000n, IP_TOS: 8 })
  tcpInfo(target)
  try {
    tune(target, { TCP_NODELAY: true, TCP_CONGESTION: 'no_such_algo' })
  } catch ({ code }) {
    if (code !== 'ENOENT') throw new Error(`failed with ${code}`)
    return
  }
  throw new Error('did not fail')
}

/** Returns whether configure() of this worker has set 'throw'. */
function hazardsThrow() {
  const fd = native.openSocket(AF_INET, SOCK_STREAM, 0)
  try {
    process.removeAllListeners('warning')
    getOption(fd, 'SO_ERROR')
    return false
  } catch {
    return true
  } finally {
    native.closeFd(fd)
  }
}

if (isMainThread) main()
else work()
