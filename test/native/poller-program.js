'use strict'

// Run by test/native/poller.test.ts in a process of its own, since a defect may end the process. Its argument is the
// case.
const { readdirSync } = require('node:fs')
const net = require('node:net')
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads')
const { setImmediate: turn } = require('node:timers/promises')
const { native } = require('../../dist/kernel/binding')

const { AF_INET, SOCK_STREAM, SOL_SOCKET, SO_TYPE } = native.constants

/** Opens a poller with one connection to a server that sends a byte to each client. */
function open(wake, { records = new Int32Array(64), input = new Uint8Array(8_192) } = {}) {
  const owner = {}
  check(native.openPoller(owner, records, input, wake))
  return { owner, records, input }
}

function connect(owner, port) {
  const fd = check(native.openSocket(AF_INET, SOCK_STREAM, 0))
  native.connectFd(fd, '127.0.0.1', port)
  check(native.watchFd(owner, fd))
}

function check(result) {
  if (result < 0) throw new Error(`failed with ${result}`)
  return result
}

function serve() {
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.unref()
    socket.write('x')
  })
  server.listen(0, '127.0.0.1')
  return new Promise((resolve) => {
    server.on('listening', () => {
      server.unref()
      resolve(server.address().port)
    })
  })
}

const cases = {
  /** The poller keeps the process alive until it is closed. */
  async alive() {
    const port = await serve()
    const { owner } = open(() => {
      native.closePoller(owner)
      console.log('closed')
    })
    connect(owner, port)
  },

  /** An exception of the callback is uncaught, and the next events are reported. */
  async throws() {
    const port = await serve()
    process.on('uncaughtException', ({ message }) => {
      console.log(message)
      connect(owner, port)
    })
    let calls = 0
    const { owner } = open(() => {
      if (++calls === 1) throw new Error('thrown by the callback')
      native.closePoller(owner)
      console.log('closed')
    })
    connect(owner, port)
  },

  /** Without memory, the poller closes itself. */
  async detached() {
    const port = await serve()
    const { owner, input } = open(() => console.log('called'))
    structuredClone(input.buffer, { transfer: [input.buffer] })
    connect(owner, port)
    process.on('exit', () => console.log(native.closePoller(owner)))
  },

  /** The process ends with a poller that is in use. */
  async exit() {
    const port = await serve()
    const { owner } = open(() => {
      console.log('called')
      process.exit()
    })
    connect(owner, port)
  },

  /** A poller whose owner is garbage is closed, also while its callback refers to the owner. */
  async collected() {
    const port = await serve()
    let finalized = 0
    const registry = new FinalizationRegistry(() => finalized++)
    for (let i = 0; i < 20; i++) {
      const { owner } = open(() => native.closePoller(owner))
      registry.register(owner)
      connect(owner, port)
    }
    for (let i = 0; finalized < 20; i++) {
      if (i > 10_000) throw new Error(`${finalized} of 20 were collected`)
      await turn()
      if (i % 10 === 0) globalThis.gc()
    }
    console.log('collected')
  },

  /** A closed poller has no descriptor, although its owner is not collected. */
  async closed() {
    const owners = []
    const before = readdirSync('/proc/self/fd').length
    for (let i = 0; i < 20; i++) {
      const { owner } = open(() => {})
      owners.push(owner)
      native.closePoller(owner)
    }
    // The event loop closes handles at the end of a turn.
    await turn()
    await turn()
    console.log(owners.length, readdirSync('/proc/self/fd').length - before)
  },

  /** The sockets that a terminated thread watches are closed, and those that it has forgotten are not. */
  async worker() {
    // Nobody accepts, so all new descriptors are those of the thread.
    const listener = check(native.openSocket(AF_INET, SOCK_STREAM, 0))
    check(native.bindFd(listener, '127.0.0.1', 0))
    check(native.listenFd(listener, 64))
    const port = check(native.localPort(listener))
    const before = openSockets().length
    const worker = new Worker(__filename, { workerData: port })
    const forgotten = await new Promise((resolve) => worker.once('message', resolve))
    await worker.terminate()
    const left = openSockets().filter((fd) => fd === forgotten).length
    native.closeFd(forgotten)
    console.log(left, openSockets().length - before)
  },
}

function openSockets() {
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => native.getInt(fd, SOL_SOCKET, SO_TYPE) === SOCK_STREAM)
}

/** Watches ten sockets, and forgets the last one. */
function watchForever(port) {
  const { owner } = open(() => {})
  for (let i = 0; i < 9; i++) connect(owner, port)
  const fd = check(native.openSocket(AF_INET, SOCK_STREAM, 0))
  check(native.unwatchSlot(owner, check(native.watchFd(owner, fd))))
  parentPort.postMessage(fd)
}

if (isMainThread) void cases[process.argv[2]]()
else watchForever(workerData)
