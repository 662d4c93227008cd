'use strict'

/**
 * Calls the public functions with hostile targets, names and values, whose code closes and replaces sockets during a
 * call. Each call must succeed, or throw an error with a code or the error of the hostile value. See run.js.
 */
const library = require('../../dist')
const { Hostility, hostile, state, strike, traps, withAccessor } = require('./hostile-values')
const { lookalike, noDescriptor } = require('./lookalikes')
const { Run } = require('./run')
const { underTampering } = require('./tampering')

const run = new Run(process.argv.slice(2))
const { random, sentinels, pool } = run
// The program throws hundreds of thousands of errors.
Error.stackTraceLimit = 0
library.configure({ hazards: 'ignore' })

const { RawSocket, optionNames } = library
let raw = RawSocket.open(4)

// The action of a getter or a trap during a call: the number of a victim passes to another socket.
state.harm = () => {
  run.count('struck')
  pool.renew()
  if (!random.once(8)) return
  raw.close()
  raw = RawSocket.open(random.pick([4, 6]))
}

const fd = () => pool.any()

/** A target that refers to another socket at each access. */
const changing = (key, make) => Object.defineProperty({}, key, { get: make, enumerable: true })

const targets = [
  fd,
  fd,
  () => raw,
  () => ({ fd: fd() }),
  () => ({ _handle: { fd: fd() } }),
  () => changing('fd', fd),
  () => changing('_handle', () => ({ fd: fd() })),
  () => new Proxy({ fd: fd() }, {}),
  () => withAccessor({ fd: fd() }, '_handle'),
  () => lookalike(random, random.pick(sentinels.fds)),
  () => ({ fd: lookalike(random, random.pick(sentinels.fds)) }),
  () => ({ _handle: { fd: lookalike(random, random.pick(sentinels.fds)) } }),
  () => noDescriptor(random),
]

const target = () => random.pick(targets)()
const name = () => (random.once(10) ? hostile(random) : random.pick(optionNames))

/** The fields of every structured value, some of them accessors. */
function structured() {
  const value = {
    enabled: random.once(2),
    seconds: random.below(3),
    min: random.below(70_000),
    max: random.below(70_000),
    clockId: 1,
    flags: 0,
    address: '127.0.0.1',
    key: new Uint8Array(random.below(90)),
  }
  if (random.once(4)) withAccessor(value, random.pick(Object.keys(value)))
  return value
}

const values = [
  () => random.once(2),
  () => random.below(2),
  () => random.below(100_000),
  () => BigInt(random.below(100_000)),
  () => random.pick(['lo', 'cubic', 'reno', 'none', '']),
  () => new Uint8Array(random.below(64)),
  () => [{ code: 6, jt: 0, jf: 0, k: random.below(2) * 0xffff }],
  () => [withAccessor({ code: 6 }, 'k')],
  structured,
  structured,
  () => hostile(random),
]

const value = () => random.pick(values)()

function settings() {
  if (random.once(10)) return hostile(random)
  const chosen = {}
  for (let left = random.below(6); left > 0; left--) chosen[random.pick(optionNames)] = value()
  if (random.once(5)) withAccessor(chosen, random.pick(optionNames))
  return random.once(20) ? new Proxy(chosen, random.once(2) ? traps : {}) : chosen
}

function optionsOf(fields) {
  if (random.once(5)) return hostile(random)
  const chosen = {}
  for (const [field, make] of Object.entries(fields)) if (random.once(2)) chosen[field] = make()
  if (random.once(6)) withAccessor(chosen, random.pick(Object.keys(fields)))
  return chosen
}

const closeOptions = () =>
  optionsOf({
    deadlineMs: () => random.below(100),
    requireTimestamps: () => random.once(2),
    maxDiscardBytes: () => hostile(random),
  })
const mode = () => random.pick(['fin', 'deliver', 'lingering', 'reset', hostile(random)])

/** The calls. Names that occur more than once are called more often. */
const calls = [
  ['getOption', () => library.getOption(target(), name())],
  ['getOption', () => library.getOption(target(), name())],
  ['setOption', () => library.setOption(target(), name(), value())],
  ['setOption', () => library.setOption(target(), name(), value())],
  ['tune', () => library.tune(target(), settings())],
  ['tcpInfo', () => library.tcpInfo(target())],
  ['queueSizes', () => library.queueSizes(target())],
  [
    'explainConnection',
    () => library.explainConnection(target(), optionsOf({ since: () => hostile(random) })),
  ],
  ['setCloseMode', () => library.setCloseMode(target(), { mode: mode(), ...closeOptions() })],
  ['describeOption', () => library.describeOption(name())],
  ['tuneServer', () => library.tuneServer(target(), { settings: settings(), ...closeOptions() })],
  ['raw.tune', () => raw.tune(settings())],
  ['raw.getOption', () => raw.getOption(name())],
  ['raw.bind', () => raw.bind(optionsOf({ address: () => hostile(random), port: () => 0 }))],
  [
    'RawSocket.open',
    () => RawSocket.open(random.pick([4, 6, 'IPv6', hostile(random)]), settings()).close(),
  ],
]

function call() {
  const [which, make] = random.pick(calls)
  const tampered = random.once(2_000)
  run.count(which)
  try {
    if (tampered) underTampering(strike, make)
    else make()
    run.count('succeeded')
  } catch (error) {
    // Node's own functions may fail in any way if their prototypes are changed.
    if (!tampered && !isAllowed(error)) run.fault(`${which} threw ${String(error)}`)
  }
}

function isAllowed(error) {
  if (error instanceof Hostility) return true
  if (/^E[A-Z0-9_]+$/.test(error.code)) return true
  return error instanceof TypeError && error.message.includes('revoked')
}

void run.report(async () => {
  await run.make(call, async () => {
    // RawSockets of failed calls are closed when they are garbage-collected.
    await new Promise(setImmediate)
  })
  raw.close()
})
