'use strict'

// Run by test/native/ended-sockets.test.ts in a process of its own, since a defect may end the process. Its argument is
// the case.
const { readdirSync } = require('node:fs')
const net = require('node:net')
const { once } = require('node:events')
const { Worker, isMainThread, parentPort } = require('node:worker_threads')
const { setImmediate: turn } = require('node:timers/promises')
const { native } = require('../../dist/kernel/binding')
const { endedSocketLayout } = require('../../dist/kernel/layouts')

function open(wake) {
  const owner = {}
  const records = new Uint8Array(512 * endedSocketLayout.size)
  const result = native.openEndedSockets(owner, records, 65_536, wake)
  if (result < 0) throw new Error(`failed with ${result}`)
  return { owner, records }
}

/** Refers to nothing, not even to the variables of a function around it. */
function ignore() {}

const kept = []

/** A subscription ends once its owner is garbage. */
function keep(owner) {
  kept.push(owner)
}

/** Makes a connection and ends both sockets. */
async function endOne() {
  const server = net.createServer((socket) => socket.resume().end())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const socket = net.connect(server.address().port, '127.0.0.1')
  await once(socket.resume().end(), 'close')
  await once(server.close(), 'close')
}

/** Ends connections until the callback is called, which ends the process. */
async function endMany(isDone) {
  while (!isDone()) {
    await endOne()
    await turn()
  }
}

const cases = {
  /** The subscription does not keep the process alive. */
  alive() {
    open(() => {})
  },

  /** An exception of the callback is uncaught, and the next sockets are reported. */
  async throws() {
    let calls = 0
    let caught = false
    process.on('uncaughtException', ({ message }) => {
      if (!caught) console.log(message)
      caught = true
    })
    const { owner } = open(() => {
      calls++
      if (calls === 1) throw new Error('thrown by the callback')
      if (calls === 2) {
        native.closeEndedSockets(owner)
        console.log('closed')
      }
    })
    await endMany(() => calls > 1)
  },

  async detached() {
    let error
    const { owner, records } = open((result) => {
      error = result
      console.log(result)
    })
    structuredClone(records.buffer, { transfer: [records.buffer] })
    await endMany(() => error !== undefined)
    keep(owner)
  },

  /** The process ends with a subscription that is in use. */
  async exit() {
    const { owner } = open(() => {
      console.log('called')
      process.exit()
    })
    await endMany(() => false)
    keep(owner)
  },

  /** A subscription whose owner is garbage is closed. One that was closed before may have a callback that refers to it. */
  async collected() {
    let finalized = 0
    const registry = new FinalizationRegistry(() => finalized++)
    // In a function of its own: a frame may keep the last owner.
    const openOne = (i) => {
      const isClosed = i % 2 === 0
      const { owner } = open(isClosed ? () => native.closeEndedSockets(owner) : ignore)
      registry.register(owner)
      if (isClosed) native.closeEndedSockets(owner)
    }
    for (let i = 0; i < 20; i++) openOne(i)
    for (let i = 0; finalized < 20; i++) {
      if (i > 10_000) throw new Error(`${finalized} of 20 were collected`)
      await turn()
      if (i % 10 === 0) globalThis.gc()
    }
    console.log('collected')
  },

  /** A closed subscription has no descriptor, although its owner is not collected. */
  async closed() {
    const owners = []
    const before = readdirSync('/proc/self/fd').length
    for (let i = 0; i < 20; i++) {
      const { owner } = open(() => {})
      owners.push(owner)
      native.closeEndedSockets(owner)
    }
    // The event loop closes handles at the end of a turn.
    await turn()
    await turn()
    console.log(owners.length, readdirSync('/proc/self/fd').length - before)
  },

  async worker() {
    const netlinks = () => readdirSync('/proc/self/fd').length
    const worker = new Worker(__filename)
    await once(worker, 'message')
    await worker.terminate()
    const before = netlinks()
    const other = new Worker(__filename)
    await once(other, 'message')
    await other.terminate()
    console.log(netlinks() - before)
  },
}

if (isMainThread) void cases[process.argv[2]]()
else {
  for (let i = 0; i < 10; i++) open(() => {})
  parentPort.postMessage('open')
  setInterval(() => {}, 1_000)
}
