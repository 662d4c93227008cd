'use strict'

// Run by test/native/poller.test.ts in a process of its own, since a defect may end the process. Its argument is the
// case.
const { readdirSync } = require('node:fs')
const net = require('node:net')
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads')
const { setImmediate: turn } = require('node:timers/promises')
const { native } = require('../../dist/kernel/binding')
const { Poller } = require('../../dist/kernel/poller')

const { AF_INET, SOCK_STREAM, SOL_SOCKET, SO_TYPE } = native.constants

/** Opens a poller with one connection to a server that sends a byte to each client. */
function open(wake, { records = new Int32Array(64), input = new Uint8Array(8_192) } = {}) {
  return { poller: check(native.openPoller(records, input, wake)), records, input }
}

function connect(poller, port) {
  check(native.watchFd(poller, connecting(port)))
}

function connecting(port) {
  const fd = check(native.openSocket(AF_INET, SOCK_STREAM, 0))
  native.connectFd(fd, '127.0.0.1', port)
  return fd
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
    const { poller } = open(() => {
      native.closePoller(poller)
      console.log('closed')
    })
    connect(poller, port)
  },

  /** An exception of the callback is uncaught, and the next events are reported. */
  async throws() {
    const port = await serve()
    process.on('uncaughtException', ({ message }) => {
      console.log(message)
      connect(poller, port)
    })
    let calls = 0
    const { poller } = open(() => {
      if (++calls === 1) throw new Error('thrown by the callback')
      native.closePoller(poller)
      console.log('closed')
    })
    connect(poller, port)
  },

  /** An exception in an event of a turn does not keep the others from being reported. */
  async listener() {
    const port = await serve()
    const messages = []
    process.on('uncaughtException', ({ message }) => messages.push(message))
    const poller = Poller.open()
    poller.listener = {
      opened(slot) {
        throw new Error(`opened ${slot}`)
      },
      turned() {
        if (messages.length < 3) return
        console.log(messages.sort().join())
        poller.close()
      },
      input() {},
      ended() {},
      failed() {},
    }
    for (let i = 0; i < 3; i++) poller.watch(connecting(port))
  },

  /** Without memory, the poller closes itself. */
  async detached() {
    const port = await serve()
    const { poller, input } = open(() => console.log('called'))
    structuredClone(input.buffer, { transfer: [input.buffer] })
    connect(poller, port)
    process.on('exit', () => console.log(native.closePoller(poller)))
  },

  /** The process ends with a poller that is in use. */
  async exit() {
    const port = await serve()
    const { poller } = open(() => {
      console.log('called')
      process.exit()
    })
    connect(poller, port)
  },

  /** A closed poller has no descriptor. */
  async closed() {
    const before = readdirSync('/proc/self/fd').length
    for (let i = 0; i < 20; i++) native.closePoller(open(() => {}).poller)
    // The event loop closes handles at the end of a turn.
    await turn()
    await turn()
    console.log(readdirSync('/proc/self/fd').length - before)
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
  const { poller } = open(() => {})
  for (let i = 0; i < 9; i++) connect(poller, port)
  const fd = check(native.openSocket(AF_INET, SOCK_STREAM, 0))
  check(native.unwatchSlot(poller, check(native.watchFd(poller, fd))))
  parentPort.postMessage(fd)
}

if (isMainThread) void cases[process.argv[2]]()
else watchForever(workerData)
