'use strict'

/**
 * Calls every native export with valid and invalid arguments. Each call must return a whole number and must not run code
 * of its arguments. See run.js.
 */
const { errno } = require('node:os').constants
const { native } = require('../../dist/kernel/binding')
const { endedSocketLayout, listedSocketLayout } = require('../../dist/kernel/layouts')
const { hostile, state, strike } = require('./hostile-values')
const { lookalike, noDescriptor } = require('./lookalikes')
const { faultOf, memory } = require('./memory')
const { Run, until } = require('./run')
const { options } = require('./sentinels')
const { underTampering } = require('./tampering')

const run = new Run(process.argv.slice(2))
const { random, sentinels, pool } = run
let dumps = 0
let calledBack = 0

/** A descriptor of a victim, or a value that would become a sentinel by truncation, rounding or conversion. */
function descriptor() {
  if (!random.once(4)) return pool.any()
  return random.once(2) ? lookalike(random, random.pick(sentinels.fds)) : noDescriptor(random)
}

const levels = [0, 1, 6, 41, 17, 255, 262]
const flags = [0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 15, 20, 21, 23, 32, 39, 64, 71, 127, -1]
const addresses = [
  '127.0.0.1',
  '::1',
  '0.0.0.0',
  '::',
  '::1%lo',
  '1.2.3.4%lo',
  '',
  '127.1',
  '::1%',
  '\0',
]

const level = () => random.pick(levels)
const word = () => (random.once(2) ? random.below(129) : random.below(2 ** 32) - 2 ** 31)
/** A port on which no other program listens. */
const port = () => random.pick([0, 0, 1, 65_535, 65_536, -1, pool.port])

let lent = []

function bytes(View) {
  const lending = memory(random, View)
  lent.push(lending)
  return lending.view
}

/** Operations for applyBatch, some of which it can execute. */
function program() {
  const view = bytes(Int32Array)
  for (let at = 0; at + 11 <= view.length && at < 55; at += 11) {
    const [optionLevel, number] = random.pick(options)
    const length = random.below(24)
    view.set(
      [optionLevel, number, random.pick(flags), random.below(24), length, 24, random.below(40)],
      at,
    )
    if (random.once(3)) view[at + random.below(11)] = word()
  }
  return view
}

function done(...results) {
  calledBack++
  const [total, records] = results
  const fine =
    results.length === 1
      ? total < 0
      : total >= 0 && records instanceof ArrayBuffer && records.byteLength % 52 === 0
  if (!fine) run.fault(`dumpSockets called back with ${String(results)}`)
}

/** Removes nothing, because the program has dropped root's privileges. */
function refused(result, ...rest) {
  calledBack++
  if (!(result < 0) || rest.length > 0) run.fault(`destroyTimeWait called back with ${result}`)
}

function listed(...results) {
  calledBack++
  const [records] = results
  const fine =
    results.length === 1
      ? records < 0
      : records instanceof ArrayBuffer && records.byteLength % listedSocketLayout.size === 0
  if (!fine) run.fault(`listSockets called back with ${String(results)}`)
}

function doneAndThrow(...results) {
  done(...results)
  throw new Error('thrown by a callback')
}

/** The numbers of pollers. */
let pollers = []
const MOST_POLLERS = 6

const poller = () => (random.once(8) ? hostile(random) : (random.pick(pollers) ?? 0))
const slot = () => (random.once(8) ? word() : random.below(12))

function wake(...results) {
  const [count] = results
  if (results.length !== 1 || !(count > 0 && count <= 32))
    run.fault(`a poller called back with ${String(results)}`)
  run.count('woken')
}

function wakeAndThrow(...results) {
  wake(...results)
  throw new Error('thrown by a callback')
}

/** Objects that own a subscription to ended sockets. */
let subscriptions = []
const MOST_SUBSCRIPTIONS = 4

const subscription = () => (random.once(8) ? hostile(random) : (random.pick(subscriptions) ?? {}))

function ended(...results) {
  if (results.length !== 1 || !(results[0] <= MOST_ENDED && results[0] !== 0))
    run.fault(`a subscription called back with ${String(results)}`)
  run.count('ended')
}

const MOST_ENDED = 512

const fill = () => new Uint8Array(random.below(40)).fill(random.pick([0, 1, 2, 127, 255]))
const option = [descriptor, level, word]

/** The arguments of each export. */
const parameters = {
  getInt: option,
  setInt: [...option, word],
  getBytes: [...option, () => bytes(Uint8Array)],
  setBytes: [...option, () => (random.once(2) ? fill() : bytes(Uint8Array))],
  setProgram: [...option, () => (random.once(2) ? fill() : bytes(Uint8Array))],
  applyBatch: [descriptor, program, () => bytes(Uint8Array), () => random.below(8)],
  openSocket: [
    () => random.below(46),
    () => random.below(8),
    () => random.pick([0, 0, 6, 17, 262]),
  ],
  closeFd: [descriptor],
  duplicateFd: [descriptor],
  descriptorLimit: [],
  bindFd: [descriptor, () => random.pick(addresses), port],
  connectFd: [descriptor, () => random.pick(addresses), port],
  listenFd: [descriptor, word],
  shutdownWrite: [descriptor],
  localPort: [descriptor],
  localAddress: [descriptor, () => bytes(Uint8Array)],
  localPath: [descriptor, () => bytes(Uint8Array)],
  ownFd: [descriptor, () => hostile(random)],
  destroyTimeWait: [fill, () => refused],
  disownFd: [() => hostile(random)],
  dumpSockets: [
    () => random.below(5),
    word,
    () => random.below(64),
    fill,
    () => (random.once(4) ? doneAndThrow : done),
  ],
  openPoller: [
    () => (random.once(2) ? new Int32Array(128) : bytes(Int32Array)),
    () => (random.once(2) ? new Uint8Array(4_096 + random.below(9_000)) : bytes(Uint8Array)),
    () => (random.once(4) ? wakeAndThrow : wake),
  ],
  closePoller: [poller],
  listSockets: [word, () => listed],
  openEndedSockets: [
    () => (random.once(2) ? {} : hostile(random)),
    () =>
      random.once(2) ? new Uint8Array(MOST_ENDED * endedSocketLayout.size) : bytes(Uint8Array),
    () => random.pick([0, 4_096, 65_536, -1, 0.5, 2 ** 31]),
    () => ended,
  ],
  closeEndedSockets: [subscription],
  lostEndedSockets: [subscription],
  watchFd: [poller, descriptor],
  unwatchSlot: [poller, slot],
  writeToSlot: [poller, slot, () => bytes(Uint8Array)],
  queuedInSlot: [poller, slot],
  discardInput: [descriptor],
  unreadBytes: [descriptor],
  unacknowledgedBytes: [descriptor],
  unsentBytes: [descriptor],
  setSignalText: [() => bytes(Uint8Array)],
  writeOnSignal: [() => random.below(65)],
  tcpInfo: [descriptor, () => bytes(Uint8Array)],
}

const names = Object.keys(native).filter((name) => name !== 'constants')
const unknown = names.filter((name) => !Object.hasOwn(parameters, name))
if (unknown.length > 0) throw new Error(`Say in ${__filename} what ${unknown.join()} takes`)

/** Exports that return the number of bytes that they have written. */
const filling = new Set(['getBytes', 'localAddress', 'localPath', 'tcpInfo'])
/** Exports that must not write to their arguments. */
const reading = new Set(['setBytes', 'setProgram', 'writeToSlot'])
/** Exports whose result is needed, and which are therefore not called by `new`. */
const owning = new Set([
  'openSocket',
  'closeFd',
  'duplicateFd',
  'ownFd',
  'disownFd',
  'dumpSockets',
  'destroyTimeWait',
  'openPoller',
  'listSockets',
  'openEndedSockets',
])

function argumentsFor(name) {
  const args = parameters[name].map((make) => make())
  while (random.once(5)) {
    const at = random.below(args.length + 1)
    // A hostile number could be a descriptor of this program, for example that of its standard output.
    args[at] = parameters[name][at] === descriptor ? descriptor() : hostile(random)
  }
  if (random.once(10)) args.length = random.below(args.length + 1)
  return args
}

/** Exports that cost as much as a hundred calls of others, and call back later. */
const slow = new Set(['dumpSockets', 'destroyTimeWait', 'listSockets'])
const callbacks = new Set([done, doneAndThrow, refused, listed])

/** Updates the pool of victims after a call. */
function follow(name, args, result) {
  if (name === 'openSocket' || name === 'duplicateFd' || name === 'disownFd') pool.add(result)
  if (slow.has(name) && callbacks.has(args[parameters[name].length - 1])) dumps++
  if (name === 'closeFd' || name === 'ownFd') pool.drop(args[0])
  if (name === 'openPoller') pollers.push(result)
  if (name === 'closePoller' || pollers.length > MOST_POLLERS) {
    if (name !== 'closePoller') native.closePoller(pollers[0])
    pollers = pollers.filter((each) => native.queuedInSlot(each, 0) !== -errno.EINVAL)
  }
  if (name === 'openEndedSockets') subscriptions.push(args[0])
  if (name === 'closeEndedSockets' || subscriptions.length > MOST_SUBSCRIPTIONS) {
    if (name !== 'closeEndedSockets') native.closeEndedSockets(subscriptions[0])
    subscriptions = subscriptions.filter((each) => native.lostEndedSockets(each) >= 0)
  }
  // A descriptor that is not taken back is closed when its owner is garbage-collected.
  if (name === 'ownFd' && random.once(2)) pool.add(native.disownFd(args[1]))
}

/** Makes one call, sometimes on another object, by `new`, or with tampered prototypes. */
function invoke(name, args) {
  const self = random.once(50) ? hostile(random) : native
  let act = () => Reflect.apply(native[name], self, args)
  if (random.once(100) && !owning.has(name)) {
    // The call then does not report the number of bytes written.
    lent = []
    act = () => (Reflect.construct(native[name], args), 0)
  }
  return random.once(2_000) ? underTampering(strike, act) : act()
}

function call() {
  lent = []
  const name = nextName()
  const args = argumentsFor(name)
  const { touched } = state
  let result
  try {
    result = invoke(name, args)
  } catch (error) {
    run.fault(`${name} threw ${String(error)}`)
    return
  }
  if (state.touched !== touched) run.fault(`${name} ran code of its arguments`)
  if (!Number.isInteger(result)) run.fault(`${name} gave ${String(result)}`)
  if (result >= 0) follow(name, args, result)
  checkMemory(name, args[parameters[name].length - 1], result)
  run.count(name)
  if (result >= 0) run.count('succeeded')
}

function checkMemory(name, filled, result) {
  if (!filling.has(name) && !reading.has(name)) return
  for (const memory of lent) {
    const written = filling.has(name) && memory.view === filled ? Math.max(0, result) : 0
    const wrong = faultOf(memory, written)
    if (wrong !== undefined) run.fault(`${name} ${wrong}`)
  }
}

function nextName() {
  const name = random.pick(names)
  return slow.has(name) && !random.once(20) ? nextName() : name
}

process.on('uncaughtException', (error) => {
  // The callback of a dump may throw, or be no function that can be called.
  if (!/thrown by a callback|hostile|Class constructor|revoked/.test(error.message)) throw error
  run.count('uncaught')
})

void run.report(async () => {
  await run.make(call, async () => {
    const all = await until(() => calledBack === dumps)
    if (!all) run.fault(`${dumps - calledBack} dumps never called back`)
  })
  for (const each of pollers) native.closePoller(each)
  for (const each of subscriptions) native.closeEndedSockets(each)
  native.closeFd(native.disownFd(globalThis))
})
